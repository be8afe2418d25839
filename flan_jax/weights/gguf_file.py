"""The GGUF container: metadata pairs, tensor table, and where each tensor's bytes lie.

Only the container is read here; names, architecture and dequantisation are in `gguf`, the vocabulary in
`gguf_tokenizer`. The `gguf` package's own reader takes seconds for a vocabulary of 50,000 entries, this one 0.1 s.

Source: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

from __future__ import annotations

import math
import mmap
import struct
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from flan_jax.errors import InputError

# value type → struct format; 8 is a string, 9 an array
_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9
_MAX_DIMENSIONS = 4


@dataclass(frozen=True)
class GgufTensor:
    """A tensor's place in the file."""

    shape: tuple[int, ...]  # row-major, as numpy has it; GGUF itself lists the fastest dimension first
    type_code: int  # ggml type
    offset: int  # bytes from the start of the file


@dataclass(frozen=True)
class GgufFile:
    """A parsed GGUF file; `data` maps its bytes."""

    path: Path
    metadata: dict[str, Any]
    tensors: dict[str, GgufTensor]
    data: mmap.mmap


class _Cursor:
    """Reads values one after the other."""

    def __init__(self, data: mmap.mmap):
        self.data = data
        self.place = 0

    def scalar(self, code: str) -> Any:
        value = struct.unpack_from("<" + code, self.data, self.place)[0]
        self.place += struct.calcsize("<" + code)
        return value

    def text(self) -> str:
        length = self.scalar("Q")
        raw = self.data[self.place : self.place + length]
        if len(raw) != length:
            raise struct.error(f"text of {length} bytes at {self.place} goes past the end")
        self.place += length
        return raw.decode("utf-8", errors="replace")

    def value(self, kind: int) -> Any:
        if kind == _STRING:
            return self.text()
        if kind != _ARRAY:
            return self.scalar(_SCALARS[kind])
        kind, count = self.scalar("I"), self.scalar("Q")
        if kind in (_STRING, _ARRAY):
            return [self.value(kind) for _ in range(count)]
        values = np.frombuffer(self.data, np.dtype(_SCALARS[kind]).newbyteorder("<"), count, self.place)
        self.place += values.nbytes
        return values.tolist()


@lru_cache(maxsize=2)
def _open(path: Path, size_bytes: int, changed_ns: int) -> GgufFile:
    with path.open("rb") as stream:
        data = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
    cursor = _Cursor(data)
    cursor.place = 4  # past the magic, which was checked
    version = cursor.scalar("I")
    if version not in (2, 3):
        raise InputError(f"GGUF file '{path}': version {version}; versions 2 and 3 (little-endian) can be read")
    num_tensors, num_pairs = cursor.scalar("Q"), cursor.scalar("Q")
    metadata = {}
    for _ in range(num_pairs):
        key = cursor.text()
        metadata[key] = cursor.value(cursor.scalar("I"))
    table = {}
    for _ in range(num_tensors):
        name, num_dimensions = cursor.text(), cursor.scalar("I")
        if num_dimensions > _MAX_DIMENSIONS:
            raise struct.error(f"tensor '{name}' of {num_dimensions} dimensions")
        shape = tuple(cursor.scalar("Q") for _ in range(num_dimensions))[::-1]
        table[name] = GgufTensor(shape, cursor.scalar("I"), cursor.scalar("Q"))
    alignment = metadata.get("general.alignment", 32)
    start = math.ceil(cursor.place / alignment) * alignment
    tensors = {name: GgufTensor(t.shape, t.type_code, start + t.offset) for name, t in table.items()}
    return GgufFile(path, metadata, tensors, data)


def open_gguf(path: str | Path) -> GgufFile:
    """The GGUF file at `path`, its metadata and tensor table parsed; tensor data stays on disk.

    Raises:
        InputError: the file is missing, is no GGUF file, has a version that cannot be read, or is truncated.
    """
    path = Path(path)
    try:
        status = path.stat()
        with path.open("rb") as stream:
            magic = stream.read(4)
        if magic != b"GGUF":
            raise InputError(f"GGUF file '{path}': starts with {magic!r} instead of b'GGUF'; it has another format")
        return _open(path, status.st_size, status.st_mtime_ns)
    except OSError as e:
        raise InputError(f"GGUF file '{path}': cannot be read ({e.strerror}); give the path of a .gguf file") from e
    except InputError:
        raise
    except (struct.error, KeyError, ValueError, OverflowError) as e:
        raise InputError(f"GGUF file '{path}': its header is truncated or damaged ({e}); fetch it again") from e


def setting(file: GgufFile, key: str, default: Any = None) -> Any:
    """A setting of the file's architecture from its metadata, where names begin with that of the architecture.

    Raises:
        InputError: it is not there and has no default.
    """
    name = f"{file.metadata.get('general.architecture')}.{key}"
    value = file.metadata.get(name, default)
    if value is None:
        raise InputError(f"GGUF file '{file.path}': no '{name}' in its metadata, which the architecture needs")
    return value
