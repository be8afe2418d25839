"""Where shards are built: in this process, or in several that live and die with it.

A worker process is spawned, not forked: TensorFlow, JAX and the tokenizers' threads do not survive a fork. It gets
config, encoder and how the tasks are phrased once, and is then given fields: it reads and resolves nothing.
"""

from __future__ import annotations

import functools
import multiprocessing
import os
import pickle
import signal
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Protocol

from flan_jax.config import Config
from flan_jax.data.prepare.build import Job, ShardBuilder
from flan_jax.data.prepare.encode import Encoder
from flan_jax.data.prepare.handed import phrasing
from flan_jax.data.spec.task import TaskSpec
from flan_jax.data.store.shards import Shard
from flan_jax.errors import InputError


class LostWorkerError(InputError):
    """A worker process was killed; what it had finished is still good."""


class Workers(Protocol):
    """What builds shards."""

    @property
    def room(self) -> int:
        """Most jobs that are held at once, so that memory stays flat."""
        ...

    def submit(self, job: Job, folder: Path) -> Future[Shard]:
        """Begins to build a shard."""
        ...

    def result(self, shard: Future[Shard]) -> Shard:
        """The shard, waited for.

        Raises:
            InputError: as `ShardBuilder.build`, or a process was lost.
        """
        ...

    def close(self) -> None:
        """Waits for what is being built and begins nothing more."""
        ...


class LocalWorkers:
    """Builds each shard in this process, as it is submitted."""

    room = 1

    def __init__(
        self,
        config: Config,
        encoder: Encoder,
        tasks: Mapping[str, TaskSpec],
        advance: Callable[[int, int], None] | None,
    ):
        """Takes what `ShardBuilder` takes, and what is told of examples and tokens that are done."""
        self._builder = ShardBuilder(config, encoder, tasks)
        self._advance = advance

    def submit(self, job: Job, folder: Path) -> Future[Shard]:
        """Builds a shard."""
        shard: Future[Shard] = Future()
        shard.set_result(self._builder.build(job, folder, advance=self._advance))
        return shard

    def result(self, shard: Future[Shard]) -> Shard:
        """The shard."""
        return shard.result()

    def close(self) -> None:
        """Nothing is under way."""


class ProcessWorkers:
    """Builds shards in processes beside this one."""

    def __init__(self, config: Config, encoder: Encoder, tasks: Mapping[str, TaskSpec], num_processes: int):
        """Prepares the processes, for what `ShardBuilder` takes; they start with the first jobs."""
        self._num_processes = num_processes
        self.room = 2 * num_processes  # one at work and one waiting for each
        num_threads = max(1, (os.cpu_count() or 1) // num_processes)
        phrased = {name: phrasing(task) for name, task in tasks.items()}
        self._executor = ProcessPoolExecutor(
            num_processes,
            mp_context=multiprocessing.get_context("spawn"),
            initializer=_start,
            initargs=(pickle.dumps((config, encoder, phrased)), num_threads),
        )

    def submit(self, job: Job, folder: Path) -> Future[Shard]:
        """Hands a job to the next free process."""
        return self._executor.submit(_build, job, folder)

    def result(self, shard: Future[Shard]) -> Shard:
        """The shard, waited for.

        Raises:
            InputError: as `ShardBuilder.build`, or a process was lost.
        """
        try:
            return shard.result()
        except BrokenProcessPool as e:
            raise LostWorkerError(
                f"data.prepare_processes {self._num_processes}: one of the processes died (killed, or out of memory); "
                "finished shards are kept: run the same command again, with fewer processes where memory is short"
            ) from e

    def close(self) -> None:
        """Waits for the shards that are being built; those that wait are not begun."""
        self._executor.shutdown(cancel_futures=True)


_setup: bytes = b""  # of this worker process: its config, encoder and tasks; written by `_start` alone


def _start(setup: bytes, num_threads: int) -> None:
    """Makes this process a worker."""
    global _setup
    _setup = setup
    os.environ["RAYON_NUM_THREADS"] = str(num_threads)  # read when the tokenizer first works
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all; the main process says when to end
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """Ends this process when its parent is gone, killed ones included; the queue of jobs alone would not tell."""
    parent = multiprocessing.parent_process()
    assert parent is not None, "a worker is started by another process"
    parent.join()
    os._exit(1)


def _build(job: Job, folder: Path) -> Shard:
    return _builder().build(job, folder)


@functools.cache
def _builder() -> ShardBuilder:
    return ShardBuilder(*pickle.loads(_setup))
