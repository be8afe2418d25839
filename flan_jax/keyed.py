"""Keyed choices, and answer options as text.

Every choice is a function of a key alone, through blake2b: no random state, no order of calls, the same on every host.
"""

from __future__ import annotations

import functools
import hashlib
import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import UInt64

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def key64(*parts: str | int) -> int:
    """A 64-bit key of these parts, the same on every machine."""
    text = "\x1f".join(str(part) for part in parts)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


def mix64(values: UInt64[np.ndarray, "*shape"]) -> UInt64[np.ndarray, "*shape"]:
    """A well-mixed bijection of 64-bit integers.

    Source: the finalizer of SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014).
    """
    values = values + _GOLDEN
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


# One blake2b digest is 512 bits; 48! < 2^204, so a digest for every 48 items leaves the order uniform to 1 in 2^300
_ITEMS_PER_DIGEST = 48


def bits(key: str, *, digests: int = 1) -> int:
    """An integer of 512 · `digests` bits that follows from `key`."""
    if digests == 1:
        return int.from_bytes(hashlib.blake2b(key.encode()).digest(), "little")
    parts = (hashlib.blake2b(f"{key}\x1f{part}".encode()).digest() for part in range(digests))
    return int.from_bytes(b"".join(parts), "little")


def shuffled(items: Sequence[str], key: str) -> tuple[str, ...]:
    """The items in the order that follows from `key` (Fisher-Yates)."""
    order = list(items)
    rest = bits(key, digests=1 + len(order) // _ITEMS_PER_DIGEST)
    for last in range(len(order) - 1, 0, -1):
        rest, place = divmod(rest, last + 1)
        order[last], order[place] = order[place], order[last]
    return tuple(order)


def walk(count: int, key: str, step: int) -> int:
    """Place `step` of a walk over `count` places that follows from `key` and meets each once before any repeats."""
    if count == 1:
        return 0
    drawn = bits(key)
    strides = _strides(count)
    stride = strides[(drawn >> 64) % len(strides)]
    return ((drawn & (2**64 - 1)) + step * stride) % count


@functools.cache
def _strides(count: int) -> tuple[int, ...]:
    """Strides that have no divisor in common with `count`, so that a walk meets every place."""
    return tuple(stride for stride in range(1, count) if math.gcd(stride, count) == 1)
