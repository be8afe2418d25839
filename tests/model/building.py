"""Models for tests: built through the product's own entry, run on one batch."""

import json
from pathlib import Path
from typing import Any

import jax
import numpy as np

from flan_jax.config import MeshConfig, parse_config
from flan_jax.formats.safetensors import write_tensors
from flan_jax.model.likelihood import token_logits
from flan_jax.model.weights import Parts, create, merge_module
from flan_jax.parallel.mesh import make_mesh

FLOAT32 = {"compute_dtype": "float32", "frozen_dtype": "float32"}


def mesh_of(data: int = 1, fsdp: int = 1, tensor: int = 1):
    return make_mesh(MeshConfig(data=data, fsdp=fsdp, tensor=tensor))


def config_of(model: dict[str, Any], tuning: dict[str, Any] | None = None):
    return parse_config({"model": {**FLOAT32, **model}, "tuning": tuning or {"method": "full"}}, "test config")


def parts_of(model: dict[str, Any], tuning: dict[str, Any] | None = None, mesh=None) -> Parts:
    return create(config_of(model, tuning), mesh or mesh_of())


def logits_of(parts: Parts, batch: dict[str, Any], mesh=None) -> np.ndarray:
    def logits(tuned, frozen, batch):
        module = merge_module(parts.graphdef, tuned, frozen)
        return token_logits(module.hidden(batch), module.head())

    with jax.set_mesh(mesh or mesh_of()):
        return np.asarray(jax.jit(logits)(parts.tuned, parts.frozen, batch))


def model_directory(directory: Path, settings: dict[str, Any], tensors: dict[str, np.ndarray], **layout: Any) -> Path:
    write_tensors(directory, tensors.items(), **layout)
    (directory / "config.json").write_text(json.dumps(settings))
    return directory
