"""T5's relative position bias: one table a stack, made into an attention bias once, outside the layer scan."""

from __future__ import annotations

import math

import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, Int

from flan_jax.model.nn.layers import ComputeSettings, normal


class RelativeBias(nnx.Module):
    """A stack's attention bias, read from a table [buckets, N] by the distance between key and query."""

    def __init__(
        self,
        buckets: int,
        heads: int,
        *,
        max_distance: int,
        is_bidirectional: bool,
        stddev: float,
        rngs: nnx.Rngs,
        settings: ComputeSettings,
    ) -> None:
        table = normal(rngs, (buckets, heads), stddev=stddev, dtype=settings.base_dtype)
        self.table = nnx.Param(table, axes=("buckets", "heads"))
        self.max_distance = max_distance
        self.is_bidirectional = is_bidirectional

    def __call__(self, query_places: Int[Array, "T"], key_places: Int[Array, "S"]) -> Float[Array, "N T S"]:
        """The bias in float32, from places in the row: within a segment their differences are those of positions."""
        lookup = distance_buckets(self.table.shape[0], self.max_distance, is_bidirectional=self.is_bidirectional)
        distance = key_places[None, :] - query_places[:, None]
        limit = self.max_distance
        buckets = jnp.asarray(lookup)[jnp.clip(distance, -limit, limit) + limit]
        return jnp.transpose(self.table[...].astype(jnp.float32)[buckets], (2, 0, 1))


def distance_buckets(buckets: int, max_distance: int, *, is_bidirectional: bool) -> np.ndarray:
    """Bucket of every distance key - query from -max_distance to max_distance, int32 [2 · max_distance + 1].

    Nearer half of a direction's buckets: one a distance; farther half: logarithmic up to max_distance. Made once on the
    host in float32, as the reference does, so that no accelerator's logarithm moves a distance to another bucket.

    Source: mesh_tensorflow transformer_layers.py, _relative_position_bucket.
    """
    distance = np.arange(-max_distance, max_distance + 1)
    first = np.zeros_like(distance)
    if is_bidirectional:
        buckets //= 2
        first = np.where(distance > 0, buckets, 0)
        distance = np.abs(distance)
    else:
        distance = np.maximum(-distance, 0)
    exact = buckets // 2
    ratio = np.log(np.maximum(distance, 1).astype(np.float32) / np.float32(exact))
    far = ratio / np.float32(math.log(max_distance / exact)) * np.float32(buckets - exact)
    far = np.minimum(exact + far.astype(np.int32), buckets - 1)
    return (first + np.where(distance < exact, distance, far)).astype(np.int32)
