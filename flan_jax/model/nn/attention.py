"""Attention over packed segments: exact, in chunks of queries, without keeping a T × S array for the backward pass.

Scores and softmax are float32, matrix products in the compute type with float32 sums. A query sees a key of its own
segment only; padding is a segment of its own (0), so no row of a softmax is empty. A causal chunk of queries reads only
the keys up to its end, which spares 3/8 of the work at 4 chunks.

The backward pass makes the scores again from the saved log-sum-exp. It works on their transpose, [S, T]: the gradients
of keys and values are then plain products, and the one transposition left is that of the small keys. (XLA's CPU
products that contract a leading dimension transpose first, at several times the cost of the product; GPU and TPU take
either form alike.)

Source: Dao et al. 2022, FlashAttention (arXiv:2205.14135) appendix B.4 for the backward pass from the log-sum-exp.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from flan_jax.model.nn.array_tree import array_tree
from flan_jax.model.nn.bits import PRODUCT, named

# finite, so that a row in which everything is hidden stays a number
HIDDEN = -1e30
MIN_CHUNK = 128
MAX_CHUNKS = 8


@array_tree
@dataclass(frozen=True)
class Visibility:
    """Which keys a query sees.

    Attributes:
        query_segments: [B, T]; a query sees keys of the same segment.
        key_segments: [B, S].
        query_branches: [B, T] or none; a key of branch 0 is seen by all of its segment, others by their own branch.
        key_branches: [B, S] or none.
        causal: whether key s is hidden from queries t < s (places in the row, not positions).
    """

    query_segments: Int[Array, "B T"]
    key_segments: Int[Array, "B S"]
    query_branches: Int[Array, "B T"] | None = None
    key_branches: Int[Array, "B S"] | None = None
    causal: bool = field(default=False, metadata={"static": True})

    def mask(self, queries: slice, keys: slice) -> Bool[Array, "B 1 T S"]:
        """True where a query of the slice sees a key of the slice."""
        return self._mask(queries, keys, query_axis=1)

    def transposed_mask(self, queries: slice, keys: slice) -> Bool[Array, "B 1 S T"]:
        """`mask` with keys first."""
        return self._mask(queries, keys, query_axis=2)

    def _mask(self, queries: slice, keys: slice, *, query_axis: int) -> jax.Array:
        # made in the order it is read in, not transposed: a transposition inside a fusion costs more than the mask
        query_side = partial(jnp.expand_dims, axis=3 - query_axis)
        key_side = partial(jnp.expand_dims, axis=query_axis)
        seen = query_side(self.query_segments[:, queries]) == key_side(self.key_segments[:, keys])
        if self.query_branches is not None and self.key_branches is not None:
            branches = key_side(self.key_branches[:, keys])
            seen &= (branches == 0) | (branches == query_side(self.query_branches[:, queries]))
        if self.causal:
            places = jnp.arange(queries.start, queries.stop, dtype=jnp.int32)[None]
            seen &= query_side(places) >= key_side(jnp.arange(keys.start, keys.stop, dtype=jnp.int32)[None])
        return seen[:, None]


def attend(
    query: Float[Array, "B T N H"],
    key: Float[Array, "B S K H"],
    value: Float[Array, "B S K H"],
    visibility: Visibility,
    *,
    scale: float,
    bias: Float[Array, "N T S"] | None = None,
) -> Float[Array, "B T N H"]:
    """The softmax-weighted sum of values for every query.

    Args:
        query: N = K · G heads; query head n reads key-value head n // G.
        key: as `value`.
        value: in the compute type.
        visibility: which keys a query sees.
        scale: factor on the scores (1 for T5, whose initial weights hold it).
        bias: float32, added to the scaled scores.

    Returns:
        In the type of `query`.
    """
    groups = query.shape[2] // key.shape[2]
    query, key, value = (jnp.swapaxes(x, 1, 2) for x in (query, key, value))
    return jnp.swapaxes(_attend(query, _repeat(key, groups), _repeat(value, groups), bias, visibility, scale), 1, 2)


def _repeat(x: Float[Array, "B K S H"], groups: int) -> Float[Array, "B N S H"]:
    """Every head `groups` times; small beside the scores, and it leaves one product form for all head counts."""
    return x if groups == 1 else jnp.repeat(x, groups, axis=1)


def _chunks(length: int, keys: int, causal: bool) -> list[tuple[slice, slice]]:
    """Slices of queries, each with the slice of keys it may see."""
    size = max(MIN_CHUNK, -(-length // MAX_CHUNKS))
    bounds = [(start, min(start + size, length)) for start in range(0, length, size)]
    return [(slice(start, stop), slice(0, stop if causal else keys)) for start, stop in bounds]


def _product(x: jax.Array, y: jax.Array, x_axis: int, y_axis: int) -> jax.Array:
    """A product per row and head over one axis each, in float32."""
    dimensions = (((x_axis,), (y_axis,)), ((0, 1), (0, 1)))
    return jax.lax.dot_general(x, y, dimensions, preferred_element_type=jnp.float32)


@partial(jax.custom_vjp, nondiff_argnums=(5,))
def _attend(
    query: Float[Array, "B N T H"],
    key: Float[Array, "B N S H"],
    value: Float[Array, "B N S H"],
    bias: Float[Array, "N T S"] | None,
    visibility: Visibility,
    scale: float,
) -> Float[Array, "B N T H"]:
    return _attend_forward(query, key, value, bias, visibility, scale)[0]


def _attend_forward(
    query: jax.Array, key: jax.Array, value: jax.Array, bias: jax.Array | None, visibility: Visibility, scale: float
) -> tuple[jax.Array, tuple]:
    outputs, sums = [], []
    for queries, keys in _chunks(query.shape[2], key.shape[2], visibility.causal):
        scores = _product(query[:, :, queries], key[:, :, keys], 3, 3) * scale  # [B, N, T, S]
        if bias is not None:
            scores += bias[None, :, queries, keys]
        scores = jnp.where(visibility.mask(queries, keys), scores, HIDDEN)
        largest = jnp.max(scores, axis=-1, keepdims=True)
        # rounded before they are summed, so that what multiplies the values sums to one
        weights = jnp.exp(scores - largest).astype(value.dtype)
        total = jnp.sum(weights.astype(jnp.float32), axis=-1, keepdims=True)
        summed = _product(weights, value[:, :, keys], 3, 2)  # [B, N, T, H]
        outputs.append((summed / total).astype(query.dtype))
        sums.append(largest + jnp.log(total))
    # named, so that the remat policy "dots" keeps them and the backward pass does not run this one again
    output = named(jnp.concatenate(outputs, axis=2), PRODUCT)
    log_sum = named(jnp.squeeze(jnp.concatenate(sums, axis=2), -1), PRODUCT)
    return output, (query, key, value, bias, visibility, output, log_sum)


def _attend_backward(scale: float, residuals: tuple, cotangent: jax.Array) -> tuple:
    query, key, value, bias, visibility, output, log_sum = residuals
    # what a score's gradient is measured from: the sum over keys of weight · gradient, [B, N, T]
    mean = jnp.sum(cotangent.astype(jnp.float32) * output.astype(jnp.float32), axis=-1)
    # the barrier keeps XLA from folding the transposition into a product that its CPU backend widens (jax 0.10)
    key_columns = jax.lax.optimization_barrier(jnp.swapaxes(key, 2, 3))
    key_gradient = jnp.zeros(key.shape, jnp.float32)
    value_gradient = jnp.zeros(value.shape, jnp.float32)
    bias_gradient = None if bias is None else jnp.zeros(bias.shape, jnp.float32)
    query_gradients = []
    for queries, keys in _chunks(query.shape[2], key.shape[2], visibility.causal):
        some, outer = query[:, :, queries], cotangent[:, :, queries]
        scores = _product(key[:, :, keys], some, 3, 3) * scale  # [B, N, S, T]
        if bias is not None:
            scores += jnp.swapaxes(bias[:, queries, keys], 1, 2)[None]
        weights = jnp.exp(scores - log_sum[:, :, None, queries])
        weights = jnp.where(visibility.transposed_mask(queries, keys), weights, 0.0).astype(value.dtype)
        value_gradient = value_gradient.at[:, :, keys].add(_product(weights, outer, 3, 2))
        weight_gradient = _product(value[:, :, keys], outer, 3, 3)
        score_gradient = weights.astype(jnp.float32) * (weight_gradient - mean[:, :, None, queries])
        if bias_gradient is not None:
            bias_gradient = bias_gradient.at[:, queries, keys].add(jnp.swapaxes(jnp.sum(score_gradient, axis=0), 1, 2))
        score_gradient = (score_gradient * scale).astype(key.dtype)
        key_gradient = key_gradient.at[:, :, keys].add(_product(score_gradient, some, 3, 2))
        query_gradients.append(_product(key_columns[..., keys], score_gradient, 3, 2))  # [B, N, H, T]
    query_gradient = jnp.swapaxes(jnp.concatenate(query_gradients, axis=3), 2, 3).astype(query.dtype)
    return query_gradient, key_gradient.astype(key.dtype), value_gradient.astype(value.dtype), bias_gradient, None


_attend.defvjp(_attend_forward, _attend_backward)
