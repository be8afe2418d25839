"""Weights on disk: safetensors shards read tensor by tensor, and written in Hugging Face's layout.

The library `safetensors` reads and writes the files. A file is mapped when it is opened; the bytes of a tensor or of a
slice are copied when they are read and no sooner, so a model of many shards goes onto devices part by part. Ours is
what lies around a file: shards and their index, whole folders or none, and an `InputError` for what cannot be read.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import ml_dtypes  # noqa: F401 - numpy knows bfloat16 once this is imported, and safetensors then reads it
import numpy as np
from safetensors import SafetensorError, TensorSpec, safe_open
from safetensors.numpy import save_file

from flan_jax.errors import InputError
from flan_jax.files.hashes import hash_file

PICKLE_SUFFIXES = (".bin", ".pt", ".pth", ".ckpt", ".pkl")  # such files can run code when opened
INDEX = "model.safetensors.index.json"


def indexed_files(directory: Path) -> list[str] | None:
    """The shards that a model folder's index names; none: it has no index.

    Raises:
        InputError: the index is malformed, or reaches outside its folder.
    """
    index = directory / INDEX
    if not index.exists():
        return None
    try:
        names = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
        # an index is data from elsewhere: it must not reach outside its folder
        stray = next((name for name in names if Path(name).name != name), None)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as e:
        raise InputError(f"weights '{index}': not a shard index with a 'weight_map' ({e})") from e
    if stray is not None:
        raise InputError(f"weights '{index}': shard '{stray}' must be a file name in the same folder")
    return names


class _File:
    """One safetensors file, opened and checked; its bytes stay on disk."""

    def __init__(self, path: Path):
        self.path = path
        try:
            self._file = safe_open(path, framework="numpy")
        except OSError as e:
            raise InputError(f"weights '{path}': cannot be read ({e}); give a .safetensors file") from e
        except SafetensorError as e:
            raise InputError(
                f"weights '{path}': no sound safetensors file ({e}); it is truncated, malformed or of another format, "
                "fetch it again"
            ) from e
        self.names: list[str] = self._file.offset_keys()
        self.dtypes = {name: self._dtype(name) for name in self.names}

    def shape(self, name: str) -> tuple[int, ...]:
        return tuple(self._file.get_slice(name).get_shape())

    def read(self, name: str, slices: tuple[slice, ...]) -> np.ndarray:
        shape = self.shape(name)
        if not slices or 0 in shape:  # the library takes no slice of nothing
            return self._file.get_tensor(name)[slices]
        bounds = (slice(*cut.indices(size)) for cut, size in zip(slices, shape, strict=False))
        return self._file.get_slice(name)[tuple(bounds)]

    def _dtype(self, name: str) -> np.dtype[Any]:
        try:
            # nothing is read for an empty slice, and its dtype is the library's own
            return self.read(name, (slice(0, 0),) if self.shape(name) else ()).dtype
        except (AttributeError, TypeError) as e:
            code = self._file.get_slice(name).get_dtype()
            raise InputError(
                f"weights '{self.path}': tensor '{name}' has type {code}, which cannot be read; give the weights in "
                "bfloat16, float16 or float32"
            ) from e


class SafetensorsSource:
    """The tensors of one or many safetensors files as one `TensorSource`."""

    def __init__(self, where: Path, files: Iterable[Path]):
        self._where = where
        self._files = [_File(path) for path in files]
        self._file_of: dict[str, _File] = {}
        for file in self._files:
            for name in file.names:
                if name in self._file_of:
                    raise InputError(
                        f"weights '{where}': tensor '{name}' is in {self._file_of[name].path.name} and again in "
                        f"{file.path.name}; keep one of them"
                    )
                self._file_of[name] = file

    def names(self) -> list[str]:
        """Every tensor's name, in file order."""
        return list(self._file_of)

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of a tensor; no data is read."""
        return self._find(name).shape(name)

    def dtype(self, name: str) -> np.dtype[Any]:
        """The stored dtype of a tensor."""
        return self._find(name).dtypes[name]

    def read(self, name: str) -> np.ndarray:
        """The whole tensor, copied from the file."""
        return self._find(name).read(name, ())

    def read_slice(self, name: str, slices: tuple[slice, ...]) -> np.ndarray:
        """A part of the tensor, which alone is copied from the file."""
        return self._find(name).read(name, slices)

    @property
    def fingerprint(self) -> str:
        """SHA-256 over the SHA-256 of each file, in name order; a file's own name does not enter."""
        # hashlib lets go of the interpreter lock, so shards are hashed side by side
        with ThreadPoolExecutor(max_workers=min(8, len(self._files))) as pool:
            digests = pool.map(hash_file, (file.path for file in self._files))
            return hashlib.sha256("".join(digests).encode()).hexdigest()

    def _find(self, name: str) -> _File:
        try:
            return self._file_of[name]
        except KeyError as e:
            raise InputError(
                f"weights '{self._where}': no tensor '{name}'; it holds {len(self._file_of)}, "
                f"such as {', '.join(self.names()[:3])}"
            ) from e


def write_tensors(
    directory: str | Path,
    tensors: Iterable[tuple[str, np.ndarray]],
    *,
    max_shard_bytes: int = 5_000_000_000,
    metadata: Mapping[str, str] | None = None,
    stem: str = "model",
) -> None:
    """Writes `tensors` as `stem`.safetensors, or as numbered shards with an index where they exceed `max_shard_bytes`.

    Tensors are taken from the iterable one by one; no more than one shard is held in memory. Files get their names when
    all are written, the index last.

    Args:
        directory: Made if missing; must not hold weights of this stem yet.
        tensors: Names and arrays; any dtype that safetensors has.
        max_shard_bytes: Data bytes of a shard; a single larger tensor has a shard of its own.
        metadata: Text pairs for the header; `{"format": "pt"}`, which transformers asks for, is always there.
        stem: Start of the file names.

    Raises:
        InputError: weights are there already, a dtype safetensors lacks, a name twice, or the disk refuses.
    """
    directory = Path(directory)
    header = {"format": "pt", **(metadata or {})}
    written: list[tuple[Path, list[str]]] = []
    total_bytes = 0
    try:
        directory.mkdir(parents=True, exist_ok=True)
        present = sorted(directory.glob(f"{stem}*.safetensors*"))
        if present:
            raise InputError(f"folder '{directory}': already holds {present[0].name}; remove it or give another folder")
        for shard in _group(tensors, max_shard_bytes):
            temporary = directory / f".{stem}-{len(written) + 1:05d}.partial"
            written.append((temporary, list(shard)))
            total_bytes += _write_file(temporary, shard, header)
        _name_files(directory, stem, written, total_bytes)
    except (OSError, SafetensorError) as e:
        # the library tells a full disk as its own error
        reason = e.strerror if isinstance(e, OSError) else e
        raise InputError(f"folder '{directory}': weights cannot be written ({reason}); free or choose another") from e
    finally:
        for temporary, _ in written:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)


def _group(tensors: Iterable[tuple[str, np.ndarray]], max_bytes: int) -> Iterable[dict[str, np.ndarray]]:
    shard: dict[str, np.ndarray] = {}
    seen: set[str] = set()
    size_bytes = 0
    for name, array in tensors:
        if name in seen:
            raise InputError(f"weights to write: tensor '{name}' comes twice; every name may be used once")
        try:
            TensorSpec(dtype=array.dtype.name, shape=array.shape, data_ptr=0, data_len=array.nbytes)
        except SafetensorError as e:
            raise InputError(
                f"weights to write: tensor '{name}' has dtype {array.dtype}, which safetensors lacks"
            ) from e
        if shard and size_bytes + array.nbytes > max_bytes:
            yield shard
            shard, size_bytes = {}, 0
        seen.add(name)
        shard[name] = array
        size_bytes += array.nbytes
    yield shard


def _write_file(path: Path, shard: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> int:
    """Writes one safetensors file and returns its number of data bytes."""
    # the library writes memory as it lies; np.ascontiguousarray would give a scalar a dimension
    save_file({name: np.asarray(array, order="C") for name, array in shard.items()}, path, metadata=dict(metadata))
    with path.open("rb") as stream:
        os.fsync(stream.fileno())
    return sum(array.nbytes for array in shard.values())


def _name_files(directory: Path, stem: str, written: list[tuple[Path, list[str]]], total_bytes: int) -> None:
    if len(written) == 1:
        written[0][0].rename(directory / f"{stem}.safetensors")
        return
    weight_map = {}
    for number, (temporary, names) in enumerate(written, 1):
        file_name = f"{stem}-{number:05d}-of-{len(written):05d}.safetensors"
        temporary.rename(directory / file_name)
        weight_map |= dict.fromkeys(names, file_name)
    index = {"metadata": {"total_size": total_bytes}, "weight_map": weight_map}
    partial = directory / f".{stem}-index.partial"
    partial.write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")
    # the index is named last: a folder with shards and no index is refused, never half read
    partial.rename(directory / f"{stem}.safetensors.index.json")
