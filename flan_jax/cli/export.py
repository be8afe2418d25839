"""`flan-jax export`: an adapter for PEFT or merged weights for transformers, with a report that logits are equal."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from rich.console import Console
from rich.markup import escape

from flan_jax.cli.model import OpenModel, open_model
from flan_jax.cli.session import ConfigFile, Text, make_console, open_text, start_jax
from flan_jax.config import Config
from flan_jax.errors import InputError
from flan_jax.model.save import export_huggingface, export_peft
from flan_jax.text.conversation import Message

# what the logits of the export are compared on; any text would do, these are of different lengths
PARITY_PROMPTS = (
    "Name the capital of France.",
    "Is this review positive or negative? The soup was cold and nobody came for half an hour.",
    "Write the number 417 in words, then add 5 to it and write the result in words as well.",
)


def run(source: ConfigFile, *, out: Path, form: str, checkpoint: str, dtype: str) -> None:
    """Write the export and print its parity report."""
    if form not in ("peft", "huggingface"):
        raise InputError(f"--format {form}: must be peft or huggingface")
    if dtype != "float32" and dtype != "bfloat16":
        raise InputError(f"--dtype {dtype}: must be float32 or bfloat16")
    config = source.config
    if form == "peft" and config.tuning.method != "lora":
        raise InputError("--format peft: this run tuned every weight and has no adapter; use --format huggingface")
    start_jax(config)
    console = make_console()
    text = open_text(config)
    model = open_model(config, text, checkpoint=checkpoint, console=console)
    write_export(config, text, model, out=out, form=form, dtype=dtype, console=console)


def write_export(
    config: Config,
    text: Text,
    model: OpenModel,
    *,
    out: Path,
    form: str,
    dtype: Literal["float32", "bfloat16"],
    console: Console,
) -> None:
    """Write one export of an open model."""
    prompts = [ids.tolist() for ids in text.encoder.prompt([[Message("user", prompt)] for prompt in PARITY_PROMPTS])]
    shared = {"config": config, "mesh": model.mesh, "prompts": prompts, "add_files": text.tokenizer.save}
    if form == "peft":
        parity = export_peft(model.parts, out, **shared)
    else:
        parity = export_huggingface(model.parts, out, dtype=dtype, **shared)
    console.print(f"\n{escape(parity.text())}\nwritten to [bold]{escape(str(out))}[/]", highlight=False)
