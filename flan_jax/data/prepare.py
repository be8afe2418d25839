"""Builds the token store: read, render, tokenize, write; task by task, only what is missing or stale.

    examples(task, split) ──► encode in batches ──► fit to the row ──► StoreWriter or QuestionWriter ──► manifest

Each folder is finished on its own: after an interruption the next run goes on with the first one that is not there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar

from flan_jax.config import Config
from flan_jax.data.encode import Form, LeftOut, encode, record_kind, row_fit
from flan_jax.data.manifest import Manifest, is_finished, load_manifest, new_folder
from flan_jax.data.prepared import Wanted, folder_spec, spec_differences, wanted_folders
from flan_jax.data.questions import QuestionWriter, questions
from flan_jax.data.registry import resolve_mixture
from flan_jax.data.remote import open_root
from flan_jax.data.render import Dropped, Example, examples
from flan_jax.data.sources import TRAIN
from flan_jax.data.store import StoreWriter
from flan_jax.errors import InputError

Progress = Callable[[str, int, int | None], None]  # task, examples done, how many there are (None: not known)
State = Literal["found", "built", "rebuilt"]
T = TypeVar("T")
T_contra = TypeVar("T_contra", contravariant=True)

_BATCH = 512  # examples tokenized at once


@dataclass(frozen=True)
class PreparedFolder:
    """What became of one folder: `found` as it should be, `built`, or `rebuilt` because of `differences`."""

    task: str
    split: str
    state: State
    manifest: Manifest
    differences: tuple[str, ...] = ()


@dataclass(frozen=True)
class PrepareReport:
    """What became of every folder of a config."""

    folders: tuple[PreparedFolder, ...]

    @property
    def num_built(self) -> int:
        """Folders that were written."""
        return sum(folder.state != "found" for folder in self.folders)


def prepare(config: Config, form: Form, *, progress: Progress | None = None) -> PrepareReport:
    """Builds every folder a config needs that is missing or was made from something else.

    Args:
        config: the run.
        form: how the model reads (`formats.chat.make_form`).
        progress: called with task, examples done and how many there are, about once a batch.

    Raises:
        InputError: bad records or templates, a split that is empty or all of which is too long, a full disk or a folder
            that cannot be written; nothing half-written stays.
    """
    row_fit(form, config.batch, config.data)  # refuses before anything is read
    root = open_root(config)
    report = progress or (lambda task, done, total: None)
    folders = []
    for wanted in wanted_folders(config, resolve_mixture(config.data)):
        spec = folder_spec(wanted, config, form)
        directory = root.folder(wanted.path)
        state: State = "built"
        differences: list[str] = []
        if is_finished(directory):
            stored = _sound_manifest(directory)
            differences = ["damaged"] if stored is None else spec_differences(stored.spec, spec)
            state = "rebuilt" if differences else "found"
            if stored is not None and not differences:
                folders.append(PreparedFolder(wanted.task.name, wanted.split, state, stored))
                continue
        manifest = _build(directory, wanted, config, form, spec, report)
        root.publish(wanted.path)
        folders.append(PreparedFolder(wanted.task.name, wanted.split, state, manifest, tuple(differences)))
    return PrepareReport(tuple(folders))


def _sound_manifest(directory: Path) -> Manifest | None:
    """The manifest of a folder whose files are there with their sizes; None where they are not."""
    try:
        return load_manifest(directory)
    except InputError:
        return None


class _Writer(Protocol[T_contra]):
    """A `StoreWriter` or a `QuestionWriter`."""

    @property
    def num_records(self) -> int: ...

    def write(self, item: T_contra, /) -> None: ...

    def finish(self, *, dropped: Mapping[str, int], num_cut: int) -> Manifest: ...


def _build(
    directory: Path, wanted: Wanted, config: Config, form: Form, spec: Mapping[str, Any], report: Progress
) -> Manifest:
    fit = row_fit(form, config.batch, config.data)
    items = examples(wanted.task, wanted.split, config.data)
    with new_folder(directory) as folder:
        if wanted.split == TRAIN:
            writer = StoreWriter(folder, record_kind(form), spec)
            return _write(wanted, items, writer, lambda batch: encode(form, batch, fit), report)
        return _write(wanted, items, QuestionWriter(folder, spec), lambda batch: questions(form, batch, fit), report)


def _write(
    wanted: Wanted,
    items: Iterable[Example | Dropped],
    writer: _Writer[T],
    fitted: Callable[[list[Example]], list[tuple[T | LeftOut, bool]]],
    report: Progress,
) -> Manifest:
    """Writes what fits of `items`, batch by batch, and counts the rest."""
    name = wanted.task.name
    dropped: Counter[str] = Counter()
    num_done = num_cut = 0
    report(name, 0, None)
    kept = _kept(items, dropped)
    while batch := list(islice(kept, _BATCH)):
        detail = ""
        for item, was_cut in fitted(batch):
            if isinstance(item, LeftOut):
                dropped[item.reason] += 1
                detail = detail or item.detail
            else:
                writer.write(item)
                num_cut += was_cut
        if detail and not writer.num_records:
            # Not one example so far: the form and the task do not go together, and the first says why.
            raise InputError(f"task '{name}', split '{wanted.split}', {detail}")
        num_done += len(batch)
        report(name, num_done, None)
    if not writer.num_records:
        reasons = ", ".join(f"{count} {reason}" for reason, count in dropped.items())
        raise InputError(
            f"task '{name}', split '{wanted.split}': no example is left ({reasons}); raise the row length in 'batch', "
            "or give other examples"
        )
    return writer.finish(dropped=dropped, num_cut=num_cut)


def _kept(items: Iterable[Example | Dropped], dropped: Counter[str]) -> Iterator[Example]:
    for item in items:
        if isinstance(item, Dropped):
            dropped[item.reason] += 1
        else:
            yield item
