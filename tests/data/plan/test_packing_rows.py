"""Packing against brute force: every example once, no overlap, and close to the least number of rows."""

import itertools
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flan_jax.data.plan import packing
from flan_jax.data.plan.packing import lower_bound, pack


def best_fit_decreasing(lengths: list[int], capacity: int) -> list[int]:
    """Rooms left in each row by the textbook algorithm."""
    rooms: list[int] = []
    for length in sorted(lengths, reverse=True):
        fitting = [room for room in rooms if room >= length]
        if fitting:
            rooms[rooms.index(min(fitting))] -= length
        else:
            rooms.append(capacity - length)
    return sorted(rooms)


@st.composite
def one_sided(draw):
    capacity = draw(st.integers(1, 40))
    return draw(st.lists(st.integers(1, capacity), min_size=1, max_size=60)), capacity


@given(one_sided())
@settings(max_examples=300, deadline=None)
def test_one_side_holds_every_example_once_in_no_more_rows_than_best_fit_decreasing(case):
    lengths, capacity = case
    column = np.array(lengths, np.int32)[:, None]
    rows = pack(column, (capacity,))
    loads = np.bincount(rows, weights=lengths)
    assert loads.max() <= capacity
    assert loads.min() > 0  # rows are numbered without gaps
    assert lower_bound(column, (capacity,)) <= len(loads) <= len(best_fit_decreasing(lengths, capacity))


@given(one_sided())
@settings(max_examples=300, deadline=None)
def test_best_fit_decreasing_is_the_textbook_algorithm(case):
    lengths, capacity = case
    descending = sorted(lengths, reverse=True)
    laid = packing._best_fit_decreasing(Counter(descending), capacity)
    loads = np.bincount(laid.rows(), weights=descending).astype(int)
    assert sorted((capacity - loads).tolist()) == best_fit_decreasing(lengths, capacity)


@given(st.lists(st.integers(1, 30), max_size=9), st.integers(0, 60))
@settings(max_examples=300, deadline=None)
def test_the_fullest_row_is_the_largest_sum_of_any_subset(lengths, room):
    chosen = packing._fullest(Counter(sorted(lengths, reverse=True)), room)
    subsets = itertools.chain.from_iterable(itertools.combinations(lengths, count) for count in range(len(lengths) + 1))
    assert sum(chosen) == max(total for total in map(sum, subsets) if total <= room)
    assert not Counter(chosen) - Counter(lengths)


@pytest.mark.parametrize(("mean", "capacity"), [(61, 512), (40, 256)])
def test_lengths_that_are_alike_are_within_one_percent_too(mean, capacity):
    lengths = np.random.default_rng(0).normal(mean, 6, 2000).round().astype(np.int32)[:, None]
    assert pack(lengths, (capacity,)).max() + 1 <= 1.01 * lower_bound(lengths, (capacity,))


@given(
    st.lists(st.tuples(st.integers(1, 30), st.integers(1, 12)), min_size=1, max_size=80),
)
@settings(max_examples=200, deadline=None)
def test_two_sides_hold_every_example_once_within_both_capacities(pairs):
    lengths, capacities = np.array(pairs, np.int32), (30, 12)
    rows = pack(lengths, capacities)
    assert len(rows) == len(pairs)
    assert set(rows.tolist()) == set(range(rows.max() + 1))
    for side, capacity in enumerate(capacities):
        assert np.bincount(rows, weights=lengths[:, side]).max() <= capacity
    assert lower_bound(lengths, capacities) <= rows.max() + 1 <= len(pairs)


@pytest.mark.parametrize("seed", range(3))
def test_short_examples_are_within_one_percent_of_the_lower_bound(seed):
    random = np.random.default_rng(seed)
    lengths = np.clip(random.lognormal(4.2, 0.6, 3300), 8, 512).astype(np.int32)[:, None]
    rows = pack(lengths, (512,))
    assert rows.max() + 1 <= 1.01 * lower_bound(lengths, (512,))


def test_pairs_are_within_one_percent_where_one_side_binds():
    random = np.random.default_rng(0)
    inputs = np.clip(random.lognormal(4.2, 0.6, 3300), 8, 512)
    targets = np.clip(random.lognormal(2.0, 0.6, 3300), 2, 128)
    lengths = np.stack([inputs, targets], axis=1).astype(np.int32)
    assert pack(lengths, (512, 128)).max() + 1 <= 1.01 * lower_bound(lengths, (512, 128))


def test_pairs_stay_close_where_both_sides_bind():
    random = np.random.default_rng(0)
    inputs = np.clip(random.lognormal(4.2, 0.6, 3300), 8, 512)
    targets = np.clip(random.lognormal(2.5, 1.2, 3300), 2, 128)
    lengths = np.stack([inputs, targets], axis=1).astype(np.int32)
    assert pack(lengths, (512, 128)).max() + 1 <= 1.06 * lower_bound(lengths, (512, 128))


def test_an_example_longer_than_the_row_is_a_defect():
    with pytest.raises(AssertionError, match="longer than the row"):
        pack(np.array([[9]]), (8,))
