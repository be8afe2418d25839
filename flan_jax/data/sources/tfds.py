"""Records of TensorFlow Datasets, as plain Python values; needs the extra `full`.

Data sets that are prepared in a random-access format (ArrayRecord) are read without TensorFlow's input pipeline, others
through it. Nothing is imported before the first record or the version is asked for.
"""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flan_jax.data.sources.files import FileSource
from flan_jax.errors import InputError


@dataclass(frozen=True)
class TfdsSource:
    """A TFDS data set.

    Attributes:
        dataset: its name with configuration and version, e.g. `glue/mnli:2.0.0`.
        data_dir: where it is or will be prepared; none: TFDS's own folder.
    """

    dataset: str
    data_dir: str | None = None

    @property
    def name(self) -> str:
        """The data set's name."""
        return f"tfds:{self.dataset}"

    @property
    def version(self) -> str:
        """The version that TFDS states, with the size of every split: data sets have drifted under one version.

        Of a data set that is prepared it is read from its metadata, since importing TensorFlow takes seconds and a run
        asks for the version of every source.
        """
        return self._stated(*(self._prepared_sizes() or self._built_sizes()))

    @staticmethod
    def _stated(version: str, sizes: Mapping[str, int]) -> str:
        return f"{version} ({', '.join(f'{name} {size}' for name, size in sorted(sizes.items()))})"

    def is_here(self) -> bool:
        """Whether it is prepared on this machine; looked up without TFDS, which takes seconds to import."""
        return self._prepared_sizes() is not None

    def version_here(self) -> str | None:
        """The version from the metadata of a data set that is prepared on this machine."""
        prepared = self._prepared_sizes()
        return None if prepared is None else self._stated(*prepared)

    def local(self, path: str) -> FileSource:
        """A source that reads files with the same fields."""
        return FileSource(path)

    def _prepared_sizes(self) -> tuple[str, dict[str, int]] | None:
        """Version and split sizes from the data set's own metadata; none where it is not prepared on this machine."""
        name, _, version = self.dataset.partition(":")
        folder = self.data_dir or os.environ.get("TFDS_DATA_DIR") or str(Path.home() / "tensorflow_datasets")
        path = Path(folder, name, version, "dataset_info.json")
        if not version or not path.is_file():
            return None
        stated = json.loads(path.read_text(encoding="utf-8"))
        lengths = {split["name"]: sum(map(int, split["shardLengths"])) for split in stated.get("splits", ())}
        return stated["version"], lengths

    def _built_sizes(self) -> tuple[str, dict[str, int]]:
        info = self._builder.info
        return str(info.version), {name: split.num_examples for name, split in info.splits.items()}

    def has_split(self, split: str) -> bool:
        """Whether the data set has this split; a slice such as `train[:1%]` counts as its split."""
        return split.partition("[")[0] in self._builder.info.splits

    def records(self, split: str) -> Iterator[Mapping[str, Any]]:
        """The records of a split or of a slice of it, in the order of its files; bytes that are text come as text.

        Raises:
            InputError: TFDS is not installed, or the data set or split cannot be had.
        """
        if self._builder.info.splits and not self.has_split(split):
            known = ", ".join(repr(name) for name in self._builder.info.splits)
            raise InputError(f"source {self.name}: has no split '{split}'; it has {known}")
        datasets = import_tfds()
        formats = datasets.core.file_adapters.FileFormat.with_random_access()
        if self._builder.info.file_format in formats:
            rows = self._builder.as_data_source(split=split)
        else:
            # one file after the other: the order then holds on every machine
            reading = datasets.ReadConfig(interleave_cycle_length=1, try_autocache=False)
            rows = datasets.as_numpy(self._builder.as_dataset(split=split, shuffle_files=False, read_config=reading))
        for row in rows:
            yield plain(row)

    @functools.cached_property
    def _builder(self) -> Any:
        datasets = import_tfds()
        try:
            builder = datasets.builder(self.dataset, data_dir=self.data_dir)
            if not builder.is_prepared():
                builder.download_and_prepare()
        except (*_refusals(datasets), ValueError, OSError, AssertionError, ImportError) as e:
            # not found, no network, changed at its address, fetched by hand only, or a library is missing: TFDS's first
            # line says which
            problem = (str(e).splitlines() or [type(e).__name__])[0]
            raise InputError(
                f"source {self.name}: cannot be had ({problem}); check name, version, network and data_dir"
            ) from e
        return builder


def _refusals(datasets: Any) -> tuple[type[Exception], ...]:
    """TFDS's own errors for what it cannot get."""
    from tensorflow_datasets.core.download import download_manager, util

    return datasets.core.DatasetNotFoundError, download_manager.NonMatchingChecksumError, util.DownloadError


def plain(value: Any) -> Any:
    """A numpy record as plain Python values: UTF-8 bytes as text, arrays as lists."""
    if isinstance(value, bytes):
        try:
            return value.decode("utf-8")
        except UnicodeDecodeError:
            return value
    if isinstance(value, Mapping):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [plain(inner) for inner in value]
    if hasattr(value, "tolist"):
        inner = value.tolist()
        return plain(inner) if isinstance(inner, (bytes, list)) else inner
    return value


@functools.cache
def import_tfds() -> Any:
    """The library, once TensorFlow was told to leave the accelerators alone.

    Raises:
        InputError: it is not installed.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # its notes on CPU features and missing GPUs
    try:
        import tensorflow
        import tensorflow_datasets
    except ImportError as e:
        raise InputError(f"TFDS sources: need TensorFlow Datasets ({e}); install flan-jax[full]") from e
    # TensorFlow would take the accelerators' memory for itself; only its readers are used
    for kind in ("GPU", "TPU"):
        tensorflow.config.set_visible_devices([], kind)
    return tensorflow_datasets
