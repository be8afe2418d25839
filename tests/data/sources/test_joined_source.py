"""Several sources read as one."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from flan_jax.data.sources.plain import JoinedSource
from flan_jax.data.spec.source import OwnSource
from flan_jax.errors import InputError


@dataclass(frozen=True)
class Part(OwnSource):
    name: str
    version: str
    splits: Mapping[str, list[int]]

    def has_split(self, split: str) -> bool:
        return split in self.splits

    def records(self, split: str) -> Iterator[Mapping[str, Any]]:
        if split not in self.splits:
            raise InputError(f"source {self.name}: has no split '{split}'")
        return iter([{"number": number} for number in self.splits[split]])


FIRST = Part("first", "1.0", {"train": [1, 2], "test": [3]})
SECOND = Part("second", "2.0", {"train": [4]})


def test_records_come_part_after_part():
    joined = JoinedSource((SECOND, FIRST))
    assert [record["number"] for record in joined.records("train")] == [4, 1, 2]


def test_each_part_stands_in_the_version_under_its_name():
    joined = JoinedSource((FIRST, SECOND))
    assert joined.version == "first 1.0; second 2.0"
    assert joined.name == "first + second"
    assert JoinedSource((SECOND, FIRST)).version != joined.version


def test_a_split_is_there_only_where_every_part_has_it():
    joined = JoinedSource((FIRST, SECOND))
    assert joined.has_split("train")
    assert not joined.has_split("test")
    with pytest.raises(InputError, match="source second: has no split 'test'"):
        list(joined.records("test"))
