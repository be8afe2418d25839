"""`flan-jax export`: an adapter for PEFT or merged weights for transformers, with a report that logits are equal."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.markup import escape

from flan_jax.cli.train import said_on
from flan_jax.model.parity import Parity
from flan_jax.report.console import make_console
from flan_jax.runs.configs import ConfigFile
from flan_jax.runs.run import Run


def run(source: ConfigFile, *, out: Path, form: str, checkpoint: str, dtype: str) -> None:
    """Write the export and print its parity report."""
    console = make_console()
    run = Run(source.config, say=said_on(console), progress=None)
    show_parity(run.export(out, format=form, checkpoint=checkpoint, dtype=dtype), out, console)


def show_parity(parity: Parity, out: Path, console: Console) -> None:
    """Print how equal an export is, and where it lies."""
    console.print(f"\n{escape(parity.text())}\nwritten to [bold]{escape(str(out))}[/]", highlight=False)
