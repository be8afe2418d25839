"""A finished folder of the token store: its manifest, and how it is checked.

A folder without a manifest does not exist for any reader, so nothing half-written is ever used. The manifest lists
every file with bytes, records and sha256, and carries a checksum of itself: opening compares names and sizes,
`damage` reads everything.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from flan_jax.errors import InputError
from flan_jax.files.hashes import hash_bytes
from flan_jax.files.whole import new_file

MANIFEST_NAME = "manifest.json"
STORE_FORMAT = 2  # raised when records or manifest change their layout: older stores are then prepared again
MEND = "delete this folder and run 'flan-jax prepare CONFIG' again"


class DamagedStoreError(InputError):
    """A folder that was finished once is not what its manifest says, or is of another format."""


@dataclass(frozen=True)
class StoredFile:
    """One file of a finished folder."""

    name: str
    size_bytes: int
    sha256: str
    num_records: int


@dataclass(frozen=True)
class Manifest:
    """What a finished folder holds and what it was made from.

    Attributes:
        kind: 'tokens', 'pairs' (training records) or 'evaluation'.
        spec: everything the content depends on, as flat JSON values; compared key by key to find a stale store.
        content: sha256 over the hashes of the shards' records in order.
        files: every file but the manifest itself.
        num_examples: distinct examples; with several renderings each has several records.
        num_tokens: tokens of all records, inputs and answers.
        dropped: examples left out, by reason.
        num_cut: records whose input was cut to fit.
        shots: rendered examples by how many others stand before them; empty where none are asked for.
    """

    kind: str
    spec: Mapping[str, Any]
    content: str
    files: tuple[StoredFile, ...]
    num_records: int
    num_examples: int
    num_tokens: int
    dropped: Mapping[str, int] = field(default_factory=dict)
    num_cut: int = 0
    shots: Mapping[str, int] = field(default_factory=dict)
    format: int = STORE_FORMAT

    @property
    def spec_fingerprint(self) -> str:
        """Hash of `spec` (hexadecimal)."""
        return fingerprint(self.spec)


def fingerprint(value: Any) -> str:
    """Sha256 (hexadecimal) of a JSON value, whatever the order of its keys."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def describe_file(path: Path, num_records: int) -> StoredFile:
    """The manifest's entry for a file that is written and closed."""
    return StoredFile(path.name, path.stat().st_size, hash_bytes(path), num_records)


@contextlib.contextmanager
def refusing_bad_disk(directory: Path) -> Iterator[None]:
    """Turns a full disk, a read-only or an unusable folder into one sentence; wrap writes alone, no source's reads.

    Raises:
        InputError: an OSError came out of the block.
    """
    try:
        yield
    except OSError as e:
        reason = e.strerror or str(e)
        raise InputError(
            f"token store '{directory}': cannot be written ({reason}); nothing half-written is kept: free space there, "
            "or set data.store to a folder that can be written"
        ) from e


def write_manifest(directory: Path, manifest: Manifest) -> None:
    """Writes manifest.json; its existence says that everything else in the folder is complete."""
    tree = asdict(manifest)
    text = json.dumps({"checksum": fingerprint(tree), **tree}, indent=1, ensure_ascii=False)
    with refusing_bad_disk(directory.parent), new_file(directory / MANIFEST_NAME) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


def load_manifest(directory: Path) -> Manifest:
    """The manifest of a finished folder, after checking that every file is there with its size.

    Raises:
        InputError: no manifest: never prepared or not finished.
        DamagedStoreError: a damaged one, one of another format, or a file that is missing or has another size.
    """
    manifest = _read_manifest(directory)
    for file in manifest.files:
        problem = _size_problem(directory, file)
        if problem:
            raise DamagedStoreError(f"{problem}; {MEND}")
    return manifest


def is_finished(directory: Path) -> bool:
    """Whether a manifest is there."""
    return (directory / MANIFEST_NAME).is_file()


def damage(directory: Path) -> list[str]:
    """Every problem of a finished folder, one sentence each, after reading all its bytes; empty when it is sound."""
    try:
        manifest = _read_manifest(directory)
    except InputError as e:
        return [str(e)]
    problems = []
    for file in manifest.files:
        problem = _size_problem(directory, file)
        if problem is None and hash_bytes(directory / file.name) != file.sha256:
            problem = f"token store '{directory}': the bytes of '{file.name}' do not match their checksum"
        if problem:
            problems.append(f"{problem}; {MEND}")
    return problems


def _size_problem(directory: Path, file: StoredFile) -> str | None:
    try:
        size_bytes = (directory / file.name).stat().st_size
    except FileNotFoundError:
        return f"token store '{directory}': '{file.name}' is missing"
    if size_bytes != file.size_bytes:
        return f"token store '{directory}': '{file.name}' has {size_bytes} bytes, the manifest says {file.size_bytes}"
    return None


def _read_manifest(directory: Path) -> Manifest:
    where = f"token store '{directory}'"
    try:
        data = (directory / MANIFEST_NAME).read_bytes()
    except FileNotFoundError as e:
        raise InputError(f"{where}: no {MANIFEST_NAME}, so it is not prepared; run 'flan-jax prepare CONFIG'") from e
    except OSError as e:
        raise DamagedStoreError(f"{where}: {MANIFEST_NAME} cannot be read ({e}); {MEND}") from e
    return parse_manifest(data, where)


def parse_manifest(data: bytes, where: str) -> Manifest:
    """The manifest in the bytes of its file; `where` opens the error sentence.

    Raises:
        DamagedStoreError: it is damaged or of another format.
    """
    try:
        tree = json.loads(data)
    except (UnicodeDecodeError, json.JSONDecodeError) as e:
        raise DamagedStoreError(f"{where}: {MANIFEST_NAME} cannot be read ({e}); {MEND}") from e
    if not isinstance(tree, dict) or tree.pop("checksum", None) != fingerprint(tree):
        raise DamagedStoreError(f"{where}: {MANIFEST_NAME} does not match its own checksum; {MEND}")
    if tree["format"] != STORE_FORMAT:
        raise DamagedStoreError(f"{where}: has format {tree['format']}, this version reads {STORE_FORMAT}; {MEND}")
    files = []
    for entry in tree.pop("files"):
        # A name is a file beside the manifest and nothing else: no way out of the folder.
        if Path(entry["name"]).name != entry["name"]:
            raise DamagedStoreError(
                f"{where}: the manifest names '{entry['name']}', which is not in this folder; {MEND}"
            )
        files.append(StoredFile(**entry))
    return Manifest(files=tuple(files), **tree)
