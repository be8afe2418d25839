"""Where the store's folders are: on this machine, or at an address (`gs://…`) that is copied to a cache once a host.

    gs://bucket/store/<task>/train ──copied, counted, hashed──► <cache>/<address>/<task>/train ──► Store

The record reader could open addresses itself, but blocks without end when the network is missing. Here every read and
write has a limit: `data.remote_timeout_s` without progress, and it is given up with one sentence.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from flan_jax.config import Config
from flan_jax.data.store.folders import FolderLock, new_folder
from flan_jax.data.store.manifest import (
    MANIFEST_NAME,
    Manifest,
    damage,
    is_finished,
    load_manifest,
    parse_manifest,
    refusing_bad_disk,
)
from flan_jax.errors import InputError
from flan_jax.files.addresses import file_system
from flan_jax.files.cache import cache_folder

_CHUNK_BYTES = 8 * 2**20
T = TypeVar("T")


@dataclass(frozen=True)
class Root:
    """The root of a store.

    Attributes:
        local: folder on this machine: the store itself, or the cache of the one at `address`.
        address: where a remote store is; None for a local one.
        timeout_s: longest time without progress of a remote read or write.
    """

    local: Path
    address: str | None
    timeout_s: float

    def folder(self, path: Path) -> Path:
        """The local folder of a part of the store; a remote one is copied first, unless it is already here.

        Raises:
            InputError: the address cannot be read in time, or what came is not what its manifest says.
        """
        directory = self.local / path
        if self.address is not None:
            with FolderLock(directory):  # the other processes of this host wait, then find the copy
                self._fetch(directory, path)
        return directory

    def publish(self, path: Path) -> None:
        """Copies a finished local folder to the address, its manifest last; nothing to do for a local store.

        Raises:
            InputError: the address cannot be written in time.
        """
        if self.address is None:
            return
        self.withdraw(path)  # while its files are replaced, the folder is missing, never mixed
        files = [file for file in sorted((self.local / path).iterdir()) if file.name != MANIFEST_NAME]
        for file in [*files, self.local / path / MANIFEST_NAME]:
            self.put(file, path)

    def stored(self, path: Path) -> Manifest | None:
        """The manifest of a part of the store, without copying the part; None where there is none.

        Raises:
            DamagedStoreError: it is damaged, or a file of a local store is missing.
            InputError: the address cannot be read in time.
        """
        if self.address is None:
            return load_manifest(self.local / path) if is_finished(self.local / path) else None
        data = self.read(path / MANIFEST_NAME)
        return None if data is None else parse_manifest(data, f"token store '{self._at(path)}'")

    def read(self, path: Path) -> bytes | None:
        """The bytes of a file at the address; None where there is none.

        Raises:
            InputError: the address cannot be read in time.
        """
        try:
            with self._open(self._at(path), "rb") as file:
                return self._within(self._at(path), file.read)
        except FileNotFoundError:
            return None

    def put(self, file: Path, path: Path) -> None:
        """Copies one local file into a folder of the store at the address.

        Raises:
            InputError: the address cannot be written in time.
        """
        target = self._at(path / file.name)
        with self._open(target, "wb") as remote, file.open("rb") as local:
            while chunk := local.read(_CHUNK_BYTES):
                self._within(target, lambda chunk=chunk: remote.write(chunk))

    def withdraw(self, path: Path) -> None:
        """Removes the manifest of a folder at the address, so that it counts as not prepared.

        Raises:
            InputError: the address cannot be written in time.
        """
        self.remove(path / MANIFEST_NAME)

    def remove(self, path: Path) -> None:
        """Removes a file at the address, if it is there.

        Raises:
            InputError: the address cannot be written in time.
        """
        target = self._at(path)
        system, inner = file_system(target, "token store")
        if self._within(target, lambda: system.exists(inner)):
            self._within(target, lambda: system.rm_file(inner))

    def _at(self, path: Path) -> str:
        return f"{self.address}/{path.as_posix()}"

    def _fetch(self, directory: Path, path: Path) -> None:
        source = self._at(path)
        manifest = self.read(path / MANIFEST_NAME)
        if manifest is None:
            return
        if is_finished(directory) and (directory / MANIFEST_NAME).read_bytes() == manifest:
            return
        with new_folder(directory) as folder:
            for name in _file_names(manifest, source):
                with self._open(f"{source}/{name}", "rb") as remote, refusing_bad_disk(directory.parent):
                    self._copy(remote, folder / name, source)
            with refusing_bad_disk(directory.parent):
                (folder / MANIFEST_NAME).write_bytes(manifest)
            problems = damage(folder)
            if problems:
                raise InputError(f"token store '{source}': what was copied is damaged: {problems[0]}")

    def _copy(self, remote: Any, target: Path, source: str) -> None:
        with target.open("wb") as local:
            while chunk := self._within(source, lambda: remote.read(_CHUNK_BYTES)):
                local.write(chunk)

    @contextlib.contextmanager
    def _open(self, address: str, mode: str) -> Iterator[Any]:
        system, inner = file_system(address, "token store")
        if mode == "wb":
            self._within(address, lambda: system.makedirs(inner.rpartition("/")[0], exist_ok=True))
        file = self._within(address, lambda: system.open(inner, mode))
        try:
            yield file
        finally:
            self._within(address, file.close)

    def _within(self, address: str, action: Callable[[], T]) -> T:
        """The action's result, waited for at most `timeout_s`; a thread that still hangs then dies with the process."""
        future: Future[T] = Future()

        def act() -> None:
            try:
                future.set_result(action())
            except BaseException as e:
                future.set_exception(e)  # raised again below, in the thread that waits

        # Not an executor: it would wait for a blocked thread when the process ends.
        threading.Thread(target=act, daemon=True, name="flan-jax-remote").start()
        try:
            return future.result(timeout=self.timeout_s)
        except TimeoutError as e:
            raise InputError(
                f"token store '{address}': no answer for {self.timeout_s:g} s; check network and permissions, raise "
                "data.remote_timeout_s, or set data.store to a local copy"
            ) from e
        except FileNotFoundError:
            raise
        except OSError as e:
            raise InputError(f"token store '{address}': cannot be read or written ({e}); check permissions") from e


def open_root(config: Config) -> Root:
    """The root of a config's store."""
    address, timeout_s = config.store_dir, config.data.remote_timeout_s
    if "://" not in address:
        return Root(Path(address).expanduser(), None, timeout_s)
    address = address.rstrip("/")
    cache = Path(config.data.cache_dir).expanduser() if config.data.cache_dir else cache_folder("store")
    return Root(cache / hashlib.sha256(address.encode()).hexdigest()[:16], address, timeout_s)


def _file_names(manifest: bytes, source: str) -> list[str]:
    try:
        names = [file["name"] for file in json.loads(manifest)["files"]]
    except (ValueError, KeyError, TypeError) as e:
        raise InputError(f"token store '{source}': {MANIFEST_NAME} cannot be read ({e}); prepare it again") from e
    for name in names:
        if Path(name).name != name:
            raise InputError(f"token store '{source}': the manifest names '{name}', which is not in this folder")
    return names
