"""Builds the token store: folder by folder, only what is missing or stale, in one process or several.

    read, map, cap (this process) ──jobs in order──► ShardBuilder (here, or in other processes) ──► shards
    all shards of a folder ──merged──► lengths, manifest ──► renamed to its place

A process that is killed leaves its finished shards; the next one reads the source again and builds only the others.
Several folders are under way at once where there are several processes, so that small tasks keep them all busy.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from flan_jax.config import Config
from flan_jax.data.check.drift import check_sources
from flan_jax.data.prepare.build import jobs
from flan_jax.data.prepare.encode import Encoder, record_kind, row_fit
from flan_jax.data.prepare.needed import Folder, folder_spec, needed_folders, spec_differences
from flan_jax.data.prepare.workers import LocalWorkers, LostWorkerError, ProcessWorkers, Workers
from flan_jax.data.registry.resolve import Resolved
from flan_jax.data.spec.own_code import OwnCodeError
from flan_jax.data.spec.source import TRAIN
from flan_jax.data.store.folders import FolderLock, WorkFolder, check_replaceable
from flan_jax.data.store.manifest import STORE_FORMAT, DamagedStoreError, Manifest, fingerprint, is_finished
from flan_jax.data.store.root import Root, open_root
from flan_jax.data.store.shards import Shard, merge_shards
from flan_jax.errors import InputError
from flan_jax.version import __version__

State = Literal["found", "built", "rebuilt"]

_MUCH_TOKENS = 1_000_000  # two seconds' work of one process; starting several takes one


@dataclass(frozen=True)
class Status:
    """How far `prepare` is.

    Attributes:
        task: the task that is being read.
        split: of the task.
        num_finished: folders that are done, of `num_folders`.
        num_examples: examples of the folder that are done; with several processes, that are handed out.
        num_tokens: tokens made so far in this call.
        num_reused: shards found complete so far in this call.
        is_waiting: whether another process is building this folder, and this one waits for it.
    """

    task: str
    split: str
    num_finished: int
    num_folders: int
    num_examples: int
    num_tokens: int
    num_reused: int
    is_waiting: bool = False


Progress = Callable[[Status], None]


@dataclass(frozen=True)
class PreparedFolder:
    """What became of one folder: `found` as it should be, `built`, or `rebuilt` because of `differences`.

    Attributes:
        task: its task.
        split: of the task.
        state: what became of it.
        manifest: what it holds.
        differences: what was different in the one that was there.
        num_shards: shards it was made of in this call.
        num_reused: those of them that a killed process had finished.
    """

    task: str
    split: str
    state: State
    manifest: Manifest
    differences: tuple[str, ...] = ()
    num_shards: int = 0
    num_reused: int = 0


@dataclass(frozen=True)
class PrepareReport:
    """What became of every folder of a config.

    Attributes:
        folders: in the order in which they are needed.
        num_tokens: tokens made in this call.
        seconds: how long it took.
        made_by: what rendered and tokenized, as text.
    """

    folders: tuple[PreparedFolder, ...]
    num_tokens: int = 0
    seconds: float = 0.0
    made_by: str = "1 process"

    @property
    def num_built(self) -> int:
        """Folders that were written."""
        return sum(folder.state != "found" for folder in self.folders)

    @property
    def num_reused(self) -> int:
        """Shards that a killed process had finished."""
        return sum(folder.num_reused for folder in self.folders)


def prepare(
    config: Config, encoder: Encoder, resolved: Resolved, *, spare_processes: int = 1, progress: Progress | None = None
) -> PrepareReport:
    """Builds every folder a config needs that is missing or was made from something else.

    Args:
        config: the run; `data.prepare_processes` says how many processes work.
        encoder: how the model reads (`text.chat.make_encoder`).
        resolved: the config's tasks (`registry.resolve.resolve_run`).
        spare_processes: how many are started where the config does not say, once there is more than a little to do.
        progress: called about once a batch, or once a shard with several processes.

    Raises:
        InputError: bad records or templates, a split that is empty or all of which is too long, a full disk or a folder
            that cannot be written; nothing half-written stays. After any other end finished shards stay, hidden, for
            the next call.
    """
    row_fit(encoder, config.batch, config.data)  # refuses before anything is read
    root = open_root(config)
    needed = needed_folders(resolved)
    check_sources(folder.task for folder in needed if not is_finished(root.folder(folder.path)))
    preparation = _Preparation(config, encoder, root, needed, spare_processes, progress)
    began = time.perf_counter()
    try:
        for folder in needed:
            preparation.add(folder)
        preparation.finish_all()
    except BaseException as e:
        preparation.give_up(keep_shards=not isinstance(e, InputError) or isinstance(e, (LostWorkerError, OwnCodeError)))
        raise
    finally:
        preparation.workers.close()
    return PrepareReport(
        tuple(preparation.folders[folder.path] for folder in needed),
        preparation.num_tokens,
        time.perf_counter() - began,
        preparation.made_by,
    )


def state_of(root: Root, folder: Folder, spec: dict[str, Any]) -> tuple[PreparedFolder | None, State, tuple[str, ...]]:
    """The folder where it is as it should be; else how the one that is to be built is called, and what differs."""
    try:
        stored = root.stored(folder.path)
    except DamagedStoreError:
        return None, "rebuilt", ("damaged, or of another version",)
    if stored is None:
        return None, "built", ()
    differences = tuple(spec_differences(stored.spec, spec))
    if differences:
        return None, "rebuilt", differences
    return PreparedFolder(folder.task.name, folder.split, "found", stored), "found", ()


def work_key(spec: dict[str, Any]) -> str:
    """What the shards of a folder are made from, as a name; another version of this package may make others."""
    return fingerprint([spec, STORE_FORMAT, __version__])[:16]


def refuse_empty(folder: Folder, shards: list[Shard], dropped: Counter[str]) -> None:
    """Refuses a folder none of whose examples is left.

    Raises:
        InputError: there is no record.
    """
    if not any(shard.num_records for shard in shards):
        counts = sum((Counter(shard.dropped) for shard in shards), dropped)
        reasons = ", ".join(f"{count} {reason}" for reason, count in counts.items())
        raise InputError(
            f"task '{folder.task.name}', split '{folder.split}': no example is left ({reasons}); raise the row length "
            "in 'batch', or give other examples"
        )


@dataclass
class _Build:
    """A folder under way: what it is to be, its lock, and its shards so far."""

    folder: Folder
    spec: dict[str, Any]
    state: State
    differences: tuple[str, ...]
    lock: FolderLock
    work: WorkFolder
    dropped: Counter[str] = field(default_factory=Counter)
    shards: list[Future[Shard]] = field(default_factory=list)


class _Preparation:
    """One call of `prepare`: the folders that are done and those under way, in order."""

    def __init__(
        self,
        config: Config,
        encoder: Encoder,
        root: Root,
        needed: list[Folder],
        spare_processes: int,
        progress: Progress | None,
    ):
        self._config, self._encoder, self._root, self._progress = config, encoder, root, progress
        self._num_folders = len(needed)
        self._builds: deque[_Build] = deque()  # the last one is being read, the others wait for their shards
        self._running: set[Future[Shard]] = set()
        self._num_examples = self._num_reused = 0
        self.folders: dict[Path, PreparedFolder] = {}
        self.num_tokens = 0
        stated = config.data.prepare_processes
        self._num_processes = spare_processes if stated is None else stated
        self._tasks = {folder.task.name: folder.task for folder in needed}
        self.workers: Workers = LocalWorkers(config, encoder, self._tasks, self._advance)
        if stated is not None:
            self._start_processes()

    @property
    def made_by(self) -> str:
        """What renders and tokenizes, as text."""
        return f"{self._num_processes} processes" if isinstance(self.workers, ProcessWorkers) else "1 process"

    def _start_processes(self) -> None:
        if self._num_processes > 1:
            self.workers = ProcessWorkers(self._config, self._encoder, self._tasks, self._num_processes)

    def add(self, folder: Folder) -> None:
        """Notes a folder that is as it should be, or reads its split and hands out its shards."""
        directory, spec = self._root.folder(folder.path), folder_spec(folder, self._config, self._encoder)
        here = Root(self._root.local, None, self._root.timeout_s)  # a remote folder was copied, if there is one
        finished, _, _ = state_of(here, folder, spec)
        if finished is not None:
            if self._root.address is not None and self._root.stored(folder.path) is None:
                self._root.publish(folder.path)  # a process was killed before it had copied all of it
            self.folders[folder.path] = finished
            return
        check_replaceable(directory)
        spec = folder_spec(folder, self._config, self._encoder, asks_source=True)
        lock = self._locked(directory, folder)
        finished, state, differences = state_of(here, folder, spec)  # another process may have built it meanwhile
        if finished is not None:
            self.folders[folder.path] = finished
            lock.release()
            return
        work = WorkFolder(directory, work_key(spec))
        build = _Build(folder, spec, state, differences, lock, work)
        self._builds.append(build)
        work.create()
        self._num_examples = 0
        self._report(folder)
        for job in jobs(folder.task, folder.split, self._config, build.dropped):
            if self.num_tokens >= _MUCH_TOKENS and isinstance(self.workers, LocalWorkers):
                self._start_processes()
            self._make_room()
            shard = self.workers.submit(job, work.path)
            build.shards.append(shard)
            self._running.add(shard)
            self._collect(timeout_s=0)
            if self.workers.room > 1:
                self._num_examples += len(job.items)
                self._report(folder)
        while self._builds and all(shard.done() for shard in self._builds[0].shards):
            self._finish_first()

    def finish_all(self) -> None:
        """Waits for every folder that is under way."""
        while self._builds:
            self._finish_first()

    def give_up(self, *, keep_shards: bool) -> None:
        """Lets the folders under way go: with their finished shards for the next call, or without a trace."""
        self.workers.close()
        for build in self._builds:
            if not (keep_shards and any(build.work.path.glob("*.sidecar.npz"))):
                build.work.remove()
            build.lock.release()

    def _locked(self, directory: Path, folder: Folder) -> FolderLock:
        lock = FolderLock(directory)
        if not lock.acquire(wait=False):
            self.finish_all()  # holds no lock while it waits, or two processes could wait for each other
            self._num_examples = 0
            self._report(folder, is_waiting=True)
            lock.acquire()
        return lock

    def _make_room(self) -> None:
        while len(self._running) >= self.workers.room:
            self._collect(timeout_s=None)

    def _collect(self, *, timeout_s: float | None) -> None:
        """Counts the shards that are done; a failed one is told at once."""
        done, self._running = wait(self._running, timeout_s, FIRST_COMPLETED)
        for future in done:
            shard = self.workers.result(future)
            self._num_reused += shard.is_reused
            if self.workers.room > 1 and not shard.is_reused:
                self.num_tokens += shard.num_tokens

    def _finish_first(self) -> None:
        """Makes the oldest folder under way complete."""
        build = self._builds[0]
        shards = [self.workers.result(shard) for shard in build.shards]
        self._collect(timeout_s=0)
        folder = build.folder
        refuse_empty(folder, shards, build.dropped)
        kind = record_kind(self._encoder) if folder.split == TRAIN else "evaluation"
        manifest = merge_shards(build.work.path, shards, kind=kind, spec=build.spec, dropped=build.dropped)
        build.work.publish()
        self._root.publish(folder.path)
        build.lock.release()
        self._builds.popleft()
        num_reused = sum(shard.is_reused for shard in shards)
        self.folders[folder.path] = PreparedFolder(
            folder.task.name, folder.split, build.state, manifest, build.differences, len(shards), num_reused
        )
        self._report(folder)

    def _advance(self, num_examples: int, num_tokens: int) -> None:
        self._num_examples += num_examples
        self.num_tokens += num_tokens
        self._report(self._builds[-1].folder)

    def _report(self, folder: Folder, *, is_waiting: bool = False) -> None:
        if self._progress is not None:
            self._progress(
                Status(
                    folder.task.name,
                    folder.split,
                    len(self.folders),
                    self._num_folders,
                    self._num_examples,
                    self.num_tokens,
                    self._num_reused,
                    is_waiting,
                )
            )
