"""Hashes of files' bytes, each read once a process while it does not change."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path

_HASH_CHUNK_BYTES = 1 << 22


def hash_file(path: Path) -> str:
    """SHA-256 of a file's bytes, as hexadecimal text; a file that did not change is hashed once a process."""
    status = path.stat()
    return _hash_content(path, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=256)
def _hash_content(path: Path, size_bytes: int, changed_ns: int) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_HASH_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
