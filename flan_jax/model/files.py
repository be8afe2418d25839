"""A model's files, of Hugging Face or GGUF, in one form: what it is, and its tensors under Hugging Face's names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flan_jax.config import ModelConfig
from flan_jax.errors import InputError
from flan_jax.model.family import FAMILIES, Architecture, Family, GgufForm, family_of, with_dropout
from flan_jax.weights.architecture import read_architecture
from flan_jax.weights.gguf_file import GgufFile, open_gguf
from flan_jax.weights.tensors import TensorSource, open_tensors


def read_settings(path: str | Path) -> dict[str, Any]:
    """The architecture of the model at `path` in the form of a config.json; reads no weights.

    Args:
        path: a model directory with config.json, a .safetensors file beside one, or a .gguf file.

    Raises:
        InputError: there is none, it is malformed, or of a GGUF architecture that is not read.
    """
    if not (_is_gguf(path) and Path(path).exists()):
        return read_architecture(path)
    file = open_gguf(path)
    return _form(file).settings(file)


def open_weights(path: str | Path) -> TensorSource:
    """The tensors of the model at `path` under Hugging Face's names.

    Raises:
        InputError: nothing there, no readable weights, or damaged files.
    """
    if not _is_gguf(path):
        return open_tensors(path)
    file = open_gguf(path)
    return _form(file).weights(file)


def _is_gguf(path: str | Path) -> bool:
    return Path(path).suffix.lower() == ".gguf"


def _form(file: GgufFile) -> GgufForm:
    kind = file.metadata.get("general.architecture")
    forms = {name: family.gguf for name, family in FAMILIES.items() if family.gguf is not None}
    if kind not in forms:
        raise InputError(
            f"GGUF file '{file.path}': architecture is {kind}; dense {', '.join(forms)} is what can be read from GGUF"
        )
    return forms[kind]


@dataclass(frozen=True)
class Description:
    """What a config's model is, read once, before there are parameters.

    Attributes:
        settings: its architecture in Hugging Face's form, as it was read.
        family: kind of model.
        architecture: its sizes and switches, with the config's dropout.
    """

    settings: Mapping[str, Any]
    family: Family
    architecture: Architecture


def describe(model: ModelConfig) -> Description:
    """What model a config asks for; reads no weights.

    Raises:
        InputError: no weights and no architecture are named, files are missing or malformed, or the family is unknown.
    """
    if model.path is not None:
        settings, where = read_settings(model.path), f"model '{model.path}'"
    elif model.architecture is not None:
        settings, where = model.architecture, "'model.architecture'"
    else:
        raise InputError(
            "config: neither 'model.path' (pretrained weights) nor 'model.architecture' (random weights) is given; "
            "give one"
        )
    family = family_of(settings, where)
    architecture = family.architecture.from_hf(settings)
    if model.dropout is not None:
        architecture = with_dropout(architecture, model.dropout)
    return Description(settings, family, architecture)
