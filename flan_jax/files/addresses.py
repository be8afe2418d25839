"""Finds, opens and hashes data files, on this machine or on any address fsspec opens (`gs://` needs gcsfs).

Local paths need no further library; fsspec is imported only for an address with a scheme.
"""

from __future__ import annotations

import contextlib
import functools
import glob
import gzip
import os
import stat
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, cast

from flan_jax.errors import InputError
from flan_jax.files.hashes import hash_stream


def is_folder(path: str) -> bool:
    """Whether the path is a folder; a missing one is not."""
    if "://" not in path:
        return os.path.isdir(os.path.expanduser(path))
    system, inner = file_system(path)
    return bool(system.isdir(inner))


def list_folder(path: str) -> list[str]:
    """The files of a folder, sorted, as paths that can be opened."""
    if "://" not in path:
        return sorted(str(file) for file in Path(path).expanduser().iterdir() if file.is_file())
    system, inner = file_system(path)
    return sorted(system.unstrip_protocol(str(name)) for name in system.ls(inner, detail=False))


def find_files(path: str) -> list[str]:
    """The file at a path, or the files a glob names, sorted; empty where there are none."""
    has_marks = any(mark in path for mark in "*?[")
    if "://" not in path:
        path = os.path.expanduser(path)
        # a file may have brackets in its own name
        if os.path.exists(path) and not os.path.isdir(path):  # what is no regular file is told when it is opened
            return [path]
        return sorted(filter(os.path.isfile, glob.glob(path))) if has_marks else []
    system, inner = file_system(path)
    if has_marks:
        return sorted(system.unstrip_protocol(str(name)) for name in system.glob(inner))
    return [path] if system.isfile(inner) else []


@contextlib.contextmanager
def open_bytes(path: str) -> Iterator[IO[bytes]]:
    """The content of a file; `.gz` is unpacked.

    Raises:
        InputError: the file cannot be read.
    """
    try:
        with contextlib.ExitStack() as stack:
            stream = stack.enter_context(_open(path))
            if path.endswith(".gz"):
                stream = cast(IO[bytes], stack.enter_context(gzip.open(stream)))
            yield stream
    except (OSError, EOFError, zlib.error) as e:
        problem = e.strerror if isinstance(e, OSError) and e.strerror else str(e)
        raise InputError(f"data file '{path}': cannot be read ({problem}); check the path and its permissions") from e


def content_hash(path: str) -> str:
    """SHA-256 of a file's bytes, read in pieces; remembered while the file's size and time stay."""
    if "://" in path:
        return _hash(path, None)
    try:
        state = os.stat(os.path.expanduser(path))
    except OSError as e:
        raise InputError(f"data file '{path}': cannot be read ({e.strerror}); check the path") from e
    return _hash(path, (state.st_size, state.st_mtime_ns))


@functools.lru_cache(maxsize=4096)
def _hash(path: str, _state: tuple[int, int] | None) -> str:
    try:
        with _open(path) as stream:
            return hash_stream(stream)
    except OSError as e:
        raise InputError(f"data file '{path}': cannot be read ({e.strerror or e})") from e


def _kind(file: Path) -> str:
    mode = file.stat().st_mode
    kinds = {"FIFO": stat.S_ISFIFO, "folder": stat.S_ISDIR, "socket": stat.S_ISSOCK}
    return next((name for name, is_kind in kinds.items() if is_kind(mode)), "device")


def _open(path: str) -> IO[bytes]:
    if "://" not in path:
        file = Path(path).expanduser()
        if not stat.S_ISREG(file.stat().st_mode):  # a FIFO would be waited for without end
            raise InputError(f"data file '{path}': is a {_kind(file)} and no regular file; give a file")
        return file.open("rb")
    system, inner = file_system(path)
    return cast(IO[bytes], system.open(inner, "rb"))


def file_system(address: str, what: str = "data file") -> tuple[Any, str]:
    """fsspec's file system of an address, and the path there.

    Args:
        address: with a scheme, such as gs://bucket/folder.
        what: lies there; opens the error sentence.

    Raises:
        InputError: the scheme is unknown, or its library is not installed.
    """
    try:
        from fsspec.core import url_to_fs  # late: only addresses need it

        return url_to_fs(address)
    except ImportError as e:
        raise InputError(
            f"{what} '{address}': needs a library that is not installed ({e}); install flan-jax[gcs]"
        ) from e
    except ValueError as e:
        raise InputError(f"{what} '{address}': unknown kind of address ({e}); use a local path or gs://") from e
