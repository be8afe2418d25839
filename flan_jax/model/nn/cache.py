"""The key-value cache of a decoder: filled once from the prompt, then one place a step, in place.

The cache is carried through the layer scan and written by dynamic_update_slice, which XLA does without a copy; as a
scanned output it would be copied whole at every token.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Shaped

from flan_jax.model.nn.array_tree import array_tree
from flan_jax.model.nn.bits import from_bits, to_bits


@array_tree
@dataclass(frozen=True)
class Cache:
    """Keys and values of all layers; places fill from the left, the same for every row.

    Attributes:
        keys: [L, B, K, S, H]; S innermost but one, so that a head's keys lie together; `bits.to_bits` of them.
        values: [L, B, K, S, H], likewise.
        segments: int32 [B, S]; 0 where a place is padding and never seen.
        positions: int32 [B]; position of the next token of each row.
        place: int32 scalar; where the next token is written.
    """

    keys: Shaped[Array, "L B K S H"]
    values: Shaped[Array, "L B K S H"]
    segments: Int[Array, "B S"]
    positions: Int[Array, "B"]
    place: Int[Array, ""]

    def write(self, layer: Int[Array, ""], key: Float[Array, "B 1 K H"], value: Float[Array, "B 1 K H"]) -> Cache:
        """The cache with one layer's key and value of the current token."""
        zero = jnp.zeros((), jnp.int32)
        start = (layer, zero, zero, self.place, zero)
        keys = jax.lax.dynamic_update_slice(self.keys, to_bits(jnp.swapaxes(key, 1, 2)[None]), start)
        values = jax.lax.dynamic_update_slice(self.values, to_bits(jnp.swapaxes(value, 1, 2)[None]), start)
        return replace(self, keys=keys, values=values)

    def attend(self, layer: Int[Array, ""], query: Float[Array, "B 1 N H"], *, scale: float) -> Float[Array, "B 1 N H"]:
        """Attention of the current token over what one layer has cached, scores and softmax in float32."""
        keys = from_bits(jax.lax.dynamic_index_in_dim(self.keys, layer, keepdims=False))
        values = from_bits(jax.lax.dynamic_index_in_dim(self.values, layer, keepdims=False))
        rows, kv_heads, places, width = keys.shape
        grouped = query.reshape(rows, kv_heads, -1, width)
        scores = jnp.einsum("bkgh,bksh->bkgs", grouped, keys, preferred_element_type=jnp.float32) * scale
        seen = (self.segments > 0) & (jnp.arange(places, dtype=jnp.int32)[None] <= self.place)
        scores = jnp.where(seen[:, None, None], scores, -jnp.inf)
        weights = jax.nn.softmax(scores, axis=-1).astype(values.dtype)
        return jnp.einsum("bkgs,bksh->bkgh", weights, values).reshape(query.shape)

    def advance(self) -> Cache:
        """The cache after the current token, all layers written."""
        return replace(self, positions=self.positions + 1, place=self.place + 1)


def fill_cache(
    keys: Shaped[Array, "L B P K H"],
    values: Shaped[Array, "L B P K H"],
    segments: Int[Array, "B P"],
    positions: Int[Array, "B"],
    *,
    max_new_tokens: int,
) -> Cache:
    """A cache that holds a left-padded prompt, given as `bits.to_bits`, and has room for `max_new_tokens` more."""
    prompt = segments.shape[1]

    def widen(x: jax.Array) -> jax.Array:
        return jnp.pad(jnp.swapaxes(x, 2, 3), ((0, 0), (0, 0), (0, 0), (0, max_new_tokens), (0, 0)))

    return Cache(
        keys=widen(keys),
        values=widen(values),
        segments=jnp.pad(segments, ((0, 0), (0, max_new_tokens)), constant_values=1),
        positions=positions,
        place=jnp.asarray(prompt, jnp.int32),
    )
