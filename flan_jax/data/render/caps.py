"""At most so many examples of a split, chosen by a keyed hash of their ids and given in the source's order.

The choice depends on no order of reading and on no record: a sorted source keeps all its classes. Small caps keep the
chosen fields in memory and read the source once. A large one first reads the source to see whether there are more
examples at all, and if so again for the hashes alone (8 bytes an example); so does one for each value of a field.
"""

from __future__ import annotations

import heapq
from array import array
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any

import numpy as np

from flan_jax.data.spec.fields import Dropped
from flan_jax.data.spec.task import Fields
from flan_jax.errors import InputError
from flan_jax.keyed import bits

OVER_CAP = "over the cap on examples"
HELD_CAP = 50_000  # the largest cap whose fields are held in memory: about 100 MB of short texts

Item = tuple[int, Fields] | Dropped


def capped(
    read: Callable[[], Iterable[Item]], cap: int | None, key: str, *, by: str = "", held_cap: int = HELD_CAP
) -> Iterator[Item]:
    """The items that `read` gives, at most `cap` of them not dropped: those whose keyed hash is smallest.

    Args:
        read: begins to read the items, ids rising; called up to three times where `cap` is above `held_cap` or `by` is
            given.
        cap: most examples; none: all.
        key: of the hash.
        by: field for each value of which the cap holds; empty: for all examples together.
        held_cap: the largest cap for which the source is read once.

    Raises:
        InputError: the second reading gives more or fewer examples than the first.
    """
    if cap is None:
        yield from read()
    elif cap <= held_cap and not by:
        yield from _in_one_pass(read(), cap, key)
    elif by or (count := _count(read(), cap + 1)) > cap:
        yield from _in_two_passes(read, cap, key, by)
    else:
        yield from _all(read(), count)


def _count(items: Iterable[Item], most: int) -> int:
    """How many items are not dropped, counted up to `most`."""
    return sum(1 for _ in islice((item for item in items if not isinstance(item, Dropped)), most))


def _all(items: Iterable[Item], expected: int) -> Iterator[Item]:
    count = 0
    for item in items:
        count += not isinstance(item, Dropped)
        yield item
    _refuse_change(expected, count)


def _refuse_change(first: int, second: int) -> None:
    if first != second:
        raise InputError(
            f"a source gave {first} examples, and {second} when it was read again; make it give the same records each "
            "time"
        )


def _in_one_pass(items: Iterable[Item], cap: int, key: str) -> Iterator[Item]:
    heap: list[tuple[int, int, Fields]] = []  # largest hash on top, so the smallest stay
    for item in items:
        if isinstance(item, Dropped):
            yield item
            continue
        example_id, fields = item
        entry = (-_hash(key, example_id), -example_id, fields)
        if len(heap) < cap:
            heapq.heappush(heap, entry)
        else:
            yield Dropped(OVER_CAP, -heapq.heappushpop(heap, entry)[1])
    for _, negative_id, fields in sorted(heap, key=lambda entry: -entry[1]):
        yield -negative_id, fields


def _in_two_passes(read: Callable[[], Iterable[Item]], cap: int, key: str, by: str) -> Iterator[Item]:
    hashes: dict[Any, array[int]] = defaultdict(lambda: array("Q"))  # 8 bytes an example, by the field's value
    for item in read():
        if not isinstance(item, Dropped):
            hashes[_value(item[1], by)].append(_hash(key, item[0]))
    keeps = {value: _smallest(np.frombuffer(of_value, np.uint64), cap) for value, of_value in hashes.items()}
    counts: Counter[Any] = Counter()
    for item in read():
        if isinstance(item, Dropped):
            yield item
            continue
        value = _value(item[1], by)
        place = counts[value]
        counts[value] += 1
        if place < len(keeps.get(value, ())):
            yield item if keeps[value][place] else Dropped(OVER_CAP, item[0])
    _refuse_change(sum(map(len, keeps.values())), counts.total())
    for value in keeps:
        _refuse_change(len(keeps[value]), counts[value])


def _value(fields: Fields, by: str) -> Any:
    """The value of the field for each value of which a cap holds."""
    if by and by not in fields:
        raise InputError(
            f"a cap holds for each value of field '{by}', which an example has not; name one that all have"
        )
    return fields[by] if by else None


def _smallest(hashes: np.ndarray, cap: int) -> np.ndarray:
    """Which of them are the `cap` smallest; of equal ones the first."""
    if len(hashes) <= cap:
        return np.ones(len(hashes), bool)
    threshold = np.partition(hashes, cap - 1)[cap - 1]
    keeps = hashes < threshold
    ties = np.flatnonzero(hashes == threshold)
    keeps[ties[: cap - np.count_nonzero(keeps)]] = True
    return keeps


def _hash(key: str, example_id: int) -> int:
    """The top 64 of the bits that follow from the key and the id."""
    return bits(f"{key}\x1f{example_id}") >> 448
