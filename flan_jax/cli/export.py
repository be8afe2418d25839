"""`flan-jax export`: an adapter for PEFT or merged weights for transformers, with a report that logits are equal."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.markup import escape

from flan_jax.cli.train import said_on
from flan_jax.model.parity import Parity
from flan_jax.report.console import make_console
from flan_jax.runs.configs import ConfigFile
from flan_jax.runs.export import check_export, write_export
from flan_jax.runs.model import open_model
from flan_jax.runs.open import open_text, start_jax


def run(source: ConfigFile, *, out: Path, form: str, checkpoint: str, dtype: str) -> None:
    """Write the export and print its parity report."""
    config = source.config
    check_export(config, form=form, dtype=dtype)
    start_jax(config)
    console = make_console()
    text = open_text(config)
    model = open_model(config, text, checkpoint=checkpoint, say=said_on(console))
    show_parity(write_export(config, text, model, out=out, form=form, dtype=dtype), out, console)


def show_parity(parity: Parity, out: Path, console: Console) -> None:
    """Print how equal an export is, and where it lies."""
    console.print(f"\n{escape(parity.text())}\nwritten to [bold]{escape(str(out))}[/]", highlight=False)
