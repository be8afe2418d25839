"""What the starter tasks share: word lists, keyed streams, and splits that are the same in every process.

A task gives a function that makes all of its records, and the field that must not be shared between training and
evaluation (a country, a question). Whole groups go to one side. Nothing here knows what a record says.
"""

from __future__ import annotations

import functools
import hashlib
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from flan_jax.data.registry import IterableSource

Record = dict[str, object]

VALIDATION_RECORDS = 64  # give or take the last group


def words(text: str) -> list[str]:
    """The words of a text, as tables of words are written in the task files."""
    return text.split()


def order_key(*parts: object) -> bytes:
    """A digest that orders things in a way that looks random and never changes."""
    return hashlib.blake2b("\x1f".join(map(str, parts)).encode(), digest_size=8).digest()


def distinct(name: str, count: int, draw: Callable[[random.Random], Record], *, by: str) -> list[Record]:
    """`count` records of `draw`, no two with the same value in the field `by`.

    Args:
        name: key of the random stream; a text seed is hashed by SHA-512, whatever PYTHONHASHSEED says.
        count: number of records; `draw` must be able to make clearly more.
        draw: makes one record from the stream.
        by: the field that is the question.
    """
    stream = random.Random(name)
    found: dict[object, Record] = {}
    while len(found) < count:
        record = draw(stream)
        found.setdefault(record[by], record)
    return list(found.values())


def cycled(name: str, choices: Sequence[str]) -> Callable[[], str]:
    """A function that hands out `choices` in turn, reshuffled each round: balanced labels, in no guessable order."""
    stream = random.Random(name)
    waiting: list[str] = []

    def following() -> str:
        if not waiting:
            waiting.extend(stream.sample(choices, len(choices)))
        return waiting.pop()

    return following


def _mixed(name: str, records: Iterable[Record]) -> list[Record]:
    """The records in keyed order: the first few show the variety of the task, and no group follows in a row."""
    return sorted(records, key=lambda record: order_key(name, *record.values()))


@dataclass(frozen=True)
class _Sides:
    """The records of both splits, made once in each process."""

    name: str
    make: Callable[[], Iterable[Record]]
    together: str

    def __reduce__(self) -> tuple[Any, ...]:
        return _Sides, (self.name, self.make, self.together)

    def __call__(self, split: str) -> Iterator[Record]:
        return iter(self._by_split[split])

    @functools.cached_property
    def _by_split(self) -> dict[str, list[Record]]:
        groups: dict[str, list[Record]] = {}
        for record in self.make():
            groups.setdefault(str(record[self.together]), []).append(record)
        held: list[Record] = []
        rest: list[Record] = []
        for key in sorted(groups, key=lambda group: order_key(self.name, group)):
            (held if len(held) < VALIDATION_RECORDS else rest).extend(groups[key])
        return {"train": _mixed(self.name, rest), "validation": _mixed(self.name, held)}


def split_source(name: str, make: Callable[[], Iterable[Record]], *, together: str, version: str) -> IterableSource:
    """A source with the splits 'train' and 'validation', made from one stock of records.

    Args:
        name: the task's name; it keys which groups are kept for evaluation.
        make: makes every record of the task, always the same ones.
        together: records with the same value in this field are in the same split.
        version: of the records; a store made from another version is refused as stale.
    """
    return IterableSource(_Sides(name, make, together), version=version, name=f"starter/{name}")
