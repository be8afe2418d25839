"""Several data sets of one form read as one, part after part: a collection whose configurations are one task."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from flan_jax.data.spec.source import Record, SplitSource


@dataclass(frozen=True)
class IterableSource:
    """Records that a Python function makes.

    Attributes:
        make: split name → records; must give the same records each time.
        version: stated by the author, since code cannot be hashed reliably.
        name: shown in manifests; empty: the function's name.
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


@dataclass(frozen=True)
class JoinedSource:
    """The records of several sources, one source after the other.

    Attributes:
        parts: the sources; a split, or a slice such as `train[:4000]`, is asked of each.
    """

    parts: tuple[SplitSource, ...]

    @property
    def name(self) -> str:
        """The names of the parts."""
        return " + ".join(part.name for part in self.parts)

    @property
    def version(self) -> str:
        """The version of each part after its name: a change of any part shows, and which one it was."""
        return "; ".join(f"{part.name} {part.version}" for part in self.parts)

    def has_split(self, split: str) -> bool:
        """Whether every part has this split."""
        return all(part.has_split(split) for part in self.parts)

    def records(self, split: str) -> Iterator[Record]:
        """The records of a split, in the order of the parts.

        Raises:
            InputError: a part cannot be had, or has no such split; it is named.
        """
        for part in self.parts:
            yield from part.records(split)
