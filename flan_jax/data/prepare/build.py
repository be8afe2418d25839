"""Builds shards: the one way from fields to finished files, whichever process or runner does it.

    fields of one run of examples ──rendered──► Examples ──encoded in batches──► records ──► shard, sidecar
                                      └─ Dropped            └─ LeftOut

A shard that is there already and was made from the same fields is left as it is.
"""

from __future__ import annotations

import hashlib
import json
import pickle
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from flan_jax.config import Config
from flan_jax.data.prepare.encode import Encoder, LeftOut, encode, row_fit, shot_budget
from flan_jax.data.prepare.questions import QuestionWriter, questions
from flan_jax.data.render.example import Example
from flan_jax.data.render.examples import num_renderings, pool_of, rendered, selected, shots_for
from flan_jax.data.render.shots import Pool, Shots
from flan_jax.data.spec.fields import Dropped
from flan_jax.data.spec.source import TRAIN
from flan_jax.data.spec.task import Fields, TaskSpec
from flan_jax.data.store.shards import Shard, ShardWriter, examples_per_shard, finish_shard, finished_shard, shard_name
from flan_jax.data.store.store import RecordWriter
from flan_jax.errors import InputError
from flan_jax.files.whole import new_file

T = TypeVar("T")

_BATCH = 512  # examples tokenized at once


@dataclass(frozen=True)
class Job:
    """What one shard is made from.

    Attributes:
        task: name of the task.
        split: of the task.
        number: place of the shard in the split.
        items: (example id, fields) of its examples.
        pool: examples that may stand before its questions.
    """

    task: str
    split: str
    number: int
    items: Sequence[tuple[int, Fields]]
    pool: Pool = ()

    def fingerprint(self) -> str:
        """Hash of the fields and the pool.

        The code of a task's map is in no spec, so a killed process may have made its shards from other fields.
        """
        digest = hashlib.blake2b(digest_size=16)
        for items in (self.pool, self.items):
            digest.update(str(len(items)).encode())
            for item in items:
                digest.update(json.dumps(item, default=_pickled, skipkeys=True).encode())
        return digest.hexdigest()


def _pickled(value: Any) -> str:
    return pickle.dumps(value).hex()


def jobs(task: TaskSpec, split: str, config: Config, dropped: Counter[str]) -> Iterator[Job]:
    """Reads a split and cuts it into jobs; what is left out before is counted in `dropped`.

    Raises:
        InputError: as `selected` and `pool_of`.
    """
    pool = pool_of(task, config.data)
    size = examples_per_shard(split, num_renderings(task, config.data))
    kept = _kept(selected(task, split, config.data), dropped)
    number = 0
    while items := list(islice(kept, size)):
        yield Job(task.name, split, number, items, pool)
        number += 1


def _kept(items: Iterable[T | Dropped], dropped: Counter[str]) -> Iterator[T]:
    for item in items:
        if isinstance(item, Dropped):
            dropped[item.reason] += 1
        else:
            yield item


class ShardBuilder:
    """Builds the shards of one config's tasks; made once in each process."""

    def __init__(self, config: Config, encoder: Encoder, tasks: Mapping[str, TaskSpec]):
        """Takes what all shards have in common.

        Args:
            config: the run.
            form: how the model reads.
            tasks: by name.

        Raises:
            InputError: the form does not allow what the config asks for.
        """
        self._config, self._encoder, self._tasks = config, encoder, tasks
        self._fit = row_fit(encoder, config.batch, config.data)
        self._shots: tuple[str, Pool, Shots | None] = ("", (), None)

    def build(self, job: Job, folder: Path, *, advance: Callable[[int, int], None] | None = None) -> Shard:
        """Builds a shard in `folder`, unless it is there.

        Args:
            job: what it is made from.
            folder: of all shards of the split.
            advance: called with examples and tokens that are done, once a batch.

        Raises:
            InputError: an example is malformed, no example of the first batches can be encoded, or the disk is full.
        """
        inputs = job.fingerprint()
        finished = finished_shard(folder, job.split, job.number, inputs)
        if finished is not None:
            return finished
        path = folder / shard_name(job.split, job.number)
        with new_file(path) as temporary:
            writer, tally = self._write(job, temporary, advance)
        return finish_shard(
            path, job.number, writer, inputs=inputs, dropped=tally.dropped, num_cut=tally.num_cut, shots=tally.shots
        )

    def _write(
        self, job: Job, path: Path, advance: Callable[[int, int], None] | None
    ) -> tuple[RecordWriter | QuestionWriter, _Tally]:
        """Renders and encodes the examples and writes what fits."""
        examples = rendered(self._tasks[job.task], job.split, self._config.data, job.items, shots=self._shots_of(job))
        if job.split == TRAIN:
            writer = RecordWriter(path)
            return writer, _fill(writer, job, examples, partial(encode, self._encoder, fit=self._fit), advance)
        writer = QuestionWriter(path)
        return writer, _fill(writer, job, examples, partial(questions, self._encoder, fit=self._fit), advance)

    def _shots_of(self, job: Job) -> Shots | None:
        """What puts examples before the task's questions; kept for its next shard, since it keeps rendered texts."""
        name, pool, shots = self._shots
        if name != job.task or pool != job.pool:
            budget = shot_budget(self._encoder, self._config.batch, self._config.data) if job.pool else None
            shots = shots_for(self._tasks[job.task], self._config.data, job.pool, budget)
            self._shots = (job.task, job.pool, shots)
        return shots


@dataclass
class _Tally:
    """What became of a shard's examples: left out by reason, cut, and by how many others stand before them."""

    dropped: Counter[str] = field(default_factory=Counter)
    num_cut: int = 0
    shots: Counter[str] = field(default_factory=Counter)


def _fill(
    writer: ShardWriter[T],
    job: Job,
    examples: Iterable[Example | Dropped],
    encoded: Callable[[list[Example]], list[tuple[T | LeftOut, bool]]],
    advance: Callable[[int, int], None] | None,
) -> _Tally:
    """Writes what fits, batch by batch."""
    tally = _Tally()
    kept = _kept(examples, tally.dropped)
    while batch := list(islice(kept, _BATCH)):
        if job.pool:
            tally.shots.update(str(example.shots) for example in batch)
        detail = ""
        num_tokens = writer.num_tokens
        for item, was_cut in encoded(batch):
            if isinstance(item, LeftOut):
                tally.dropped[item.reason] += 1
                detail = detail or item.detail
            else:
                writer.write(item)
                tally.num_cut += was_cut
        if detail and not writer.num_records and not job.number:
            # Not one example so far: the form and the task do not go together, and the first says why.
            raise InputError(f"task '{job.task}', split '{job.split}', {detail}")
        if advance is not None:
            advance(len(batch), writer.num_tokens - num_tokens)
    writer.close()
    return tally
