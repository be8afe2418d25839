"""How a folder of the store comes into being: hidden beside its place, under a lock, and renamed when it is complete.

    .train.lock                  held by the one process that builds, copies or replaces `train`
    .train.writing-<key>         files of the folder to be; a killed process leaves it
    train                        the same folder, once its manifest is written

The key says what the folder is made from. The next process that wants the same finds what a killed one had finished;
what was made from anything else is removed.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from flan_jax.data.store.manifest import MANIFEST_NAME, refusing_bad_disk
from flan_jax.files.whole import refuse_foreign

# every name that a finished folder has or had in it
_OWN_NAME = re.compile(r"\.?(manifest\.json|lengths\.npz|evaluation\.jsonl|shard-\d+)(\..+)?")


def check_replaceable(directory: Path) -> None:
    """Refuses to replace what was not prepared here: a folder of the store has a manifest, and our files alone.

    Raises:
        InputError: it is a link or a file, has no manifest, or holds something else; it is named.
    """
    remedy = "move it away, or set data.store to another folder"
    refuse_foreign(directory, _OWN_NAME, "token store", remedy, mark=MANIFEST_NAME)


class WorkFolder:
    """The folder that becomes `directory` when it is published; its owner holds the lock of `directory`."""

    def __init__(self, directory: Path, key: str):
        """Names the folder after `key`, a path-safe text; `create` makes it."""
        self.directory = directory
        self.path = directory.parent / f".{directory.name}.writing-{key}"

    def create(self) -> None:
        """Makes the folder, or takes it over from a killed process, and removes those of other keys.

        Raises:
            InputError: it cannot be made.
        """
        for other in self.directory.parent.glob(f".{self.directory.name}.writing-*"):
            if other != self.path:
                shutil.rmtree(other, ignore_errors=True)
        with refusing_bad_disk(self.directory.parent):
            self.path.mkdir(parents=True, exist_ok=True)

    def publish(self) -> None:
        """Renames the folder to its place; one that is already there (a stale store) is replaced.

        Raises:
            InputError: what is there was not made here, or the folder cannot be renamed.
        """
        check_replaceable(self.directory)
        with refusing_bad_disk(self.directory.parent):
            # The stale folder goes first: between the two steps the store is missing, never mixed.
            if self.directory.exists():
                shutil.rmtree(self.directory)
            self.path.rename(self.directory)

    def remove(self) -> None:
        """Removes the folder with all that is in it."""
        shutil.rmtree(self.path, ignore_errors=True)


@contextlib.contextmanager
def new_folder(directory: Path) -> Iterator[Path]:
    """An empty folder that becomes `directory` when the block ends well, and is removed when it does not.

    The block must write the manifest last; the caller holds the lock of `directory` where others may write it.

    Raises:
        InputError: the folder cannot be made or renamed.
    """
    work = WorkFolder(directory, "whole")
    work.remove()
    work.create()
    try:
        yield work.path
        work.publish()
    finally:
        work.remove()


class FolderLock:
    """The right to build, copy or replace one folder; the system takes it from a process that dies."""

    def __init__(self, directory: Path):
        """Names the lock file; `acquire` makes it."""
        self._path = directory.parent / f".{directory.name}.lock"
        self._file: IO[bytes] | None = None

    def acquire(self, *, wait: bool = True) -> bool:
        """Takes the lock, after other processes have let it go; without `wait`, False where one holds it.

        Raises:
            InputError: the lock file cannot be made.
        """
        with refusing_bad_disk(self._path.parent):
            while True:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                file = self._path.open("wb")
                try:
                    fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    file.close()
                    return False
                if self._is_current(file):
                    self._file = file
                    return True
                file.close()  # its last owner removed it while we waited: there may be a new one by now

    def release(self) -> None:
        """Lets the lock go and removes its file, so that a finished store holds nothing else."""
        if self._file is not None:
            self._path.unlink(missing_ok=True)
            self._file.close()
            self._file = None

    def __enter__(self) -> FolderLock:
        self.acquire()
        return self

    def __exit__(self, *error: object) -> None:
        self.release()

    def _is_current(self, file: IO[bytes]) -> bool:
        try:
            return os.path.samestat(os.fstat(file.fileno()), self._path.stat())
        except FileNotFoundError:
            return False
