"""Models for tests: built through the product's own entry, run on one batch."""

import json
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np
from flax import nnx

from flan_jax.config import MeshConfig
from flan_jax.config_file import parse_config
from flan_jax.model.load import Parts, create
from flan_jax.parallel.mesh import make_mesh
from flan_jax.weights.safetensors import write_tensors

FLOAT32 = {"compute_dtype": "float32", "frozen_dtype": "float32"}


def mesh_of(data: int = 1, fsdp: int = 1, tensor: int = 1):
    return make_mesh(MeshConfig(data=data, fsdp=fsdp, tensor=tensor))


def config_of(model: dict[str, Any], tuning: dict[str, Any] | None = None):
    return parse_config({"model": {**FLOAT32, **model}, "tuning": tuning or {"method": "full"}}, "test config")


def parts_of(model: dict[str, Any], tuning: dict[str, Any] | None = None, mesh=None) -> Parts:
    return create(config_of(model, tuning), mesh or mesh_of())


def logits_of(parts: Parts, batch: dict[str, Any], mesh=None) -> np.ndarray:
    with jax.set_mesh(mesh or mesh_of()):
        return np.asarray(_logits(parts.graphdef, parts.tuned, parts.frozen, batch))


# the graph is static, so that tests of one architecture share a compilation
@partial(jax.jit, static_argnums=0)
def _logits(graphdef, tuned, frozen, batch):
    module = nnx.merge(graphdef, tuned, frozen)
    return module.logits(module.hidden(batch))


def model_directory(directory: Path, settings: dict[str, Any], tensors: dict[str, np.ndarray], **layout: Any) -> Path:
    write_tensors(directory, tensors.items(), **layout)
    (directory / "config.json").write_text(json.dumps(settings))
    return directory


# away from transformers' defaults in every number
LLAMA = {
    "model_type": "llama",
    "vocab_size": 48,
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 6,
    "rms_norm_eps": 1e-4,
    "rope_theta": 500.0,
    "max_position_embeddings": 64,
    "tie_word_embeddings": False,
    "initializer_range": 0.2,
    "bos_token_id": 5,
}


def decoder_rows(seed: int = 0) -> dict[str, np.ndarray]:
    """Eight rows without padding, so that they divide over any mesh here."""
    ids = np.random.default_rng(seed).integers(0, 40, (8, 11)).astype(np.int32)
    return {
        "inputs": ids,
        "segments": np.ones_like(ids),
        "positions": np.broadcast_to(np.arange(11, dtype=np.int32), ids.shape),
    }


def moved(parts: Parts, seed: int = 9) -> Parts:
    """The model with noise on what is tuned, as training would leave it: fresh adapters add nothing."""
    rng = np.random.default_rng(seed)

    def shift(array: jax.Array) -> jax.Array:
        noise = 0.1 * rng.standard_normal(array.shape)
        return jax.device_put(np.asarray(array) + noise.astype(array.dtype), array.sharding)

    return replace(parts, tuned=jax.tree.map(shift, parts.tuned))
