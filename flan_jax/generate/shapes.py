"""Sizes that few programs serve."""

from __future__ import annotations


def power_of_two(length: int, *, least: int) -> int:
    """The smallest power of two times `least` that is at least `length`."""
    size = least
    while size < length:
        size *= 2
    return size
