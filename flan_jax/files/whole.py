"""Small files written whole or not at all, and hashes of large ones."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

from flan_jax.errors import InputError


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


@contextlib.contextmanager
def new_file(path: Path) -> Iterator[Path]:
    """A file beside `path` that becomes it when the block ends well, and is removed when it does not."""
    temporary = path.with_name(f".{path.name}.{uuid4().hex}")
    try:
        yield temporary
        temporary.rename(path)
    finally:
        temporary.unlink(missing_ok=True)
