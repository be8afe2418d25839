"""Packing: which row each example of a window goes into, from lengths alone.

One-sided rows (decoder) are packed twice, and the packing with fewer rows is taken: best-fit-decreasing is near the
least number of rows where lengths vary widely, exact subset sums where they are alike (three examples of 150 in a row
of 512 leave 62 that nothing fits). Both work on the histogram of lengths, so the cost grows with the number of
distinct lengths and not with the number of examples. Two-sided rows (encoder-decoder) are packed by the side that
binds, and where both bind by `packing_pairs`.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Int, Int64

from flan_jax.data.plan.packing_pairs import pack_two_sides

_CLOSE_ENOUGH = 1.005  # times the lower bound: not worth another packing
PACKING_VERSION = 1  # raised when the same lengths would give other rows; part of the saved position


def pack(lengths: Int[np.ndarray, "m sides"], capacities: tuple[int, ...]) -> Int64[np.ndarray, "m"]:
    """The row of each example; rows are numbered from 0 without gaps.

    Args:
        lengths: positions each example takes on each side, from 1 to the side's capacity.
        capacities: positions of a row on each side.

    Returns:
        Row numbers. The same lengths in the same order give the same rows on every machine.
    """
    assert lengths.shape[1] == len(capacities), f"lengths have {lengths.shape[1]} sides, capacities {capacities}"
    assert np.all((lengths >= 1) & (lengths <= np.array(capacities))), "an example is empty or longer than the row"
    if len(capacities) == 1:
        return _pack_one_side(lengths[:, 0], capacities[0])
    return _pack_pairs(lengths, capacities)


def lower_bound(lengths: Int[np.ndarray, "m sides"], capacities: tuple[int, ...]) -> int:
    """The least number of rows that could hold these examples: the binding side's total over its capacity."""
    return max(-(-int(total) // capacity) for total, capacity in zip(lengths.sum(axis=0), capacities, strict=True))


def _pack_pairs(lengths: Int[np.ndarray, "m 2"], capacities: tuple[int, ...]) -> Int64[np.ndarray, "m"]:
    """By the side that binds; only rows that are too full on the other side are packed again with both in view.

    That is fast and near the lower bound where one side has room to spare, as it mostly is; where it is not, all is
    packed with both sides in view as well, and the packing with fewer rows is taken.
    """
    least = lower_bound(lengths, capacities)
    binding = int(np.argmax(lengths.sum(axis=0) / np.array(capacities)))
    rows = _pack_one_side(lengths[:, binding], capacities[binding])
    is_over = np.bincount(rows, weights=lengths[:, 1 - binding]) > capacities[1 - binding]
    again = is_over[rows]
    rows = (np.cumsum(~is_over) - 1)[rows]
    rows[again] = np.count_nonzero(~is_over) + pack_two_sides(lengths[again], capacities)
    if rows.max(initial=-1) + 1 <= _CLOSE_ENOUGH * least:
        return rows
    both = pack_two_sides(lengths, capacities)
    return both if both.max() < rows.max() else rows


@dataclass
class _Laid:
    """Rows laid so far: step k puts `taken[k]` examples of length `lengths[k]`, `per_row[k]` a row, from a row on."""

    num_rows: int = 0
    lengths: list[int] = field(default_factory=list)
    first_rows: list[int] = field(default_factory=list)
    taken: list[int] = field(default_factory=list)
    per_row: list[int] = field(default_factory=list)

    def lay(self, length: int, first_row: int, num_rows: int, per_row: int) -> None:
        """Puts `per_row` examples into each of `num_rows` rows."""
        self.lengths.append(length)
        self.first_rows.append(first_row)
        self.taken.append(num_rows * per_row)
        self.per_row.append(per_row)

    def rows(self) -> Int64[np.ndarray, "m"]:
        """The row of each example, longest examples first."""
        lengths, first_rows, counts, per_row = (
            np.array(column, np.int64) for column in (self.lengths, self.first_rows, self.taken, self.per_row)
        )
        order = np.argsort(-lengths, kind="stable")
        first_rows, counts, per_row = first_rows[order], counts[order], per_row[order]
        within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        return np.repeat(first_rows, counts) + within // np.repeat(per_row, counts)


def _pack_one_side(lengths: Int[np.ndarray, "m"], capacity: int) -> Int64[np.ndarray, "m"]:
    # Longest first and stable; 16-bit keys sort by radix.
    is_small = capacity <= np.iinfo(np.uint16).max
    order = np.argsort((capacity - lengths).astype(np.uint16 if is_small else np.int64), kind="stable")
    distinct, counts = np.unique(lengths, return_counts=True)
    histogram = dict(zip(distinct[::-1].tolist(), counts[::-1].tolist(), strict=True))
    laid = _best_fit_decreasing(histogram, capacity)
    if laid.num_rows > lower_bound(lengths[:, None], (capacity,)):
        laid = min(laid, _subset_sums(histogram, capacity), key=lambda some: some.num_rows)
    rows = np.empty(len(lengths), np.int64)
    rows[order] = laid.rows()
    return rows


def _best_fit_decreasing(histogram: dict[int, int], capacity: int) -> _Laid:
    """Each example into the fullest row that has room, longest first (Johnson, 1973), a whole length at a time."""
    laid = _Laid()
    # waiting[r]: ranges (first row, number of rows) of rows with r positions left; bit r of `present`: not empty.
    waiting: list[list[tuple[int, int]]] = [[] for _ in range(capacity + 1)]
    present = 0

    def fill(first: int, available: int, room: int, length: int, count: int) -> int:
        """Puts up to `count` examples into rows first …; returns how many found room."""
        nonlocal present
        fits = room // length
        whole = min(available, count // fits)
        rest = 0 if whole == available else count - whole * fits
        used = 0
        for rows, items in ((whole, fits), (int(rest > 0), rest), (available - whole - int(rest > 0), 0)):
            if not rows:
                continue
            left = room - items * length
            if left:
                waiting[left].append((first + used, rows))
                present |= 1 << left
            if items:
                laid.lay(length, first + used, rows, items)
            used += rows
        return whole * fits + rest

    for length, count in histogram.items():
        while count:
            fitting = present >> length
            if not fitting:
                opened = -(-count // (capacity // length))
                count -= fill(laid.num_rows, opened, capacity, length, count)
                laid.num_rows += opened
                continue
            # The fullest rows that still have room: the lowest set bit.
            room = length + (fitting & -fitting).bit_length() - 1
            first, available = waiting[room].pop()
            if not waiting[room]:
                present &= ~(1 << room)
            count -= fill(first, available, room, length, count)
    return laid


def _subset_sums(histogram: dict[int, int], capacity: int) -> _Laid:
    """Each row holds the longest example left and those others that fill it best, as often as the lengths last.

    Source: the minimum bin slack heuristic (Gupta and Ho, 1999), with the longest example fixed (Fleszar and Hindi,
    2002) and the search replaced by bit sets of reachable sums.
    """
    laid = _Laid()
    left = dict(histogram)  # longest first
    while left:
        longest = next(iter(left))
        left[longest] -= 1
        uses = Counter(_fullest(left, capacity - longest))
        left[longest] += 1
        uses[longest] += 1
        copies = min(left[length] // use for length, use in uses.items())
        for length, use in uses.items():
            laid.lay(length, laid.num_rows, copies, use)
            left[length] -= use * copies
            if not left[length]:
                del left[length]
        laid.num_rows += copies
    return laid


def _fullest(left: dict[int, int], room: int) -> list[int]:
    """Lengths with the largest sum up to `room`, of those left; longer ones are preferred."""
    mask = (1 << (room + 1)) - 1
    reachable = 1  # bit s: some of the lengths so far sum to s
    steps: list[tuple[int, int]] = []  # each length tried, and what was reachable before it
    for length, count in left.items():
        for _ in range(min(count, room // length)):
            more = (reachable | reachable << length) & mask
            if more == reachable:
                break
            steps.append((length, reachable))
            reachable = more
        if reachable >> room:
            break
    total = reachable.bit_length() - 1
    chosen = []
    for length, before in reversed(steps):
        if not before >> total & 1:
            chosen.append(length)
            total -= length
    return chosen
