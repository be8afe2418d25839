"""Small files written whole or not at all, and hashes of large ones."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from functools import lru_cache
from pathlib import Path
from typing import Any

from flan_jax.errors import InputError

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


def write_text(path: Path, text: str) -> None:
    """Writes a text file under a temporary name and renames it, so that it is never seen half written.

    Raises:
        InputError: the disk refuses.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)
    except OSError as e:
        raise InputError(f"file '{path}': cannot be written ({e.strerror}); free space or choose another folder") from e
    finally:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)


def write_json(path: Path, tree: Any) -> None:
    """Writes `tree` as indented JSON, as `write_text` does."""
    write_text(path, json.dumps(tree, indent=2, ensure_ascii=False) + "\n")


def read_json(path: Path, what: str) -> dict[str, Any]:
    """The mapping in a JSON file.

    Args:
        path: The file.
        what: Opens the error sentence, e.g. "tokenizer '/models/x'".

    Raises:
        InputError: the file cannot be read or holds no JSON mapping.
    """
    try:
        tree = json.loads(path.read_text(encoding="utf-8"))
    except OSError as e:
        raise InputError(f"{what}: {path} cannot be read ({e.strerror})") from e
    except ValueError as e:
        raise InputError(f"{what}: {path} is not valid JSON ({e})") from e
    if not isinstance(tree, dict):
        raise InputError(f"{what}: {path} must hold a mapping, found a {type(tree).__name__}")
    return tree
