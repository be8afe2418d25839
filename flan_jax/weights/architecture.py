"""The settings of a model's architecture as they stand beside its weights, in a config.json."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from flan_jax.errors import InputError
from flan_jax.files.whole import read_json


def read_architecture(path: str | Path) -> dict[str, Any]:
    """The config.json of the Hugging Face model at `path`.

    Args:
        path: A model directory with config.json, or a .safetensors file beside one.

    Raises:
        InputError: config.json is missing or malformed.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(
            f"model '{path}': no such file or folder; give a Hugging Face model directory or a .gguf file "
            "('make quickstart' fetches the weights of the quickstart)"
        )
    config_path = (path if path.is_dir() else path.parent) / "config.json"
    architecture = read_json(config_path, f"model '{path}'")
    if "model_type" not in architecture:
        raise InputError(f"model '{path}': {config_path} has no 'model_type'; give a Hugging Face model directory")
    return architecture
