"""The settings of a model's architecture as they stand beside its weights, in the form of a config.json."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from flan_jax.errors import InputError
from flan_jax.files.whole import read_json
from flan_jax.weights.hub import local_model


def read_architecture(path: str | Path) -> dict[str, Any]:
    """The config.json of the Hugging Face model at `path`.

    Args:
        path: A model directory with config.json, a .safetensors file beside one, or a hub name.

    Raises:
        InputError: the hub gives none, or config.json is missing or malformed.
    """
    path = local_model(path)
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


def with_defaults(kind: str, settings: Mapping[str, Any], keys: Iterable[str]) -> dict[str, Any]:
    """`settings` without nulls, and of `keys` what they leave out, as transformers' configuration class has it.

    What a config.json states is taken as it stands: the class rewrites some of it (T5's tie_word_embeddings) and has
    no sentence of ours for what is wrong. Nor is it imported, for a second or more, where nothing is left out.

    Args:
        kind: `model_type`; the class is transformers' own, whatever `auto_map` says.
        settings: in the form of a config.json, keys of transformers 4 or 5.
        keys: to be filled in; `rope_theta` stands in `rope_parameters` in the class.
    """
    stated = {key: value for key, value in settings.items() if value is not None}
    left_out = [key for key in keys if key not in stated]
    return stated | ({key: _defaults(kind)[key] for key in left_out} if left_out else {})


@lru_cache
def _defaults(kind: str) -> dict[str, Any]:
    # its advice to install PyTorch, which nothing here needs
    os.environ.setdefault("TRANSFORMERS_NO_ADVISORY_WARNINGS", "1")
    from transformers import AutoConfig

    settings = AutoConfig.for_model(kind).to_dict()
    return {**settings, **(settings.get("rope_parameters") or {})}
