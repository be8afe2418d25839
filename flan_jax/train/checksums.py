"""Checksums of arrays, computed where they lie: the same for every sharding, mesh and process count.

An array is read as 32-bit words w_i by global position i, and summed modulo 2³² with weights that depend on i:
Σ w_i · a_i and Σ w_i · b_i. Sums of integers do not depend on their order, so no array is gathered; the weights are
odd, so one flipped bit, which changes a word by ± 2^k, always changes both sums. Two words that change together escape
with a chance of about 2⁻⁶⁴. This guards against damage, not against forgery.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, UInt32

# odd multipliers: 2³² over the golden ratio, and one of Wellons' low-bias integer hashes (lowbias32)
_FIRST = np.uint32(0x9E3779B1)
_SECOND = np.uint32(0x846CA68B)


def array_checksums(arrays: Mapping[str, jax.Array], mesh: Mesh) -> UInt32[Array, "names 2"]:
    """Both sums of every array, in the mapping's order; dispatched, not waited for, and whole on every device."""
    return _jitted(mesh)(list(arrays.values()))


@functools.cache
def _jitted(mesh: Mesh) -> jax.stages.Wrapped:
    return jax.jit(_sums, out_shardings=NamedSharding(mesh, PartitionSpec()))


def _sums(arrays: Sequence[jax.Array]) -> jax.Array:
    return jnp.stack([_sum(array) for array in arrays])


def _sum(array: jax.Array) -> UInt32[Array, "2"]:
    words = _words(array)
    places = jnp.zeros(words.shape, jnp.uint32)
    for dimension, size in enumerate(words.shape):
        stride = math.prod(words.shape[dimension + 1 :]) % 2**32
        if size > 1:
            places += jax.lax.broadcasted_iota(jnp.uint32, words.shape, dimension) * jnp.uint32(stride)
    odd = 2 * places + 1
    first = words * (odd * _FIRST)
    mixed = (places ^ (places >> 15)) * _SECOND
    second = words * (mixed | 1)
    return jnp.stack([first.sum(dtype=jnp.uint32), second.sum(dtype=jnp.uint32)])


def _words(array: jax.Array) -> jax.Array:
    """One uint32 for each element of at most 32 bits."""
    bits = array.dtype.itemsize * 8
    if bits > 32:
        raise TypeError(f"checksums are of types up to 32 bits, found {array.dtype}")
    unsigned = {8: jnp.uint8, 16: jnp.uint16, 32: jnp.uint32}[bits]
    if array.dtype == jnp.bool:
        return array.astype(jnp.uint32)
    return jax.lax.bitcast_convert_type(array, unsigned).astype(jnp.uint32)
