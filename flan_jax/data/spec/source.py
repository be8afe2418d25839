"""Where raw records come from: the protocol.

A source gives the records of a named split, in a fixed order, as mappings of plain Python values; it states a name and
a version, and both enter the store's fingerprint. Nothing is opened before a record or the version is asked for, so
sources may be made at import.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol, runtime_checkable

from flan_jax.errors import InputError

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
        """Text that changes whenever the records do; to know it, data may be fetched."""
        ...

    def records(self, split: str) -> Iterator[Record]:
        """The records of a split, in a fixed order."""
        ...

    def is_here(self) -> bool:
        """Whether the records can be read without a network."""
        ...

    def version_here(self) -> str | None:
        """The version as far as it is known without a network; none where it is not."""
        ...

    def local(self, path: str) -> SplitSource:
        """The source of a file or folder of one's own with records of the same form."""
        ...


@runtime_checkable
class SplitSource(Source, Protocol):
    """A source that knows its splits."""

    def has_split(self, split: str) -> bool:
        """Whether there are records for this split."""
        ...


class OwnSource:
    """The base of a source of one's own, which states `name` and `version` and has `records`; the rest is here."""

    name: str
    version: str

    def is_here(self) -> bool:
        """Not known, so such a source is read by preparing alone."""
        return False

    def version_here(self) -> str | None:
        """The stated version."""
        return self.version

    def local(self, path: str) -> SplitSource:
        """Refused.

        Raises:
            InputError: always.
        """
        raise InputError(f"source {self.name}: cannot be had from '{path}'; give its class a method local(path)")


SEQIO = "seqio:"  # opens the name of a task or mixture that is registered with SeqIO
