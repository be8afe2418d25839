"""A source whose training records are parted in two, where it has no validation split."""

from __future__ import annotations

import functools
import hashlib
import itertools
import json
import math
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from flan_jax.data.sources.plain import JoinedSource
from flan_jax.data.spec.schema import Skip
from flan_jax.data.spec.source import TRAIN, VALIDATION, Record, Source, SplitSource
from flan_jax.data.spec.task import TaskSpec
from flan_jax.errors import InputError

HELD_BACK_SHARE = 0.02  # of the records, where no config says otherwise


@dataclass(frozen=True)
class HoldBack:
    """A source whose training records are parted into `train` and `validation`, where it has no validation split.

    The validation records are those with the smallest keyed hash of their content: the parting does not depend on their
    order, and equal records never stand on both sides.

    Attributes:
        source: what is parted.
        share: of the records held back, at least one of them; none: `data.validation_share`.
        usable: the task's map, where it skips records: those that it gives None, False or only `Skip`s for are not held
            back.
        together: fields whose values stay on one side, such as an input that several records describe; none: all.
    """

    source: SplitSource
    share: float | None = None
    usable: Callable[[Record], Any] | None = None
    together: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The name of what is parted."""
        return self.source.name

    @property
    def version(self) -> str:
        """The version of what is parted, with the share."""
        return self._parted(self.source.version)

    def _parted(self, version: str) -> str:
        by = f" by {', '.join(self.together)}" if self.together else ""
        return f"{version} held back {self._share}{by}"

    def is_here(self) -> bool:
        """Whether what is parted is."""
        return self.source.is_here()

    def version_here(self) -> str | None:
        """The version as far as it is known without a network."""
        version = self.source.version_here()
        return None if version is None else self._parted(version)

    def local(self, path: str) -> HoldBack:
        """The same parting of a file or folder."""
        return replace(self, source=self.source.local(path))

    @property
    def _share(self) -> float:
        return HELD_BACK_SHARE if self.share is None else self.share

    def has_split(self, split: str) -> bool:
        """Whether it is one of the two parts, or a split of the source."""
        return split in (TRAIN, VALIDATION) or self.source.has_split(split)

    def records(self, split: str) -> Iterator[Record]:
        """The records of a part, in the source's order.

        Raises:
            InputError: the source holds fewer than two different records, so there is nothing to part.
        """
        if split not in (TRAIN, VALIDATION) or self.source.has_split(VALIDATION):
            yield from self.source.records(split)
            return
        threshold = self._threshold
        for record in self.source.records(TRAIN):
            is_held = self._key(record) <= threshold and self._is_usable(record)
            if is_held == (split == VALIDATION):
                yield record

    def _key(self, record: Record) -> int:
        return _content_key({name: record.get(name) for name in self.together} if self.together else record)

    def _is_usable(self, record: Record) -> bool:
        try:
            mapped = True if self.usable is None else self.usable(record)
            if isinstance(mapped, Iterable) and not isinstance(mapped, Mapping):
                return any(not isinstance(example, Skip) for example in mapped)
            return mapped is not None and mapped is not False and not isinstance(mapped, Skip)
        except KeyError:
            return True  # a record of another form is told where it is mapped, with its number

    @functools.cached_property
    def _threshold(self) -> int:
        """The largest key that is held back; 8 bytes a record are kept to find it."""
        usable = (record for record in self.source.records(TRAIN) if self._is_usable(record))
        import numpy as np  # not before it is needed: task files are listed without it

        keys = np.frombuffer(array("Q", map(self._key, usable)), np.uint64)
        if not len(keys) or keys.min() == keys.max():
            raise InputError(
                f"source {self.name}: has {min(len(keys), 1)} different usable records; at least two are needed to "
                "hold back one for validation"
            )
        place = max(1, math.floor(self._share * len(keys))) - 1
        threshold = np.partition(keys, place)[place]
        # a record that fills the whole share and all beyond it would leave nothing to train on
        return int(threshold if threshold < keys.max() else keys.min())


def mapped_sources(source: Source) -> tuple[Source, ...]:
    """What gives the records that a task maps: without what parts them, and each part of a joined source."""
    if isinstance(source, HoldBack):
        return mapped_sources(source.source)
    if isinstance(source, JoinedSource):
        return tuple(inner for part in source.parts for inner in mapped_sources(part))
    return (source,)


def first_records(spec: TaskSpec, count: int) -> list[Record]:
    """The first records of a task's training split, or of its first one; none where its source is not here.

    Nothing is downloaded, and no more is read: what parts the records, which reads all of them, is passed by.

    Raises:
        InputError: the records are here and cannot be read.
    """
    if not spec.source.is_here():
        return []
    split = spec.splits.get(TRAIN) or next(iter(spec.splits.values()))
    return list(itertools.islice(mapped_sources(spec.source)[0].records(split), count))


def _content_key(record: Record) -> int:
    text = json.dumps(record, sort_keys=True, default=str, ensure_ascii=False)
    return int.from_bytes(hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=8).digest(), "big")
