"""Shards: fixed runs of a split's examples, each built alone, so that any process may build any of them in any order.

    shard-00000.array_record     training records of one run of examples
    evaluation.jsonl             evaluation questions, which are few: one run
    shard-00000.sidecar.npz      last: says that the shard is complete, what it holds and what it was made from

`merge_shards` makes a finished folder of them. The fingerprint of a folder is that of its shards' records in order; how
examples are cut into shards is a part of it, so SHARD_RECORDS and STORE_FORMAT change together.
"""

from __future__ import annotations

import dataclasses
import json
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np

from flan_jax.data.spec.source import TRAIN
from flan_jax.data.store.manifest import (
    MANIFEST_NAME,
    Manifest,
    StoredFile,
    describe_file,
    fingerprint,
    refusing_bad_disk,
    write_manifest,
)
from flan_jax.files.hashes import hash_bytes
from flan_jax.files.whole import new_file

# Records of a shard, before any is left out. At 8,192 a shard of short examples has 1 to 5 MB, one of rows of 2,048
# tokens at most 68 MB, one of 32,768 at most 1.1 GB; and four processes still share a task of 30,000 examples.
SHARD_RECORDS = 8192
LENGTHS_NAME = "lengths.npz"
EVALUATION_NAME = "evaluation.jsonl"

T_contra = TypeVar("T_contra", contravariant=True)

_SIDECAR_SUFFIX = ".sidecar.npz"
_FACTS = "facts"  # the sidecar's array of one text: the fields of `Shard` as JSON


@dataclass(frozen=True)
class Shard:
    """A finished shard.

    Attributes:
        number: its place among the shards of the split.
        inputs: fingerprint of the fields it was made from.
        file: its records; none where every example was left out.
        content: sha256 over its records in order.
        num_examples: distinct examples.
        num_tokens: tokens of its records.
        dropped: examples left out, by reason.
        num_cut: records whose input was cut to fit.
        shots: rendered examples by how many others stand before them; empty where none are asked for.
        is_reused: whether it was found complete and not built; not stored.
    """

    number: int
    inputs: str
    file: StoredFile | None
    content: str
    num_examples: int
    num_tokens: int
    dropped: Mapping[str, int]
    num_cut: int
    shots: Mapping[str, int]
    is_reused: bool = False

    @property
    def num_records(self) -> int:
        """Records in its file."""
        return self.file.num_records if self.file else 0


def examples_per_shard(split: str, renderings: int) -> int | None:
    """How many examples a shard has; none: all that there are."""
    return max(1, SHARD_RECORDS // renderings) if split == TRAIN else None


def shard_name(split: str, number: int) -> str:
    """The name of a shard's file."""
    return f"shard-{number:05d}.array_record" if split == TRAIN else EVALUATION_NAME


def sidecar_name(split: str, number: int) -> str:
    """The name of the file that says that a shard is complete."""
    return Path(shard_name(split, number)).stem + _SIDECAR_SUFFIX


class ShardWriter(Protocol[T_contra]):
    """What writes the file of a shard: a `RecordWriter` or a `QuestionWriter`."""

    num_tokens: int  # of the records so far

    @property
    def num_records(self) -> int:
        """Records so far."""
        ...

    @property
    def num_examples(self) -> int:
        """Distinct examples so far."""
        ...

    @property
    def content(self) -> str:
        """Sha256 over the records so far, in order."""
        ...

    def write(self, item: T_contra, /) -> None:
        """Adds one record."""
        ...

    def close(self) -> None:
        """Completes the file."""
        ...

    def arrays(self) -> dict[str, np.ndarray]:
        """What the sidecar holds for planning."""
        ...


def finish_shard(
    path: Path,
    number: int,
    writer: ShardWriter[Any],
    *,
    inputs: str,
    dropped: Mapping[str, int],
    num_cut: int,
    shots: Mapping[str, int],
) -> Shard:
    """Makes a shard complete: its sidecar is written, and a file without a record removed.

    Args:
        path: of the shard's file, which `writer` has written and closed.
        number: place of the shard in the split.
        writer: what it holds.
        inputs: fingerprint of what it was made from.
        dropped: examples left out, by reason.
        num_cut: records whose input was cut to fit.
        shots: rendered examples by how many others stand before them.

    Raises:
        InputError: the disk is full.
    """
    if not writer.num_records:
        path.unlink()
    shard = Shard(
        number=number,
        inputs=inputs,
        file=describe_file(path, writer.num_records) if writer.num_records else None,
        content=writer.content,
        num_examples=writer.num_examples,
        num_tokens=writer.num_tokens,
        dropped=dict(dropped),
        num_cut=num_cut,
        shots=dict(shots),
    )
    facts = dataclasses.asdict(shard)
    del facts["is_reused"]
    named = {**writer.arrays(), _FACTS: np.array(json.dumps(facts))}
    sidecar = path.with_name(f"{path.stem}{_SIDECAR_SUFFIX}")
    with refusing_bad_disk(path.parent.parent), new_file(sidecar) as temporary, temporary.open("wb") as file:
        np.savez(file, allow_pickle=False, **named)
    return shard


def read_sidecar(path: Path) -> Shard:
    """The shard that a sidecar tells of."""
    with path.open("rb") as file, np.load(file) as arrays:  # np.load leaves a damaged file that it opened open
        facts: dict[str, Any] = json.loads(str(arrays[_FACTS]))
    stored = facts.pop("file")
    return Shard(file=StoredFile(**stored) if stored else None, **facts)


def finished_shard(folder: Path, split: str, number: int, inputs: str) -> Shard | None:
    """The shard in `folder`, if it is complete, undamaged and was made from these inputs."""
    path = folder / sidecar_name(split, number)
    try:
        shard = read_sidecar(path)
    except (OSError, ValueError, zipfile.BadZipFile):  # not there, or cut off when the machine went down
        return None
    is_sound = shard.file is None or _is_sound(folder, shard.file)
    return dataclasses.replace(shard, is_reused=True) if is_sound and shard.inputs == inputs else None


def _is_sound(folder: Path, file: StoredFile) -> bool:
    path = folder / file.name
    return path.is_file() and path.stat().st_size == file.size_bytes and hash_bytes(path) == file.sha256


def merge_shards(
    folder: Path, shards: Sequence[Shard], *, kind: str, spec: Mapping[str, Any], dropped: Mapping[str, int]
) -> Manifest:
    """Makes a finished folder of shards whose sidecars are in `folder`: lengths, then the manifest, and nothing else.

    Args:
        folder: holds the sidecars, and the shards unless they are already elsewhere.
        shards: all of the split, in order.
        kind: as in the manifest.
        spec: as in the manifest.
        dropped: examples left out before the shards were cut, by reason.

    Raises:
        InputError: the disk is full.
    """
    filled = [shard for shard in shards if shard.file]
    files = [shard.file for shard in filled if shard.file]
    if kind != "evaluation":
        with refusing_bad_disk(folder.parent):
            _write_lengths(folder, filled)
        files.append(describe_file(folder / LENGTHS_NAME, sum(shard.num_records for shard in filled)))
    manifest = Manifest(
        kind=kind,
        spec=spec,
        content=fingerprint([shard.content for shard in filled]),
        files=tuple(files),
        num_records=sum(shard.num_records for shard in filled),
        num_examples=sum(shard.num_examples for shard in filled),
        num_tokens=sum(shard.num_tokens for shard in filled),
        dropped=dict(sum((Counter(shard.dropped) for shard in shards), Counter(dropped))),
        num_cut=sum(shard.num_cut for shard in filled),
        shots=dict(sorted(sum((Counter(shard.shots) for shard in shards), Counter()).items())),
    )
    write_manifest(folder, manifest)
    remove_unlisted(folder, manifest)
    return manifest


def remove_unlisted(folder: Path, manifest: Manifest) -> None:
    """Removes the sidecars, and what a killed process left half-written, from a folder that is complete."""
    listed = {MANIFEST_NAME, *(file.name for file in manifest.files)}
    for path in folder.iterdir():
        if path.name not in listed:
            path.unlink()


def _write_lengths(folder: Path, shards: Sequence[Shard]) -> None:
    """Writes lengths.npz shard by shard: millions of records are never in memory at once."""
    num_records = sum(shard.num_records for shard in shards)
    num_examples = sum(shard.num_examples for shard in shards)
    sides = next(_sidecar_arrays(folder, shards, "lengths")).shape[1]
    members = (
        ("lengths", np.int32, (num_records, sides), _sidecar_arrays(folder, shards, "lengths")),
        ("loss_tokens", np.int32, (num_records,), _sidecar_arrays(folder, shards, "loss_tokens")),
        ("starts", np.int64, (num_examples + 1,), _all_starts(folder, shards)),
    )
    with new_file(folder / LENGTHS_NAME) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for name, dtype, shape, arrays in members:
            # ZipInfo's fixed date, so that equal stores have equal files
            with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as member:
                header = {"descr": np.dtype(dtype).str, "fortran_order": False, "shape": shape}
                np.lib.format.write_array_header_1_0(member, header)
                for array in arrays:
                    member.write(np.ascontiguousarray(array, dtype).tobytes())


def _sidecar_arrays(folder: Path, shards: Sequence[Shard], name: str) -> Iterator[np.ndarray]:
    for shard in shards:
        with np.load(folder / sidecar_name(TRAIN, shard.number)) as arrays:
            yield arrays[name]


def _all_starts(folder: Path, shards: Sequence[Shard]) -> Iterator[np.ndarray]:
    first_record = 0
    for shard, starts in zip(shards, _sidecar_arrays(folder, shards, "starts"), strict=True):
        yield starts + first_record
        first_record += shard.num_records
    yield np.array([first_record])
