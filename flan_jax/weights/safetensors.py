"""Weights on disk: lazy reading of safetensors shards, and writing them in Hugging Face's layout.

`open_tensors` gives a `TensorSource` for a model directory or one `.safetensors` file. Files are mapped, not loaded: a
tensor's bytes are touched when it is read, so a model of many shards goes onto devices tensor by tensor and slice by
slice. Pickle files (`.bin`, `.pt`) can run code when opened and are refused by name.

Source: the file format, https://github.com/huggingface/safetensors#format (8 bytes header size, JSON header, data).
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import mmap
import os
import struct
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np

from flan_jax.errors import InputError
from flan_jax.files.hashes import hash_file

DTYPES: dict[str, np.dtype[Any]] = {
    "F64": np.dtype(np.float64),
    "F32": np.dtype(np.float32),
    "F16": np.dtype(np.float16),
    "BF16": np.dtype(ml_dtypes.bfloat16),
    "F8_E4M3": np.dtype(ml_dtypes.float8_e4m3fn),
    "F8_E5M2": np.dtype(ml_dtypes.float8_e5m2),
    "I64": np.dtype(np.int64),
    "I32": np.dtype(np.int32),
    "I16": np.dtype(np.int16),
    "I8": np.dtype(np.int8),
    "U8": np.dtype(np.uint8),
    "BOOL": np.dtype(np.bool_),
}
_CODES = {dtype: code for code, dtype in DTYPES.items()}
_MAX_HEADER_BYTES = 100_000_000  # the reference implementation's own limit


@dataclass(frozen=True)
class _Entry:
    file: _MappedFile
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    offset: int  # from the start of the file


class _MappedFile:
    """One safetensors file, its header parsed and checked, its data mapped."""

    def __init__(self, path: Path):
        self.path = path
        try:
            with path.open("rb") as stream:
                self.size_bytes = os.fstat(stream.fileno()).st_size
                # an empty file cannot be mapped, and is no safetensors file either
                self.map = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) if self.size_bytes else b""
        except OSError as e:
            raise InputError(f"weights '{path}': cannot be read ({e.strerror}); give a .safetensors file") from e
        self.entries = self._parse()

    def _parse(self) -> dict[str, _Entry]:
        header_bytes = struct.unpack_from("<Q", self.map)[0] if self.size_bytes >= 8 else None
        if header_bytes is None or header_bytes > min(_MAX_HEADER_BYTES, self.size_bytes - 8):
            raise InputError(
                f"weights '{self.path}': no complete safetensors header in its {self.size_bytes} bytes; "
                "the file is truncated or of another format, fetch it again"
            )
        try:
            header = json.loads(self.map[8 : 8 + header_bytes])
            header.pop("__metadata__", None)
            return {name: self._entry(name, 8 + header_bytes, **fields) for name, fields in header.items()}
        except InputError:
            raise
        except (ValueError, TypeError, AttributeError) as e:
            raise InputError(f"weights '{self.path}': its safetensors header is malformed ({e}); fetch it again") from e

    def _entry(self, name: str, start: int, *, dtype: str, shape: list[int], data_offsets: list[int]) -> _Entry:
        if dtype not in DTYPES:
            raise InputError(
                f"weights '{self.path}': tensor '{name}' has type {dtype}; types that can be read: {', '.join(DTYPES)}"
            )
        begin, end = data_offsets
        size_bytes = math.prod(shape) * DTYPES[dtype].itemsize
        if begin < 0 or end - begin != size_bytes or start + end > self.size_bytes:
            raise InputError(
                f"weights '{self.path}': tensor '{name}' of {size_bytes} bytes is said to lie at {begin}–{end}, and "
                f"the file holds {self.size_bytes - start} bytes of data; it is truncated or damaged, fetch it again"
            )
        return _Entry(self, DTYPES[dtype], tuple(shape), start + begin)


class SafetensorsSource:
    """The tensors of one or many safetensors files as one `TensorSource`."""

    def __init__(self, where: Path, files: Iterable[Path]):
        self._where = where
        self._files = [_MappedFile(path) for path in files]
        self._entries: dict[str, _Entry] = {}
        for file in self._files:
            for name, entry in file.entries.items():
                if name in self._entries:
                    other = self._entries[name].file.path.name
                    raise InputError(
                        f"weights '{where}': tensor '{name}' is in {other} and again in {file.path.name}; "
                        "keep one of them"
                    )
                self._entries[name] = entry

    def names(self) -> list[str]:
        """Every tensor's name, in file order."""
        return list(self._entries)

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of a tensor; no data is read."""
        return self._find(name).shape

    def dtype(self, name: str) -> np.dtype[Any]:
        """The stored dtype of a tensor."""
        return self._find(name).dtype

    def read(self, name: str) -> np.ndarray:
        """The whole tensor as a read-only view of the file."""
        entry = self._find(name)
        flat = np.frombuffer(entry.file.map, entry.dtype, math.prod(entry.shape), entry.offset)
        return flat.reshape(entry.shape)

    def read_slice(self, name: str, slices: tuple[slice, ...]) -> np.ndarray:
        """A part of the tensor as a read-only view of the file."""
        return self.read(name)[slices]

    @property
    def fingerprint(self) -> str:
        """SHA-256 over the SHA-256 of each file, in name order; a file's own name does not enter."""
        # hashlib lets go of the interpreter lock, so shards are hashed side by side
        with ThreadPoolExecutor(max_workers=min(8, len(self._files))) as pool:
            digests = pool.map(hash_file, (file.path for file in self._files))
            return hashlib.sha256("".join(digests).encode()).hexdigest()

    def _find(self, name: str) -> _Entry:
        try:
            return self._entries[name]
        except KeyError as e:
            raise InputError(
                f"weights '{self._where}': no tensor '{name}'; it holds {len(self._entries)}, "
                f"such as {', '.join(list(self._entries)[:3])}"
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
        tensors: Names and arrays; any dtype of `DTYPES`.
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
    except OSError as e:
        raise InputError(
            f"folder '{directory}': weights cannot be written ({e.strerror}); free or choose another"
        ) from e
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
        if array.dtype not in _CODES:
            raise InputError(f"weights to write: tensor '{name}' has dtype {array.dtype}, which safetensors lacks")
        if shard and size_bytes + array.nbytes > max_bytes:
            yield shard
            shard, size_bytes = {}, 0
        seen.add(name)
        shard[name] = array
        size_bytes += array.nbytes
    yield shard


def _write_file(path: Path, shard: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> int:
    """Writes one safetensors file and returns its number of data bytes."""
    header: dict[str, Any] = {"__metadata__": dict(metadata)}
    # widest types first, as the reference writer does, so that every tensor lies aligned
    ordered = sorted(shard.items(), key=lambda item: -item[1].dtype.itemsize)
    end = 0
    for name, array in ordered:
        begin, end = end, end + array.nbytes
        header[name] = {"dtype": _CODES[array.dtype], "shape": list(array.shape), "data_offsets": [begin, end]}
    text = json.dumps(header, ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as stream:
        stream.write(struct.pack("<Q", len(text)))
        stream.write(text)
        for _, array in ordered:
            stream.write(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
        stream.flush()
        os.fsync(stream.fileno())
    return end


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
