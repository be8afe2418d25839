"""Preparing on Apache Beam, where one machine is too small: a runner's workers build the shards that `prepare` builds.

    (task, split) ──read──► runs of fields ──grouped──► shards ──grouped──► lengths, manifest
                   one worker a split        any worker, each into the store  last, one worker a split

All workers must reach the store: a folder that they share, or an address. They get the tasks as they were worked out
here, and need this package and the files of `data.modules`; sources are read there. What a bad record says comes back
as data, not as an exception, which a runner would try again and bury in its own report. Needs the extra `beam`; nothing
is imported before a pipeline is made.
"""

from __future__ import annotations

import contextlib
import functools
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

from flan_jax.config import Config
from flan_jax.data.check.drift import check_sources
from flan_jax.data.prepare.build import Job, ShardBuilder, jobs
from flan_jax.data.prepare.encode import Encoder, record_kind, row_fit
from flan_jax.data.prepare.handed import Handed, unpack
from flan_jax.data.prepare.needed import Folder, folder_spec, needed_folders
from flan_jax.data.prepare.prepare import PreparedFolder, PrepareReport, refuse_empty, state_of, work_key
from flan_jax.data.registry.resolve import Resolved
from flan_jax.data.spec.source import TRAIN
from flan_jax.data.store.folders import FolderLock, WorkFolder, check_replaceable
from flan_jax.data.store.manifest import MANIFEST_NAME, is_finished, load_manifest
from flan_jax.data.store.root import open_root
from flan_jax.data.store.shards import Shard, merge_shards, read_sidecar, remove_unlisted, sidecar_name
from flan_jax.errors import InputError
from flan_jax.files.whole import new_file

Runner = Literal["direct", "flink", "spark", "dataflow"]
RUNNERS: tuple[str, ...] = get_args(Runner)

# Beam's own DirectRunner first fetches a binary from the network; this one runs in the process.
_BEAM_NAMES = {
    "direct": "FnApiRunner",
    "flink": "FlinkRunner",
    "spark": "SparkRunner",
    "dataflow": "DataflowRunner",
}
_CHUNK = 512  # examples that travel as one element
_SPLIT = -1  # in the place of a shard's number: what there is to say of the whole split
_REFUSED_NAME = "refused.txt"  # beside the shards: the sentence that says why the folder is not complete


class _Place(NamedTuple):
    """A folder under way, by names that any worker understands."""

    task: str
    split: str
    key: str  # of its work folder


@dataclass(frozen=True)
class _Facts:
    """What there is to say of a whole split once it is read."""

    num_shards: int
    dropped: Mapping[str, int]
    spec: Mapping[str, Any]
    refused: str | None


def prepare_on_beam(
    config: Config, encoder: Encoder, resolved: Resolved, *, runner: Runner, flags: Sequence[str] = ()
) -> PrepareReport:
    """Builds every folder a config needs that is missing or was made from something else, as `prepare` does.

    Folders that are complete are published, also where another one is refused. In a folder that the workers share,
    shards that an ended pipeline had finished are used again.

    Args:
        config: the run.
        encoder: how the model reads.
        resolved: the config's tasks.
        runner: which of Beam's runners.
        flags: further options of the pipeline, as Beam's documentation of the runner names them.

    Raises:
        InputError: Beam is not installed, an option is unknown to it, or as `prepare`.
    """
    began = time.perf_counter()
    options = _options(runner, flags)
    row_fit(encoder, config.batch, config.data)
    root = open_root(config)
    needed = needed_folders(resolved)
    specs = {folder.path: folder_spec(folder, config, encoder) for folder in needed}
    states = {folder.path: state_of(root, folder, specs[folder.path]) for folder in needed}
    specs |= {
        folder.path: folder_spec(folder, config, encoder, asks_source=True)
        for folder in needed
        if states[folder.path][0] is None
    }
    check_sources(folder.task for folder in needed if states[folder.path][0] is None)
    with contextlib.ExitStack() as locks:
        for path in sorted(path for path, (finished, _, _) in states.items() if finished is None):
            if root.address is None:  # in one order, so that no two calls wait for each other
                check_replaceable(root.local / path)
                locks.enter_context(FolderLock(root.local / path))
            states[path] = state_of(root, next(folder for folder in needed if folder.path == path), specs[path])
        building = [folder for folder in needed if states[folder.path][0] is None]
        _build_all(
            _Setup(Handed(config, encoder, resolved)), {folder: specs[folder.path] for folder in building}, options
        )
    folders = []
    for folder in needed:
        finished, state, differences = states[folder.path]
        manifest = finished.manifest if finished else root.stored(folder.path)
        assert manifest is not None, f"the pipeline ended well, and {folder.path} is not complete"
        folders.append(finished or PreparedFolder(folder.task.name, folder.split, state, manifest, differences))
    num_tokens = sum(folder.manifest.num_tokens for folder in folders if folder.state != "found")
    return PrepareReport(tuple(folders), num_tokens, time.perf_counter() - began, f"Apache Beam ({runner})")


def _options(runner: Runner, flags: Sequence[str]) -> Any:
    """Beam's pipeline options.

    Raises:
        InputError: Beam is not installed, or does not know a flag, which it would pass over.
    """
    try:
        from apache_beam.options import pipeline_options
    except ImportError as e:
        raise InputError(f"--runner {runner}: needs Apache Beam ({e}); install flan-jax[beam]") from e
    options = pipeline_options.PipelineOptions([f"--runner={_BEAM_NAMES[runner]}", *flags])
    unknown = sorted(set(options.get_all_options(retain_unknown_options=True)) - set(options.get_all_options()))
    if unknown:
        raise InputError(f"--runner {runner}: Apache Beam has no option '--{unknown[0]}'; see its documentation")
    return options


def _build_all(setup: _Setup, specs: Mapping[Folder, dict[str, Any]], options: Any) -> None:
    """Builds these folders, each made from its spec, and puts them to their places.

    Raises:
        InputError: the first of the folders that is refused.
    """
    if not specs:
        return
    places = {_Place(folder.task.name, folder.split, work_key(spec)): spec for folder, spec in specs.items()}
    for place in places:
        setup.begin(place)
    import apache_beam as beam

    with beam.Pipeline(options=options) as pipeline:
        _ = (
            pipeline
            | "splits" >> beam.Create([(tuple(place), spec) for place, spec in places.items()])
            | "apart" >> beam.Reshuffle()
            | "read" >> beam.FlatMap(_Read(setup))
            | "by shard" >> beam.GroupByKey()
            | "build" >> beam.Map(_Build(setup))
            | "by split" >> beam.GroupByKey()
            | "finish" >> beam.Map(_Finish(setup))
        )
    refused = [sentence for place in places if (sentence := setup.end(place)) is not None]
    if refused:
        raise InputError(refused[0])


class _Setup:
    """What travels to the workers, and where files go; what is worked out from it stays there."""

    def __init__(self, handed: Handed):
        self.config, self.encoder, self._handed = handed.config, handed.encoder, handed
        self._root = open_root(handed.config)

    def __reduce__(self) -> tuple[Any, ...]:
        return _arrived, (self._packed,)

    @functools.cached_property
    def _packed(self) -> bytes:
        return self._handed.pack()

    @functools.cached_property
    def _folders(self) -> dict[tuple[str, str], Folder]:
        return {(folder.task.name, folder.split): folder for folder in needed_folders(self._handed.resolved)}

    @functools.cached_property
    def _builder(self) -> ShardBuilder:
        tasks = {folder.task.name: folder.task for folder in self._folders.values()}
        return ShardBuilder(self.config, self.encoder, tasks)

    def folder(self, place: _Place) -> Folder:
        """The folder as the config has it."""
        return self._folders[place.task, place.split]

    def begin(self, place: _Place) -> None:
        """Makes room for a folder; at an address it counts as not prepared from here on."""
        if self._root.address is None:
            self._work(place).create()
            (self._work(place).path / _REFUSED_NAME).unlink(missing_ok=True)
        else:
            path = self.folder(place).path
            self._root.withdraw(path)
            self._root.remove(path / _REFUSED_NAME)

    def build(self, place: _Place, job: Job) -> bytes:
        """Builds a shard where the others are; its sidecar.

        Raises:
            InputError: as `ShardBuilder.build`.
        """
        name = sidecar_name(job.split, job.number)
        if self._root.address is None:
            folder = self._work(place).path
            self._builder.build(job, folder)
            return (folder / name).read_bytes()
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            shard = self._builder.build(job, folder)
            if shard.file:
                self._root.put(folder / shard.file.name, self.folder(place).path)
            return (folder / name).read_bytes()

    def put(self, file: Path, place: _Place) -> None:
        """Copies a file to the shards."""
        if self._root.address is not None:
            self._root.put(file, self.folder(place).path)
            return
        with new_file(self._work(place).path / file.name) as temporary:
            shutil.copyfile(file, temporary)

    def end(self, place: _Place) -> str | None:
        """Puts a complete folder to its place, or removes it; the sentence that says why it is not complete."""
        if self._root.address is not None:
            sentence = self._root.read(self.folder(place).path / _REFUSED_NAME)
            return None if sentence is None else sentence.decode()
        work = self._work(place)
        if not is_finished(work.path):
            sentence = (work.path / _REFUSED_NAME).read_text(encoding="utf-8")
            work.remove()
            return sentence
        remove_unlisted(work.path, load_manifest(work.path))
        work.publish()
        return None

    def _work(self, place: _Place) -> WorkFolder:
        return WorkFolder(self._root.local / self.folder(place).path, place.key)


def _arrived(packed: bytes) -> _Setup:
    return _Setup(unpack(packed))


class _Read:
    """A split → its examples in chunks, each with its shard; last the facts of the split."""

    def __init__(self, setup: _Setup):
        self._setup = setup

    def __call__(self, element: Any) -> Iterator[Any]:
        place, spec = _Place(*element[0]), element[1]
        task = self._setup.folder(place).task
        dropped: Counter[str] = Counter()
        num_shards, refused = 0, None
        try:
            for job in jobs(task, place.split, self._setup.config, dropped):
                num_shards += 1
                for number, first in enumerate(range(0, len(job.items), _CHUNK)):
                    chunk = list(job.items[first : first + _CHUNK])
                    yield (*place, job.number), (number, chunk, () if number else job.pool)
        except InputError as e:
            refused = str(e)
        yield (*place, _SPLIT), _Facts(num_shards, dict(dropped), spec, refused)


class _Build:
    """The chunks of a shard → its sidecar, or the sentence that refuses it; the facts of a split pass."""

    def __init__(self, setup: _Setup):
        self._setup = setup

    def __call__(self, element: Any) -> Any:
        (*names, number), values = element
        place = _Place(*names)
        if number == _SPLIT:
            [facts] = values
            return tuple(place), (number, facts)
        chunks = sorted(values, key=lambda value: value[0])
        items = [(example_id, fields) for _, chunk, _ in chunks for example_id, fields in chunk]
        try:
            return tuple(place), (number, self._setup.build(place, Job(*place[:2], number, items, chunks[0][2])))
        except InputError as e:
            return tuple(place), (number, str(e))


class _Finish:
    """The sidecars of a split → its lengths and manifest beside the shards, or the sentence that refuses it."""

    def __init__(self, setup: _Setup):
        self._setup = setup

    def __call__(self, element: Any) -> None:
        place = _Place(*element[0])
        (_, facts), *results = sorted(element[1], key=lambda value: value[0])
        sentences = [result for _, result in results if isinstance(result, str)]
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            try:
                if facts.refused or sentences:
                    raise InputError(facts.refused or sentences[0])
                self._merge(place, facts, results, folder)
            except InputError as e:
                (folder / _REFUSED_NAME).write_text(str(e), encoding="utf-8")
                self._setup.put(folder / _REFUSED_NAME, place)

    def _merge(self, place: _Place, facts: _Facts, results: Iterable[tuple[int, bytes]], folder: Path) -> None:
        shards: list[Shard] = []
        for number, sidecar in results:
            path = folder / sidecar_name(place.split, number)
            path.write_bytes(sidecar)
            shards.append(read_sidecar(path))
        assert len(shards) == facts.num_shards, f"{len(shards)} shards of {facts.num_shards} came to {place}"
        refuse_empty(self._setup.folder(place), shards, Counter(facts.dropped))
        kind = record_kind(self._setup.encoder) if place.split == TRAIN else "evaluation"
        merge_shards(folder, shards, kind=kind, spec=facts.spec, dropped=facts.dropped)
        for file in sorted(folder.iterdir(), key=lambda file: file.name == MANIFEST_NAME):  # the manifest last
            self._setup.put(file, place)
