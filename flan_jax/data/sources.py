"""Where raw records come from: files, hub data sets, Natural Instructions, Python iterables.

A source gives the records of a named split, in a fixed order, as mappings of plain Python values; it states a name and
a version, and both enter the store's fingerprint. Nothing is opened before the first record or the version is asked
for, so sources may be made at import. No TensorFlow here: `tfds_source` and `seqio_bridge` hold what needs it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

Record = Mapping[str, Any]


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


@dataclass(frozen=True)
class IterableSource:
    """Records that a Python function makes.

    Attributes:
        make: split name → records; must give the same records each time.
        version: stated by the author, since code cannot be hashed reliably.
        name: shown in manifests; none: the function's name.
    """

    make: Callable[[str], Iterable[Record]]
    version: str
    name: str = ""

    def __post_init__(self) -> None:
        if not self.name:
            label = f"{getattr(self.make, '__module__', '')}.{getattr(self.make, '__qualname__', 'iterable')}"
            object.__setattr__(self, "name", label.lstrip("."))

    def records(self, split: str) -> Iterator[Record]:
        """The records of a split."""
        return iter(self.make(split))
