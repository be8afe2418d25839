"""Layers every model family is built of: projections with adapters, norms, embeddings, and the scan over layers.

Dimension letters, here and everywhere:

    B batch     T query position   S key position   D model width   F MLP width   V vocabulary
    N query heads   K key-value heads   G = N / K   H head dimension   L layers   R adapter rank

A module's parameters are stacked over layers by its `stack` argument ([L, ...]); `scan_layers` hands each layer its
slice, so a block's `__call__` is written for one layer. Modules hold no random state: dropout keys are arguments.
Parameters carry their logical axes as metadata `axes`, which `parallel.mesh` maps to the device mesh.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int, Key

from flan_jax.model.adapters.lora import LoRAParam, LoraSettings, uniform_fan_in
from flan_jax.model.nn.bits import LAYER_INPUT, PRODUCT, from_bits, keep, to_bits
from flan_jax.model.nn.matmul import project

Carry = TypeVar("Carry")


@dataclass(frozen=True)
class ComputeSettings:
    """How a model computes, apart from what it is.

    Attributes:
        compute_dtype: type of activations and matrix products.
        base_dtype: storage type of base parameters (float32 where they are tuned).
        remat: what the backward pass computes again: nothing, all but matrix products, or whole layers.
        unroll: layers in one step of the layer scan.
    """

    compute_dtype: jnp.dtype
    base_dtype: jnp.dtype
    remat: Literal["none", "dots", "full"]
    unroll: int


def normal(rngs: nnx.Rngs, shape: tuple[int, ...], *, stddev: float, dtype: jnp.dtype) -> jax.Array:
    """New values of a base parameter, drawn in float32 and rounded to `dtype`."""
    return (stddev * jax.random.normal(rngs.params(), shape, jnp.float32)).astype(dtype)


class Projection(nnx.Module):
    """A linear map [..., *in] → [..., *out], with a low-rank adapter where one is asked for."""

    def __init__(
        self,
        inputs: dict[str, int],
        outputs: dict[str, int],
        *,
        stack: int,
        stddev: float,
        rngs: nnx.Rngs,
        settings: ComputeSettings,
        lora: LoraSettings | None,
        bias: bool = False,
    ) -> None:
        """Makes the parameters.

        Args:
            inputs: logical axis → size of the contracted dimensions, e.g. {'embed': D}.
            outputs: logical axis → size of the dimensions made, e.g. {'heads': N, 'head_dim': H}.
            stack: number of layers L; parameters are [L, ...].
            stddev: of new kernel values.
            rngs: streams `params` (base) and `lora` (adapters), so that the base does not depend on the adapters.
            settings: storage type of the kernel.
            lora: adapter settings; none: no adapter.
            bias: whether a bias is added (zero at first).
        """
        self.contracted = len(inputs)
        in_shape, out_shape = tuple(inputs.values()), tuple(outputs.values())
        kernel = normal(rngs, (stack, *in_shape, *out_shape), stddev=stddev, dtype=settings.base_dtype)
        self.kernel = nnx.Param(kernel, axes=("layers", *inputs, *outputs))
        self.bias = (
            None
            if not bias
            else nnx.Param(jnp.zeros((stack, *out_shape), settings.base_dtype), axes=("layers", *outputs))
        )
        self.lora_a: LoRAParam | None
        self.lora_b: LoRAParam | None
        if lora is None:
            self.lora_a = self.lora_b = None
            self.lora_scale = self.lora_dropout = 0.0
            return
        self.lora_scale, self.lora_dropout = lora.scale, lora.dropout
        a = uniform_fan_in(rngs.lora(), (stack, *in_shape, lora.rank), fan_in=math.prod(in_shape))
        b = jnp.zeros((stack, lora.rank, *out_shape), jnp.float32)
        self.lora_a = LoRAParam(a, axes=("layers", *inputs, "rank"))
        self.lora_b = LoRAParam(b, axes=("layers", "rank", *outputs))

    def __call__(self, x: Float[Array, "..."], *, dropout_key: Key[Array, ""] | None = None) -> Float[Array, "..."]:
        """x·W (+ bias) + scale · ((dropout(x)·A)·B), in the type of `x`."""
        y = project(x, self.kernel[...], self.contracted)
        if self.bias is not None:
            y = y + jnp.broadcast_to(self.bias[...].astype(y.dtype), y.shape)
        if self.lora_a is not None and self.lora_b is not None:
            if dropout_key is not None and self.lora_dropout > 0:
                x = drop(x, self.lora_dropout, dropout_key)
            low = project(x, self.lora_a[...], self.contracted) * jnp.asarray(self.lora_scale, x.dtype)
            y = y + project(keep(low, PRODUCT), self.lora_b[...], 1)
        return keep(y, PRODUCT)


def drop(x: Float[Array, "..."], rate: float, key: Key[Array, ""]) -> Float[Array, "..."]:
    """`x` with entries zeroed at `rate` and the rest scaled by 1 / (1 - rate)."""
    kept = jax.random.bernoulli(key, 1.0 - rate, x.shape)
    return jnp.where(kept, x / jnp.asarray(1.0 - rate, x.dtype), jnp.zeros((), x.dtype))


@jax.custom_vjp
def _gated_silu(gate: jax.Array, up: jax.Array) -> jax.Array:
    return _gated_silu_forward(gate, up)[0]


def _gated_silu_forward(gate: jax.Array, up: jax.Array) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    wide = gate.astype(jnp.float32)
    return (wide * jax.nn.sigmoid(wide) * up.astype(jnp.float32)).astype(gate.dtype), (gate, up)


def _gated_silu_backward(residuals: tuple[jax.Array, jax.Array], cotangent: jax.Array) -> tuple[jax.Array, jax.Array]:
    gate, up, cotangent = (x.astype(jnp.float32) for x in (*residuals, cotangent))
    share = jax.nn.sigmoid(gate)
    gate_gradient = cotangent * up * share * (1 + gate * (1 - share))
    return gate_gradient.astype(residuals[0].dtype), (cotangent * gate * share).astype(residuals[1].dtype)


_gated_silu.defvjp(_gated_silu_forward, _gated_silu_backward)


def gated_silu(gate: Float[Array, "*B F"], up: Float[Array, "*B F"]) -> Float[Array, "*B F"]:
    """silu(gate) · up, computed in float32 and rounded once; each gradient is one fused pass over the operands."""
    return _gated_silu(gate, up)


class RMSNorm(nnx.Module):
    """Division by the root mean square over the last dimension, times a learnt scale."""

    def __init__(self, size: int, *, epsilon: float, stack: int | None, settings: ComputeSettings) -> None:
        shape, axes = ((size,), ("norm",)) if stack is None else ((stack, size), ("layers", "norm"))
        self.scale = nnx.Param(jnp.ones(shape, settings.base_dtype), axes=axes)
        self.epsilon = epsilon

    def __call__(self, x: Float[Array, "*B D"]) -> Float[Array, "*B D"]:
        """The normed `x`, in its type."""
        # statistics in f32: bf16 squares lose the sum; the scale is applied after rounding as in the reference
        wide = x.astype(jnp.float32)
        inverse = jax.lax.rsqrt(jnp.mean(jnp.square(wide), axis=-1, keepdims=True) + self.epsilon)
        scale = jnp.broadcast_to(self.scale[...].astype(x.dtype), x.shape)
        return (wide * inverse).astype(x.dtype) * scale


class Embedding(nnx.Module):
    """A table [V, D] of token vectors; also the shape of an untied output head."""

    def __init__(
        self, vocabulary: int, width: int, *, stddev: float, rngs: nnx.Rngs, settings: ComputeSettings
    ) -> None:
        table = normal(rngs, (vocabulary, width), stddev=stddev, dtype=settings.base_dtype)
        self.table = nnx.Param(table, axes=("vocab", "embed"))
        self.compute_dtype = settings.compute_dtype

    def __call__(self, ids: Int[Array, "..."]) -> Float[Array, "... D"]:
        """Rows of the table in the compute type."""
        return from_bits(to_bits(self.table[...])[ids]).astype(self.compute_dtype)


def scan_layers(
    blocks: nnx.Module,
    layer: Callable[[Any, Carry, Any], tuple[Carry, Any]],
    carry: Carry,
    xs: Any,
    *,
    settings: ComputeSettings,
) -> tuple[Carry, Any]:
    """Runs `layer(block, carry, x)` over the stacked layers of `blocks`; returns the last carry and stacked outputs.

    Args:
        blocks: a module whose every parameter is stacked [L, ...].
        layer: the work of one layer; `block` is `blocks` with that layer's slices as parameters.
        carry: what goes from layer to layer.
        xs: a pytree of [L, ...] arrays, one slice a layer (dropout keys, layer numbers), or none.
        settings: remat and unroll.
    """
    graph, state = nnx.split(blocks)

    def body(carry: Carry, inputs: tuple[nnx.State, Any]) -> tuple[Carry, Any]:
        state, x = inputs
        block = nnx.merge(graph, jax.tree.map(from_bits, state))
        return layer(block, jax.tree.map(_keep_input, carry), x)

    kept = {"dots": (PRODUCT, LAYER_INPUT), "full": (LAYER_INPUT,)}
    if settings.remat != "none":
        policy = jax.checkpoint_policies.save_only_these_names(*kept[settings.remat])
        body = jax.checkpoint(body, policy=policy, prevent_cse=False)
    return jax.lax.scan(body, carry, (jax.tree.map(to_bits, state), xs), unroll=settings.unroll)


def _keep_input(x: jax.Array) -> jax.Array:
    return keep(x, LAYER_INPUT) if jnp.issubdtype(x.dtype, jnp.floating) else x
