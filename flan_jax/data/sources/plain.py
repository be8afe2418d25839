"""Sources made in Python, and sources made of others: several read as one, and records brought into another form."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from flan_jax.data.sources.files import FileSource
from flan_jax.data.spec.own_code import own_code
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

    def is_here(self) -> bool:
        """It always is."""
        return True

    def version_here(self) -> str:
        """The stated version."""
        return self.version

    def local(self, path: str) -> FileSource:
        """A source that reads files with the same fields."""
        return FileSource(path)

    def records(self, split: str) -> Iterator[Record]:
        """The records of a split.

        Raises:
            InputError: the function fails; names its line.
        """
        with own_code(f"source {self.name}, split '{split}': fails"):
            yield from self.make(split)


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
        return self._joined(part.version for part in self.parts)

    def _joined(self, versions: Iterable[str | None]) -> str:
        return "; ".join(f"{part.name} {version}" for part, version in zip(self.parts, versions, strict=True))

    def is_here(self) -> bool:
        """Whether every part is."""
        return all(part.is_here() for part in self.parts)

    def version_here(self) -> str | None:
        """The version where that of every part is known without a network."""
        versions = [part.version_here() for part in self.parts]
        return None if None in versions else self._joined(versions)

    def local(self, path: str) -> SplitSource:
        """The records of all parts from a file or folder, in the form of the first."""
        return self.parts[0].local(path)

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


@dataclass(frozen=True)
class Reshaped:
    """The records of a source in another form: message trees of flat rows, prompted records of one prompt.

    Attributes:
        source: gives the records as published.
        reshape: (records, where they are from, for error text) → records in the other form, in a fixed order.
        suffix: after the source's name, where the form takes only some of its records.
        from_files: path → source of local files in this form; none: the source's own local files are reshaped.
    """

    source: SplitSource
    reshape: Callable[[Iterable[Record], str], Iterator[Record]]
    suffix: str = ""
    from_files: Callable[[str], SplitSource] | None = None

    @property
    def name(self) -> str:
        """The name of what gives the records, with the suffix."""
        return self.source.name + self.suffix

    @property
    def version(self) -> str:
        """The version of what gives the records."""
        return self.source.version

    def is_here(self) -> bool:
        """Whether what gives the records is."""
        return self.source.is_here()

    def version_here(self) -> str | None:
        """The version as far as it is known without a network."""
        return self.source.version_here()

    def local(self, path: str) -> SplitSource:
        """The same from a file or folder."""
        return replace(self, source=self.source.local(path)) if self.from_files is None else self.from_files(path)

    def has_split(self, split: str) -> bool:
        """Whether the source has it."""
        return self.source.has_split(split)

    def records(self, split: str) -> Iterator[Record]:
        """The records of a split in the other form.

        Raises:
            InputError: as the source, or records are not of the form that is read.
        """
        return self.reshape(self.source.records(split), f"source {self.source.name}, split '{split}'")
