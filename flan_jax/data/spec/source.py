"""Where raw records come from: the protocol, Python iterables, hub data sets, and splits held back.

A source gives the records of a named split, in a fixed order, as mappings of plain Python values; it states a name and
a version, and both enter the store's fingerprint. Nothing is opened before a record or the version is asked for, so
sources may be made at import. No TensorFlow here: `sources.tfds` and `sources.seqio` hold what needs it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol, runtime_checkable

Record = Mapping[str, Any]

TRAIN = "train"
VALIDATION = "validation"


@runtime_checkable
class Source(Protocol):
    """What a task reads."""

    @property
    def name(self) -> str:
        """Short text that says where the records are from."""
        ...

    @property
    def version(self) -> str:
        """Text that changes whenever the records do."""
        ...

    def records(self, split: str) -> Iterator[Record]:
        """The records of a split, in a fixed order."""
        ...


@runtime_checkable
class SplitSource(Source, Protocol):
    """A source that knows its splits."""

    def has_split(self, split: str) -> bool:
        """Whether there are records for this split."""
        ...


SEQIO = "seqio:"  # opens the name of a task or mixture that is registered with SeqIO
