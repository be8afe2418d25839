"""The token store of one task and split: records in ArrayRecord shards, lengths beside them, a manifest over all.

    <store>/<task>/train/
        shard-00000.array_record …   one record an example and rendering (`record.py`)
        lengths.npz                  lengths int32 [n, sides], loss_tokens int32 [n], starts int64 [examples + 1]
        manifest.json                last (`manifest.py`)

Planning reads lengths.npz alone; the loader reads records by index. The renderings of one example stand one after
another: those of example i are records starts[i] … starts[i + 1].
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from array_record.python.array_record_module import ArrayRecordReader, ArrayRecordWriter

from flan_jax.data.store.manifest import MEND, damage, load_manifest, refusing_bad_disk
from flan_jax.data.store.record import DamagedRecord, Record, pair_record, token_record
from flan_jax.data.store.shards import LENGTHS_NAME
from flan_jax.errors import InputError

# Measured on 50,000 records of 20–150 tokens: the fastest of all group sizes and compressions at random reads.
_WRITER_OPTIONS = "group_size:1,uncompressed"


class RecordWriter:
    """Writes the records of one shard, and gathers what planning is to know of them."""

    def __init__(self, path: Path):
        """Begins the file at `path`.

        Raises:
            InputError: it cannot be written; as all that follows.
        """
        self._path = path
        self._lengths: list[tuple[int, ...]] = []
        self._loss_tokens: list[int] = []
        self._starts: list[int] = []
        self._last_example_id: int | None = None
        self._content = hashlib.sha256()
        self.num_tokens = 0
        with self._writing():
            self._writer = ArrayRecordWriter(str(path), _WRITER_OPTIONS)

    @property
    def num_records(self) -> int:
        """Records written so far."""
        return len(self._lengths)

    @property
    def num_examples(self) -> int:
        """Distinct examples written so far."""
        return len(self._starts)

    @property
    def content(self) -> str:
        """Sha256 over the records so far, in order."""
        return self._content.hexdigest()

    def write(self, record: Record) -> None:
        """Adds one record. Renderings of one example follow each other and share its example id."""
        data = record.to_bytes()
        if record.example_id != self._last_example_id:
            self._starts.append(self.num_records)
            self._last_example_id = record.example_id
        self._lengths.append(record.packed_lengths)
        self._loss_tokens.append(record.loss_tokens)
        self.num_tokens += record.num_tokens
        self._content.update(data)
        with self._writing():
            self._writer.write(data)

    def close(self) -> None:
        """Completes the file."""
        with self._writing():
            self._writer.close()

    def arrays(self) -> dict[str, np.ndarray]:
        """Lengths int32 [n, sides], loss_tokens int32 [n] and starts int64 [examples], counted in this shard."""
        return {
            "lengths": np.array(self._lengths, np.int32),
            "loss_tokens": np.array(self._loss_tokens, np.int32),
            "starts": np.array(self._starts, np.int64),
        }

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        """The record writer reports a full disk as RuntimeError; it is refused like the OSError that it was."""
        with refusing_bad_disk(self._path.parent.parent):
            try:
                yield
            except RuntimeError as e:
                raise OSError(None, str(e).split(";")[0]) from e


class ShardReader:
    """Reads records of one shard, from any thread.

    Record by record without the reader's own thread pool: measured 3 µs a record, where its list of indices takes 20 to
    100 µs a record for the few that a batch wants of one task.
    """

    def __init__(self, path: Path):
        self._reader = ArrayRecordReader(str(path), "readahead_buffer_size:0,max_parallelism:0")
        self._lock = threading.Lock()
        self.num_records = self._reader.num_records()

    def read(self, numbers: Sequence[int]) -> list[bytes]:
        """The bytes of these records.

        Raises:
            RuntimeError: the file is damaged there.
        """
        records = []
        with self._lock:  # seeking and reading are two calls
            for number in numbers:
                self._reader.seek(number)
                records.append(self._reader.read())
        return records


class ReaderPool:
    """Open shard readers shared by many stores, so that a thousand tasks do not run out of file handles."""

    def __init__(self, limit: int = 128):
        self._limit = limit
        self._readers: OrderedDict[Path, ShardReader] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, path: Path) -> ShardReader:
        """The reader of a shard; the one unused longest is let go at the limit.

        A reader that another thread still uses closes when that thread drops it.
        """
        with self._lock:
            reader = self._readers.pop(path, None) or ShardReader(path)
            self._readers[path] = reader
            if len(self._readers) > self._limit:
                self._readers.popitem(last=False)
        return reader


class Store:
    """One prepared split, opened for planning and reading.

    Attributes:
        directory: its folder.
        manifest: what it holds.
        lengths: int32 [n, sides], positions each record takes in a row: one side for a decoder, inputs and targets for
            an encoder-decoder.
        loss_tokens: int32 [n], positions that carry loss.
        starts: int64 [examples + 1], first record of each example.
    """

    def __init__(self, directory: str | Path, readers: ReaderPool | None = None):
        """Opens a finished folder.

        Raises:
            InputError: not prepared, or a file is missing, has another size, or lengths.npz is damaged.
        """
        self.directory = Path(directory)
        self.manifest = load_manifest(self.directory)
        self._readers = readers or ReaderPool()
        self._shards = [file for file in self.manifest.files if file.name != LENGTHS_NAME]
        self._first_records = np.cumsum([0] + [shard.num_records for shard in self._shards])
        self.lengths, self.loss_tokens, self.starts = self._load_lengths()

    @property
    def num_examples(self) -> int:
        """Distinct examples."""
        return self.manifest.num_examples

    @property
    def content(self) -> str:
        """Fingerprint of the records."""
        return self.manifest.content

    def read(self, indices: Sequence[int] | np.ndarray) -> list[Record]:
        """The records at `indices`, in their order.

        Raises:
            InputError: a record is damaged; the sentence names the shard and the record.
        """
        indices = np.asarray(indices, np.int64)
        shards = np.searchsorted(self._first_records, indices, side="right") - 1
        decode = token_record if self.manifest.kind == "tokens" else pair_record
        records: list[Record | None] = [None] * len(indices)
        for shard in np.unique(shards).tolist():
            places = np.flatnonzero(shards == shard)
            in_shard = (indices[places] - self._first_records[shard]).tolist()
            for place, number, data in zip(places.tolist(), in_shard, self._read_shard(shard, in_shard), strict=True):
                try:
                    records[place] = decode(data)
                except DamagedRecord as e:
                    raise self._damaged(shard, f"record {number}: {e}") from e
        return [record for record in records if record is not None]

    def verify(self) -> list[str]:
        """Reads every byte; one sentence for each damaged or missing file, none when the store is sound."""
        return damage(self.directory)

    def _read_shard(self, shard: int, numbers: list[int]) -> list[bytes]:
        file = self._shards[shard]
        try:
            reader = self._readers.get(self.directory / file.name)
            # A truncated shard opens as an empty one without an error.
            if reader.num_records != file.num_records:
                problem = f"{reader.num_records} records, the manifest says {file.num_records}"
                raise self._damaged(shard, problem)
            return reader.read(numbers)
        except RuntimeError as e:
            raise self._damaged(shard, str(e).split(";")[0]) from e

    def _damaged(self, shard: int, problem: str) -> InputError:
        return InputError(
            f"token store '{self.directory}': '{self._shards[shard].name}' is damaged ({problem}); {MEND}"
        )

    def _load_lengths(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        path = self.directory / LENGTHS_NAME
        entry = next((file for file in self.manifest.files if file.name == LENGTHS_NAME), None)
        data = path.read_bytes()
        if entry is None or hashlib.sha256(data).hexdigest() != entry.sha256:
            raise InputError(f"token store '{self.directory}': '{LENGTHS_NAME}' does not match its checksum; {MEND}")
        with np.load(io.BytesIO(data)) as arrays:
            return arrays["lengths"], arrays["loss_tokens"], arrays["starts"]
