"""Attention over packed segments, for training and for decoding with a cache.

Scores and softmax are float32, matrix products in the compute type. A query sees a key of its own segment only; padding
is a segment of its own (0), so no row of a softmax is empty.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

# finite, so that a row in which everything is hidden stays a number
HIDDEN = -1e30


@jax.tree_util.register_dataclass
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

    def mask(self) -> Bool[Array, "B T S"]:
        """True where a query sees a key."""
        seen = self.query_segments[:, :, None] == self.key_segments[:, None, :]
        if self.query_branches is not None and self.key_branches is not None:
            keys = self.key_branches[:, None, :]
            seen &= (keys == 0) | (keys == self.query_branches[:, :, None])
        if self.causal:
            length, keys = seen.shape[1:]
            seen &= (jnp.arange(length)[:, None] >= jnp.arange(keys)[None, :])[None]
        return seen


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
    rows, length, heads, width = query.shape
    groups = heads // key.shape[2]
    grouped = query.reshape(rows, length, key.shape[2], groups, width)
    scores = jnp.einsum("btkgh,bskh->bkgts", grouped, key, preferred_element_type=jnp.float32) * scale
    if bias is not None:
        scores += bias.reshape(1, key.shape[2], groups, *bias.shape[1:])
    scores = jnp.where(visibility.mask()[:, None, None], scores, HIDDEN)
    weights = jax.nn.softmax(scores, axis=-1).astype(value.dtype)
    return jnp.einsum("bkgts,bskh->btkgh", weights, value).reshape(query.shape)
