"""Records of one file on the web, downloaded once into a folder of this user's.

    address ──first use──> cache folder, whole and checked ──> FileSource ──> records

Nothing is asked of the network before a record or the version is. A file that is there is not fetched again, so a
machine without a network works once it has been (or with a copy of the folder).
"""

from __future__ import annotations

import functools
import hashlib
import http.client
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any
from urllib.parse import urlsplit

from flan_jax.data.sources.files import FileSource, Format
from flan_jax.errors import InputError
from flan_jax.files.addresses import content_hash
from flan_jax.files.cache import CACHE_FOLDER, cache_folder
from flan_jax.files.whole import new_file

DOWNLOADS = "downloads"  # their folder in the cache
TIMEOUT_S = 60.0
_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class WebFileSource:
    """Records of a file on the web; all of them are the split `train`.

    Attributes:
        address: of the file, https:// (or http://, for a server of one's own).
        sha256: what the file must hash to; none: whatever arrives, and its hash is the version.
        format: of the file; none: by its suffix.
        columns: names of the columns of a CSV or TSV file that has no header line.
        unescape: reads `\\n`, `\\t`, `\\r` and `\\\\` in CSV and TSV cells as the characters they stand for.
    """

    address: str
    sha256: str | None = None
    format: Format | None = None
    columns: tuple[str, ...] | None = None
    unescape: bool = False

    @property
    def name(self) -> str:
        """The last part of the address."""
        return f"web:{PurePosixPath(urlsplit(self.address).path).name}"

    @property
    def version(self) -> str:
        """Hash of the file's content and of how it is read."""
        return self._file.version

    def is_here(self) -> bool:
        """Whether it was downloaded already."""
        return cached_file(self.address, cache_folder(DOWNLOADS)).is_file()

    def version_here(self) -> str | None:
        """The version of what was downloaded; none where nothing was."""
        return self.version if self.is_here() else None

    def has_split(self, split: str) -> bool:
        """Whether it is `train`."""
        return split == "train"

    def records(self, split: str) -> Iterator[Mapping[str, Any]]:
        """The records of the file, in its order.

        Raises:
            InputError: the file cannot be had or is malformed, or there is no such split.
        """
        return self._file.records(split)

    def local(self, path: str) -> FileSource:
        """A source that reads a file or folder of one's own in the way this file is read."""
        return FileSource(path, columns=self.columns, unescape=self.unescape)

    @functools.cached_property
    def _file(self) -> FileSource:
        path = download(self.address, cache_folder(DOWNLOADS), sha256=self.sha256)
        return FileSource(str(path), format=self.format, columns=self.columns, unescape=self.unescape)


def cached_file(address: str, folder: Path) -> Path:
    """Where the file of an address lies in `folder` once it is downloaded; two files of one name do not meet.

    Raises:
        InputError: the address is of another kind.
    """
    parts = urlsplit(address)
    if parts.scheme not in ("https", "http") or not PurePosixPath(parts.path).name:
        raise InputError(f"data address '{address}': is no https:// address of a file; give one, or a local path")
    return folder / hashlib.sha256(address.encode()).hexdigest()[:16] / PurePosixPath(parts.path).name


def download(address: str, folder: Path, *, sha256: str | None = None) -> Path:
    """Downloads a file, unless it is there already, and returns its path in `folder`.

    Args:
        address: of the file, https:// or http://.
        folder: gets the file, in a folder named by a hash of the address; made if missing.
        sha256: what the file must hash to; none: whatever arrives.

    Raises:
        InputError: the address is of another kind or does not answer, the file comes incomplete or with another hash,
            or the folder cannot be written.
    """
    file = cached_file(address, folder)
    if not file.is_file():
        _fetch(address, file, sha256)
    elif sha256 is not None and content_hash(str(file)) != sha256:
        raise InputError(
            f"data file '{file}': hashes to {content_hash(str(file))}, expected {sha256}; delete it to fetch it again"
        )
    return file


def _fetch(address: str, file: Path, sha256: str | None) -> None:
    """Writes the file whole or not at all: other processes never see a part."""
    try:
        with urllib.request.urlopen(address, timeout=TIMEOUT_S) as answer:
            stated = answer.headers.get("Content-Length")
            file.parent.mkdir(parents=True, exist_ok=True)
            with new_file(file) as partial:
                with partial.open("wb") as stream:
                    size_bytes, sent_hash = _copy(answer, stream)
                if stated is not None and size_bytes != int(stated):
                    raise InputError(f"data address '{address}': sent {size_bytes} of {stated} bytes; try again")
                if sha256 is not None and sent_hash != sha256:
                    raise InputError(
                        f"data address '{address}': sent a file that hashes to {sent_hash}, expected {sha256}; it has "
                        "changed, so give a local copy in data.sources"
                    )
    except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError) as e:
        raise InputError(
            f"data address '{address}': cannot be fetched ({e}); check the network, or give a local copy in "
            "data.sources"
        ) from e
    except OSError as e:
        raise InputError(f"folder '{file.parent}': cannot be written ({e.strerror}); set {CACHE_FOLDER}") from e


def _copy(source: IO[bytes], target: IO[bytes]) -> tuple[int, str]:
    """Copies to the end; returns the number of bytes and their SHA-256."""
    digest, size_bytes = hashlib.sha256(), 0
    while chunk := source.read(_CHUNK_BYTES):
        size_bytes += len(chunk)
        digest.update(chunk)
        target.write(chunk)
    return size_bytes, digest.hexdigest()
