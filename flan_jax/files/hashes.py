"""SHA-256 of files' bytes, as hexadecimal text."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import IO

_CHUNK_BYTES = 1 << 22


def hash_stream(stream: IO[bytes]) -> str:
    """SHA-256 of what is left of a stream, read in pieces."""
    digest = hashlib.sha256()
    while chunk := stream.read(_CHUNK_BYTES):
        digest.update(chunk)
    return digest.hexdigest()


def hash_bytes(path: Path) -> str:
    """SHA-256 of a file's bytes, all of which are read: for checking them."""
    with path.open("rb") as stream:
        return hash_stream(stream)


def hash_file(path: Path) -> str:
    """SHA-256 of a file's bytes; a file whose size and time did not change is read once a process."""
    status = path.stat()
    return _known(path, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=256)
def _known(path: Path, _size_bytes: int, _changed_ns: int) -> str:
    return hash_bytes(path)
