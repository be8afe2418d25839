"""Low-rank adapters: which projections get one, its scale, new values, and its sum with the base kernel.

An adapter is two siblings of a projection's `kernel`, `lora_a` and `lora_b`, both `LoRAParam` in float32, with
y = x·W + scale · ((x·A)·B). Paths of base parameters are the same with and without adapters, so any base checkpoint
loads unchanged:

    blocks.attention.query.kernel   [L, D, N, H]   frozen, storage type
    blocks.attention.query.lora_a   [L, D, R]      LoRAParam, float32
    blocks.attention.query.lora_b   [L, R, N, H]   LoRAParam, float32, zero at first

Source: Hu et al. 2021, LoRA (arXiv:2106.09685) section 4.1; Kalajdzievski 2023, rsLoRA (arXiv:2312.03732).
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from flan_jax.config import LoraConfig
from flan_jax.errors import InputError

ALL_LINEAR = "all-linear"


class LoRAParam(nnx.Param):
    """A parameter of an adapter. Split by this type first: `nnx.Param` matches it too."""


@dataclass(frozen=True)
class LoraSettings:
    """What the model needs to know of its adapters.

    Attributes:
        rank: inner dimension R.
        scale: factor on the adapter's output.
        dropout: rate on the adapter's input, applied only where a dropout key is given.
        paths: projections with an adapter, by our path, e.g. 'blocks.attention.query'.
    """

    rank: int
    scale: float
    dropout: float
    paths: frozenset[str]

    @classmethod
    def from_config(cls, config: LoraConfig, projections: Mapping[str, str]) -> LoraSettings:
        """Settings with targets resolved against the projections of a model (see `resolve_targets`)."""
        divisor = math.sqrt(config.rank) if config.scaling == "rslora" else config.rank
        paths = resolve_targets(config.targets, projections)
        return cls(rank=config.rank, scale=config.alpha / divisor, dropout=config.dropout, paths=paths)


def lora_for(settings: LoraSettings | None, path: str) -> LoraSettings | None:
    """The settings if the projection at `path` has an adapter, else none."""
    return settings if settings is not None and path in settings.paths else None


def resolve_targets(targets: Collection[str], projections: Mapping[str, str]) -> frozenset[str]:
    """The projections that `targets` name.

    Args:
        targets: 'all-linear', or ends of names: ours ('query', 'attention.query') or Hugging Face's ('q_proj',
            'self_attn.q_proj').
        projections: every projection of the model, our path → Hugging Face module name.

    Raises:
        InputError: a target matches nothing, or there is none.
    """
    if not targets:
        raise InputError(f"'tuning.lora.targets' is empty; allowed: {ALL_LINEAR}, {_names(projections)}")
    paths: set[str] = set()
    for target in targets:
        matched = {
            ours
            for ours, theirs in projections.items()
            if target == ALL_LINEAR or _ends_with(ours, target) or _ends_with(theirs, target)
        }
        if not matched:
            raise InputError(
                f"'tuning.lora.targets': '{target}' matches no projection of this model; "
                f"allowed: {ALL_LINEAR}, {_names(projections)}"
            )
        paths |= matched
    return frozenset(paths)


def _ends_with(path: str, target: str) -> bool:
    return path == target or path.endswith(f".{target}")


def _names(projections: Mapping[str, str]) -> str:
    """Last parts of all names, ours with Hugging Face's in brackets, e.g. 'query (q_proj)'."""
    pairs = {(ours.rpartition(".")[2], theirs.rpartition(".")[2]): None for ours, theirs in projections.items()}
    return ", ".join(f"{ours} ({theirs})" for ours, theirs in pairs)


def uniform_fan_in(key: jax.Array, shape: tuple[int, ...], *, fan_in: int) -> jax.Array:
    """New `lora_a` values: uniform in ±1/sqrt(fan_in), float32.

    Source: peft 0.19 tuners/lora/layer.py reset_lora_parameters, kaiming_uniform_(a=sqrt(5)), whose bound
    sqrt(6 / ((1 + 5) · fan_in)) is this one.
    """
    bound = 1.0 / math.sqrt(fan_in)
    return jax.random.uniform(key, shape, jnp.float32, -bound, bound)


def folded(
    kernel: Float[Array, "L *kernel"], a: Float[Array, "L *inputs R"], b: Float[Array, "L R *outputs"], scale: float
) -> Float[Array, "L *kernel"]:
    """A stacked kernel [L, *in, *out] plus scale · A·B, summed in float32 and rounded once to the kernel's type.

    Args:
        kernel: base weights [L, *in, *out].
        a: [L, *in, R] float32.
        b: [L, R, *out] float32.
        scale: factor on A·B.
    """
    delta = jax.vmap(lambda a, b: jnp.tensordot(a, b, axes=1, precision=jax.lax.Precision.HIGHEST))(a, b)
    return (kernel.astype(jnp.float32) + scale * delta).astype(kernel.dtype)
