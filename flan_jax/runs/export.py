"""Exports of a run: the adapter for PEFT, or merged weights for transformers, with a parity report."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, cast

from flan_jax.config import Config
from flan_jax.errors import InputError
from flan_jax.model.parity import Parity
from flan_jax.model.save import export_huggingface, export_peft
from flan_jax.runs.model import OpenModel
from flan_jax.runs.open import Text
from flan_jax.text.conversation import Message

# what the logits of the export are compared on; any text would do, these are of different lengths
PARITY_PROMPTS = (
    "Name the capital of France.",
    "Is this review positive or negative? The soup was cold and nobody came for half an hour.",
    "Write the number 417 in words, then add 5 to it and write the result in words as well.",
)


def check_export(config: Config, *, form: str, dtype: str) -> None:
    """What can be refused before a model is read.

    Raises:
        InputError: the format or dtype is unknown, or there is no adapter to write.
    """
    if form not in ("peft", "huggingface"):
        raise InputError(f"--format {form}: must be peft or huggingface")
    if dtype not in ("float32", "bfloat16"):
        raise InputError(f"--dtype {dtype}: must be float32 or bfloat16")
    if form == "peft" and config.tuning.method != "lora":
        raise InputError("--format peft: this run tuned every weight and has no adapter; use --format huggingface")


def write_export(
    config: Config,
    text: Text,
    model: OpenModel,
    *,
    out: Path,
    form: str,
    dtype: str,
) -> Parity:
    """Writes one export of an open model; the report that its logits are the running model's.

    Raises:
        InputError: the format or dtype is unknown, there is no adapter to write, or the folder is refused.
    """
    check_export(config, form=form, dtype=dtype)
    prompts = [ids.tolist() for ids in text.encoder.prompt([[Message("user", prompt)] for prompt in PARITY_PROMPTS])]
    shared = {"config": config, "mesh": model.mesh, "prompts": prompts, "add_files": text.tokenizer.save}
    if form == "peft":
        return export_peft(model.parts, out, **shared)
    return export_huggingface(model.parts, out, dtype=cast(Literal["float32", "bfloat16"], dtype), **shared)
