"""Data sets of the Hugging Face hub as sources."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flan_jax.data.sources.files import FileSource
from flan_jax.data.spec.source import Record
from flan_jax.errors import InputError


@dataclass(frozen=True)
class HubSource:
    """A Hugging Face hub data set, or a local folder in its form; needs the extra `hub`.

    Attributes:
        path: name on the hub, or folder.
        config: the data set's configuration; none: its default.
        revision: commit, tag or branch; state a commit to fix what is read.
        streaming: reads without downloading everything first.
    """

    path: str
    config: str | None = None
    revision: str | None = None
    streaming: bool = False

    @property
    def name(self) -> str:
        """The data set with its configuration."""
        return f"hub:{self.path}" + (f"/{self.config}" if self.config else "")

    @property
    def version(self) -> str:
        """The stated revision, else the hash by which the library tells downloads apart."""
        if self.revision:
            return self.revision
        return f"{self._builder.info.version or ''}-{self._builder.hash or ''}"

    def is_here(self) -> bool:
        """Whether it is a folder on this machine."""
        return Path(self.path).is_dir()

    def version_here(self) -> str | None:
        """The stated revision, or the version of a folder on this machine."""
        return self.revision or (self.version if self.is_here() else None)

    def local(self, path: str) -> FileSource:
        """A source that reads files with the same fields."""
        return FileSource(path)

    @functools.cached_property
    def _builder(self) -> Any:
        return self._call("load_dataset_builder")

    def has_split(self, split: str) -> bool:
        """Whether the data set has this split."""
        return split.partition("[")[0] in self._call("get_dataset_split_names")

    def records(self, split: str) -> Iterator[Record]:
        """The records of a split.

        Raises:
            InputError: the library is not installed, or the data set, configuration or split cannot be had.
        """
        return iter(self._call("load_dataset", split=split, streaming=self.streaming))

    def _call(self, function: str, **arguments: Any) -> Any:
        try:
            import datasets
        except ImportError as e:
            raise InputError(f"source {self.name}: needs the library 'datasets'; install flan-jax[hub]") from e
        arguments["revision"] = self.revision
        if function == "get_dataset_split_names":
            arguments["config_name"] = self.config
        else:
            arguments["name"] = self.config
        try:
            return getattr(datasets, function)(self.path, **arguments)
        except (OSError, ValueError) as e:
            # not found, no network, unknown configuration or split: the library's own first line says which
            problem = (str(e).splitlines() or [type(e).__name__])[0]
            raise InputError(f"source {self.name}: cannot be loaded ({problem}); check name, split and network") from e
