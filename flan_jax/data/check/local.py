"""Records that can be read here and now: of local files, of Python, of data sets that are prepared on this machine.

For what shows or checks tasks without a network: nothing is downloaded, and nothing is read but the first records.
"""

from __future__ import annotations

import itertools
import os
from pathlib import Path

from flan_jax.data.forms.natural_instructions import NaturalInstructionsSource
from flan_jax.data.sources.files import FileSource
from flan_jax.data.sources.held_back import HoldBack
from flan_jax.data.sources.hub import HubSource
from flan_jax.data.sources.plain import IterableSource, JoinedSource
from flan_jax.data.sources.seqio_cache import SeqioCacheSource
from flan_jax.data.sources.tfds import TfdsSource
from flan_jax.data.spec.source import TRAIN, Record, Source
from flan_jax.data.spec.task import TaskSpec
from flan_jax.files.addresses import find_files, is_folder


def local_records(spec: TaskSpec, count: int) -> list[Record]:
    """The first records of a task's training split, or of its first one; none where its source is not on this machine.

    Raises:
        InputError: the files are there and cannot be read.
    """
    if not is_local(spec):
        return []
    split = spec.splits.get(TRAIN) or next(iter(spec.splits.values()))
    return list(itertools.islice(plain_sources(spec.source)[0].records(split), count))


def is_local(spec: TaskSpec) -> bool:
    """Whether all that a task reads is on this machine."""
    return all(_is_here(source) for source in plain_sources(spec.source))


def plain_sources(source: Source) -> tuple[Source, ...]:
    """What a source reads in the end: without what parts its training records, and each part of a joined one."""
    if isinstance(source, HoldBack):
        return plain_sources(source.source)
    if isinstance(source, JoinedSource):
        return tuple(plain for part in source.parts for plain in plain_sources(part))
    return (source,)


def _is_here(source: Source) -> bool:
    if isinstance(source, (FileSource, NaturalInstructionsSource)):
        paths = [source.path] if isinstance(source.path, str) else list(source.path.values())
        return all(is_folder(path) or bool(find_files(path)) for path in paths)
    if isinstance(source, SeqioCacheSource):
        return is_folder(source.path)
    if isinstance(source, HubSource):
        return Path(source.path).is_dir()
    if isinstance(source, TfdsSource):
        return _is_prepared(source)
    return isinstance(source, IterableSource)


def _is_prepared(source: TfdsSource) -> bool:
    """Whether TFDS's folder holds the data set; looked up without TFDS, which takes seconds to import."""
    folder = source.data_dir or os.environ.get("TFDS_DATA_DIR") or str(Path.home() / "tensorflow_datasets")
    name, _, version = source.dataset.partition(":")
    return Path(folder, name, version, "dataset_info.json").is_file()
