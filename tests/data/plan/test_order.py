"""Keyed permutations: bijections of any size, different for each key, and fixed for good."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from flan_jax.data.plan.order import permutation, permuted
from flan_jax.keyed import key64, mix64


def every_place(size: int, key: int) -> np.ndarray:
    return permuted(np.arange(size), np.full(size, size), np.full(size, key, np.uint64))


@given(st.integers(1, 3000), st.integers(0, 2**64 - 1))
@settings(max_examples=150, deadline=None)
def test_every_size_is_permuted(size, key):
    assert sorted(every_place(size, key).tolist()) == list(range(size))


def test_places_of_many_permutations_are_found_at_once():
    sizes, keys = np.array([5, 1000, 5]), np.array([1, 2, 3], np.uint64)
    together = permuted(np.array([4, 777, 0]), sizes, keys)
    assert together.tolist() == [every_place(5, 1)[4], every_place(1000, 2)[777], every_place(5, 3)[0]]


def test_each_place_gets_each_example_equally_often():
    size, num_keys = 7, 14_000
    keys = mix64(np.arange(num_keys, dtype=np.uint64))
    counts = np.zeros((size, size))
    for place in range(size):
        found = permuted(np.full(num_keys, place), np.full(num_keys, size), keys)
        counts[place] = np.bincount(found, minlength=size)
    expected = num_keys / size
    chi_squared = ((counts - expected) ** 2 / expected).sum()
    assert chi_squared < 85  # (7 − 1)² = 36 degrees of freedom: 1 in 100,000


def test_neighbours_do_not_stay_neighbours():
    found = every_place(10_000, 5)
    assert np.mean(np.abs(np.diff(found)) < 10) < 0.01


def test_order_never_changes():
    # A change of these numbers changes the data order of every saved run.
    assert key64("order", 0, "task") == 181005633214130286
    assert every_place(10, 1).tolist() == [3, 5, 8, 6, 2, 9, 1, 4, 0, 7]
    assert permutation(10, 1).tolist() == [2, 4, 6, 5, 0, 3, 9, 8, 7, 1]
