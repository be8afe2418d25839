"""Keyed order without stored permutations: which example stands at which place of an epoch, computed where needed.

An epoch's permutation is a Feistel network over a rectangle of about sqrt(n) × sqrt(n) cells, evaluated only at the
places a window asks for and for all tasks at once. So a window costs the same for ten tasks and for a thousand, for
small data sets and large ones, and nothing is cached. All of it is integer arithmetic of our own: the order does not
change with numpy's version.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Int64, UInt64

from flan_jax.keyed import mix64

ORDER_VERSION = 1  # raised when the same keys would give another order; part of the saved position
_ROUNDS = 8  # each side is mixed four times


def permuted(
    places: Int64[np.ndarray, "m"], sizes: Int64[np.ndarray, "m"], keys: UInt64[np.ndarray, "m"]
) -> Int64[np.ndarray, "m"]:
    """What stands at each place of a permutation of 0 … size − 1.

    Args:
        places: 0 ≤ place < size, elementwise.
        sizes: length of the permutation the place belongs to.
        keys: key of that permutation; equal (size, key) are one permutation.

    Source: cycle walking over a Feistel network with addition in place of xor (Black and Rogaway: Ciphers with
    Arbitrary Finite Domains, 2002), so that any size is met closely and few places walk.
    """
    result = places.astype(np.uint64)
    sizes_u = sizes.astype(np.uint64)
    height = np.ceil(np.sqrt(sizes.astype(np.float64))).astype(np.uint64)
    width = (sizes_u + height - np.uint64(1)) // height
    walking = np.arange(len(places))
    while len(walking):
        stepped = _feistel(result[walking], height[walking], width[walking], keys[walking])
        result[walking] = stepped
        # The rectangle holds fewer than one more row of cells than there are places: few land outside and go on.
        walking = walking[stepped >= sizes_u[walking]]
    return result.astype(np.int64)


def _feistel(
    cells: UInt64[np.ndarray, "m"],
    height: UInt64[np.ndarray, "m"],
    width: UInt64[np.ndarray, "m"],
    keys: UInt64[np.ndarray, "m"],
) -> UInt64[np.ndarray, "m"]:
    """A keyed bijection of the cells of each element's height × width rectangle."""
    row, column = cells // width, cells % width
    for number in range(0, _ROUNDS, 2):
        row = (row + mix64(mix64(column ^ keys) + np.uint64(number)) % height) % height
        column = (column + mix64(mix64(row ^ keys) + np.uint64(number + 1)) % width) % width
    return row * width + column


def permutation(count: int, key: int) -> Int64[np.ndarray, "count"]:
    """A permutation of 0 … count − 1 under a 64-bit key."""
    ranks = mix64(np.arange(count, dtype=np.uint64) ^ np.uint64(key))
    return np.argsort(ranks, kind="stable")
