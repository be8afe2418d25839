"""Files and folders written whole or not at all: under another name, which then becomes theirs."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
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
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with new_file(path) as temporary:
            temporary.write_text(text, encoding="utf-8")
    except OSError as e:
        raise InputError(f"file '{path}': cannot be written ({e.strerror}); free space or choose another folder") from e


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
        temporary.replace(path)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def refuse_foreign(folder: Path, own: re.Pattern[str], where: str, remedy: str, *, mark: str | None = None) -> None:
    """Refuses to replace what is not ours: a folder that holds anything but files of our names, a link, or a file.

    Args:
        folder: that is to be replaced; a missing or empty one may be.
        own: every name that we write in it.
        where: opens the error sentence.
        remedy: ends it.
        mark: a file that must be there, if any is.

    Raises:
        InputError: what is there was not made by us.
    """
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise InputError(f"{where} '{folder}': is no folder of its own, so nothing is replaced; {remedy}")
    names = sorted(file.name for file in folder.iterdir()) if folder.is_dir() else []
    foreign = [name for name in names if not own.fullmatch(name)]
    if foreign or (names and mark is not None and mark not in names):
        what = f"holds '{foreign[0]}'" if foreign else f"has no {mark}"
        raise InputError(f"{where} '{folder}': {what}, so it was not made here and nothing is replaced; {remedy}")


@contextlib.contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """An empty folder beside `path` that becomes it when the block ends well, and is removed when it does not.

    What is at `path` already must be gone by the end of the block, or be an empty folder.
    """
    temporary = path.with_name(f".{path.name}.{uuid4().hex}")
    try:
        temporary.mkdir(parents=True)
        yield temporary
        temporary.replace(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
