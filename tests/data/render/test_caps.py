"""Caps on examples: the same choice in one pass and in two, in the source's order, and every drop counted."""

from collections.abc import Iterator

import numpy as np
import pytest

from flan_jax.data.render import caps
from flan_jax.data.render.caps import OVER_CAP, capped
from flan_jax.data.spec.fields import Dropped
from flan_jax.errors import InputError


def items(count: int) -> Iterator[tuple[int, dict[str, int]] | Dropped]:
    for number in range(count):
        yield Dropped("no use", number) if number % 7 == 0 else (number, {"n": number})


def choice(count: int, cap: int | None, **options) -> tuple[list[int], dict[str, list[int]]]:
    kept, dropped = [], {}
    for item in capped(lambda: items(count), cap, "key", **options):
        if isinstance(item, Dropped):
            dropped.setdefault(item.reason, []).append(item.example_id)
        else:
            assert item[1] == {"n": item[0]}
            kept.append(item[0])
    return kept, {reason: sorted(ids) for reason, ids in dropped.items()}


@pytest.mark.parametrize("cap", [1, 7, 60, 171, 172, 500])
def test_two_passes_choose_what_one_pass_chooses(cap):
    kept, dropped = choice(200, cap)
    assert choice(200, cap, held_cap=0) == (kept, dropped)
    assert kept == sorted(kept)
    assert len(kept) == min(cap, 171)
    assert sorted([*kept, *dropped.get(OVER_CAP, []), *dropped["no use"]]) == list(range(200))


def test_no_cap_reads_once_and_keeps_all():
    assert choice(200, None) == choice(200, 171)


@pytest.mark.parametrize("held_cap", [0, 100])
def test_of_equal_hashes_the_first_examples_stay(monkeypatch, held_cap):
    monkeypatch.setattr(caps, "_hash", lambda key, example_id: example_id % 2)
    kept, _ = choice(30, 15, held_cap=held_cap)
    even, odd = [n for n in range(0, 30, 2) if n % 7], [n for n in range(1, 30, 2) if n % 7]
    assert kept == sorted([*even, *odd[: 15 - len(even)]])


def test_the_choice_is_spread_over_the_source():
    kept, _ = choice(20_000, 2_000)
    counts = np.histogram(kept, bins=10, range=(0, 20_000))[0]
    assert counts.min() > 140
    assert counts.max() < 260


@pytest.mark.parametrize(
    ("counts", "cap", "found"), [((50, 40), 100, "42 examples, and 34"), ((50, 50, 40), 10, "42 examples, and 34")]
)
def test_a_source_that_changes_between_readings_is_refused(counts, cap, found):
    given = iter(counts)
    with pytest.raises(InputError, match=f"gave {found} when it was read again"):
        list(capped(lambda: items(next(given)), cap, "key", held_cap=0))


@pytest.mark.parametrize("cap", [1, 3, 100])
def test_a_cap_by_a_field_holds_for_each_of_its_values(cap):
    sizes = {"a": 40, "b": 2, "c": 10}
    given = [(number, {"task": task}) for number, task in enumerate("a" * 40 + "b" * 2 + "c" * 10)]
    kept: dict[str, list[int]] = {task: [] for task in sizes}
    num_dropped = 0
    for item in capped(lambda: iter(given), cap, "key", by="task"):
        if isinstance(item, Dropped):
            num_dropped += 1
        else:
            kept[item[1]["task"]].append(item[0])
    assert {task: len(ids) for task, ids in kept.items()} == {task: min(size, cap) for task, size in sizes.items()}
    assert num_dropped == 52 - sum(map(len, kept.values()))
    alone = [item[0] for item in capped(lambda: given[:40], cap, "key") if not isinstance(item, Dropped)]
    assert kept["a"] == alone
    with pytest.raises(InputError, match="field 'genre', which an example has not"):
        list(capped(lambda: iter(given), cap, "key", by="genre"))
