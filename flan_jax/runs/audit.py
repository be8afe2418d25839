"""The audit of a store: which evaluation examples leaked into training, and what is in training twice.

store ──ids──> sources ──contents──> DuplicateFinder ──passing──> OverlapFinder ──> <run>/contamination/
    report.json        counts by task and pairs of tasks, every dirty example with where it was seen
    subsets.json       clean and dirty examples by task, for evaluation.subsets
    duplicates.jsonl   one group of duplicates a line
"""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from flan_jax.config import Config
from flan_jax.data.audit.content import Content, asked_examples, check_readable, contents, stored_examples
from flan_jax.data.audit.duplicates import DuplicateFinder, Duplicates
from flan_jax.data.audit.overlap import OverlapFinder, TaskOverlap
from flan_jax.data.prepare.opened import Prepared
from flan_jax.data.spec.source import TRAIN, VALIDATION
from flan_jax.data.spec.task import TaskSpec
from flan_jax.data.spec.variant import split_variant
from flan_jax.data.store.manifest import load_manifest
from flan_jax.errors import InputError
from flan_jax.evaluate.subsets import SUBSETS, StoreContents, subsets_text
from flan_jax.files.whole import new_folder, refuse_foreign
from flan_jax.report.progress import Advance, Display
from flan_jax.runs.open import Text

FOLDER = "contamination"
REPORT, DUPLICATES = "report.json", "duplicates.jsonl"


@dataclass(frozen=True)
class Contamination:
    """What an audit finds.

    Attributes:
        overlaps: every evaluation task, with its examples that training holds.
        duplicates: training examples that repeat others.
        folder: where all of it is written.
    """

    overlaps: tuple[TaskOverlap, ...]
    duplicates: Duplicates
    folder: Path

    @property
    def subsets(self) -> Path:
        """The file for `evaluation.subsets`."""
        return self.folder / SUBSETS


def audit(config: Config, prepared: Prepared, text: Text, *, display: Display) -> Contamination:
    """Compares the store's evaluation examples with its training examples, and these with each other; writes it down.

    Raises:
        InputError: nothing is evaluated, a source cannot be read here or gives other examples than the store was made
            of, or the folder cannot be written or holds something that no audit wrote.
    """
    if not prepared.evaluation:
        raise InputError("contamination: no task of the mixture has a validation split; name some in evaluation.tasks")
    folder = Path(config.run.dir) / FOLDER
    _check_replaceable(folder)
    overlaps, duplicates = compare(config, prepared, text, display=display)
    write_folder(folder, config, prepared, overlaps, duplicates)
    return Contamination(tuple(overlaps), duplicates, folder)


def compare(
    config: Config, prepared: Prepared, text: Text, *, display: Display
) -> tuple[list[TaskOverlap], Duplicates]:
    """The overlap of every evaluation task, and the duplicates of the mixture, in one pass over the training sources.

    Raises:
        InputError: a source cannot be read here, or gives other examples than the store was made of.
    """
    decode = text.tokenizer.decode
    trained = training_examples(prepared)
    asked_of = {name: prepared.resolved.specs[name] for name in prepared.evaluation}
    for spec in [*asked_of.values(), *(spec for spec, _ in trained.values())]:
        check_readable(spec)
    asked = {
        name: list(contents(spec, VALIDATION, asked_examples(prepared.evaluation[name]), decode=decode))
        for name, spec in asked_of.items()
    }
    overlap = OverlapFinder(asked, config.contamination)
    duplicate = DuplicateFinder(config.contamination, seed=config.run.seed)
    with display("compare", sum(len(ids) for _, ids in trained.values())) as advance:
        for name, (spec, ids) in trained.items():
            examples = _counted(contents(spec, TRAIN, ids, decode=decode), advance)
            overlap.add(name, duplicate.passing(name, examples))
    return overlap.results(), duplicate.find()


def _counted(examples: Iterable[Content], advance: Advance) -> Iterator[Content]:
    for example in examples:
        advance()
        yield example


def training_examples(prepared: Prepared) -> dict[str, tuple[TaskSpec, np.ndarray]]:
    """Task → its spec and the ids of its examples in the store; variants of a task are one, since they share them."""
    trained: dict[str, tuple[TaskSpec, np.ndarray]] = {}
    for name, store in prepared.train.items():
        base = split_variant(name)[0]
        ids = stored_examples(store)
        trained[base] = (prepared.resolved.specs[name], np.union1d(trained[base][1], ids) if base in trained else ids)
    return trained


def store_contents(prepared: Prepared) -> StoreContents:
    """Fingerprints of the store, by which subsets are told to fit it."""
    return StoreContents(
        {name: store.content for name, store in prepared.train.items()},
        {name: load_manifest(path.parent).content for name, path in prepared.evaluation.items()},
    )


def write_folder(
    folder: Path, config: Config, prepared: Prepared, overlaps: Sequence[TaskOverlap], duplicates: Duplicates
) -> None:
    """Writes all results under another name, which then takes the place of an earlier folder.

    Raises:
        InputError: the folder cannot be written.
    """
    settings = config.contamination.model_dump(mode="json")
    subsets = subsets_text(
        {overlap.task: overlap.subset(dirty=True) for overlap in overlaps},
        {overlap.task: overlap.subset(dirty=False) for overlap in overlaps},
        contents=store_contents(prepared),
        settings=settings,
    )
    report = {
        "format": 1,
        "settings": settings,
        "evaluation": [_overlap_fields(overlap) for overlap in overlaps],
        "training": [dataclasses.asdict(task) for task in duplicates.tasks],
        "shared": [dataclasses.asdict(pair) for pair in duplicates.shared],
    }
    try:
        with new_folder(folder) as temporary:
            (temporary / REPORT).write_text(json.dumps(report, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
            (temporary / SUBSETS).write_text(subsets, encoding="utf-8")
            with (temporary / DUPLICATES).open("w", encoding="utf-8") as file:
                for group in duplicates.groups():
                    file.write(json.dumps(dataclasses.asdict(group), ensure_ascii=False) + "\n")
            _check_replaceable(folder)
            shutil.rmtree(folder, ignore_errors=True)
    except OSError as e:
        raise InputError(
            f"contamination folder '{folder}': cannot be written ({e.strerror}); free space there, or set run.dir"
        ) from e


def _check_replaceable(folder: Path) -> None:
    own = re.compile("|".join(map(re.escape, (REPORT, SUBSETS, DUPLICATES))))
    refuse_foreign(folder, own, "contamination folder", "move it away, or set run.dir")


def _overlap_fields(overlap: TaskOverlap) -> Mapping[str, Any]:
    return {
        "task": overlap.task,
        "num_words": overlap.num_words,
        "num_wording": overlap.num_wording,
        "num_examples": len(overlap.examples),
        "num_whole": overlap.num_whole,
        "num_dirty": overlap.num_dirty,
        "sources": overlap.sources,
        "seen": [
            {
                "example_id": one.example_id,
                "overlap": round(one.overlap, 4),
                "is_dirty": one.is_dirty,
                "in": one.seen_in,
            }
            for one in overlap.examples
            if one.seen_in
        ],
    }
