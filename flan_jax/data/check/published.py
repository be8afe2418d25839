"""What TFDS states of a data set without its data: fields with their kinds, splits, and random records in its form.

All of it comes from the data set's class, or from the metadata beside its files where it was prepared. Nothing is
downloaded and no file is read but those; most data sets are described without TensorFlow being imported.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np

from flan_jax.data.sources.tfds import TfdsSource, import_tfds, plain
from flan_jax.data.spec.schema import Kind, Labels
from flan_jax.data.spec.source import Record
from flan_jax.errors import InputError


@dataclass(frozen=True)
class Published:
    """What a data set's authors state of it.

    Attributes:
        fields: path of every field (nested ones with dots) → the kind of its values.
        splits: names of its splits; none: not told without the data.
    """

    fields: Mapping[str, Kind]
    splits: tuple[str, ...] | None


def published(source: TfdsSource, *, offline: bool = False) -> Published:
    """The fields and splits of a TFDS data set.

    Args:
        source: the data set.
        offline: takes what the class states, and leaves folders where the data set may be prepared out of it.

    Raises:
        InputError: TFDS is not installed, or knows no such data set, configuration or version.
    """
    if not offline:
        return _described(_builder(source, source.data_dir))
    with tempfile.TemporaryDirectory() as empty:
        return _described(_builder(source, empty))


def mock_records(source: TfdsSource, count: int) -> list[Record]:
    """Records of random text and numbers in the form of a data set; the same ones each time.

    Raises:
        InputError: as `published`.
    """
    datasets = import_tfds()
    with tempfile.TemporaryDirectory() as empty, datasets.testing.mock_data(num_examples=count, data_dir=empty):
        rows = _builder(source, None).as_data_source(split="train")
        records = [plain(rows[number]) for number in range(count)]
    return [_even(record, min(_lengths(record), default=0)) for record in records]


def _even(value: Any, length: int) -> Any:
    """The value with its lists cut to one length: TFDS draws a length for each, also for those that belong together."""
    if isinstance(value, Mapping):
        return {name: _even(inner, length) for name, inner in value.items()}
    return value[:length] if isinstance(value, list) else value


def _lengths(value: Any) -> Iterator[int]:
    if isinstance(value, Mapping):
        for inner in value.values():
            yield from _lengths(inner)
    elif isinstance(value, list):
        yield len(value)


def _described(builder: Any) -> Published:
    fields = dict(_fields(builder.info.features, "", 0))
    return Published(fields, tuple(builder.info.splits) or _stated_splits(builder))


def _fields(feature: Any, path: str, depth: int) -> Iterator[tuple[str, Kind]]:
    """(path, kind) of every field below a feature; `depth` counts the sequences around it."""
    features = import_tfds().features
    if isinstance(feature, features.FeaturesDict):
        for name, inner in feature.items():
            yield from _fields(inner, f"{path}.{name}" if path else name, depth)
    elif isinstance(feature, features.Dataset):
        yield path, "list"
    elif isinstance(feature, features.Sequence):
        yield from _fields(feature.feature, path, depth + 1)
    elif isinstance(feature, features.ClassLabel) and depth < 2:
        yield path, _label_kind(feature)
    else:
        yield path, _plain_kind(feature, depth + len(feature.shape))


def _label_kind(feature: Any) -> Kind:
    try:
        names = tuple(feature.names)
    except (AttributeError, ValueError):  # how many there are is known, and not what they are called
        return "int"
    return Labels(*names) if len(names) > 1 and len(set(names)) == len(names) else "int"


def _plain_kind(feature: Any, depth: int) -> Kind:
    code = np.dtype(feature.np_dtype).kind
    is_text, is_int = code in "OSU", code in "iu"
    if depth == 0:
        return "text" if is_text else "int" if is_int else "flag" if code == "b" else "number"
    return "texts" if is_text and depth == 1 else "ints" if is_int and depth == 1 else "list"


def _stated_splits(builder: Any) -> tuple[str, ...] | None:
    """The splits that a data set's code makes, asked with downloads that give nothing; none where it reads them."""
    subsets = getattr(builder, "subsets", None)
    if isinstance(subsets, Mapping):
        return tuple(str(name) for name in subsets)
    with _no_downloads() as downloads:
        try:
            made = builder._split_generators(downloads)
        except (AssertionError, ImportError, OSError, ValueError, _tensorflow_error()):
            return None
    # a mapping of names, or the older list of generators
    return tuple(str(getattr(split, "name", split)) for split in made)


@contextmanager
def _no_downloads() -> Iterator[Any]:
    """A download manager whose every file is a path where nothing is."""
    from etils import epath

    def nothing(tree: Any, *_: Any) -> Any:
        if isinstance(tree, Mapping):
            return {name: nothing(inner) for name, inner in tree.items()}
        return [nothing(inner) for inner in tree] if isinstance(tree, (list, tuple)) else missing

    with tempfile.TemporaryDirectory() as folder:
        missing = epath.Path(folder) / "nothing"
        asked = dict.fromkeys(("download", "extract", "download_and_extract", "download_kaggle_data"), nothing)
        yield SimpleNamespace(manual_dir=missing, iter_archive=lambda _: iter(()), **asked)


def _tensorflow_error() -> type[Exception]:
    import tensorflow

    return tensorflow.errors.OpError


def _builder(source: TfdsSource, data_dir: str | None) -> Any:
    datasets = import_tfds()
    try:
        return datasets.builder(source.dataset, **({} if data_dir is None else {"data_dir": data_dir}))
    except (datasets.core.DatasetNotFoundError, ValueError, AssertionError) as e:
        problem = (str(e).splitlines() or [type(e).__name__])[0].rpartition('}": ')[2]  # TFDS opens with its arguments
        raise InputError(
            f"source {source.name}: TFDS knows no such data set ({problem}); check name and version"
        ) from e
