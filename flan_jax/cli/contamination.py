"""`flan-jax contamination`: which evaluation examples leaked into training, and what is in training twice.

store ──ids──> sources ──contents──> DuplicateFinder ──passing──> OverlapFinder ──> <run>/contamination/
    report.json        counts by task and pairs of tasks, every dirty example with where it was seen
    subsets.json       clean and dirty examples by task, for evaluation.subsets
    duplicates.jsonl   one group of duplicates a line
"""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.markup import escape

from flan_jax.cli.session import ConfigFile, Text, make_console, open_text
from flan_jax.config import Config
from flan_jax.data.audit.content import Content, asked_examples, check_readable, contents, stored_examples
from flan_jax.data.audit.duplicates import DuplicateFinder, Duplicates
from flan_jax.data.audit.overlap import OverlapFinder, TaskOverlap
from flan_jax.data.prepare.opened import Prepared, open_prepared
from flan_jax.data.registry.resolve import resolve_run
from flan_jax.data.spec.source import TRAIN, VALIDATION
from flan_jax.data.spec.task import TaskSpec
from flan_jax.data.spec.variant import split_variant
from flan_jax.data.store.manifest import load_manifest
from flan_jax.errors import InputError
from flan_jax.evaluate.subsets import SUBSETS, StoreContents, subsets_text
from flan_jax.report.contamination import duplicate_table, overlap_table, shared_table
from flan_jax.report.progress import ProgressReport

FOLDER = "contamination"
SHOWN_PAIRS = 20  # of tasks with questions in common, on the console; report.json has all


def run(source: ConfigFile) -> None:
    """Compare the prepared store's evaluation examples with its training examples, and these with each other."""
    config = source.config
    console = make_console()
    text = open_text(config)
    prepared = open_prepared(config, text.encoder, resolve_run(config))
    if not prepared.evaluation:
        raise InputError("contamination: no task of the mixture has a validation split; name some in evaluation.tasks")
    overlaps, duplicates = compare(config, prepared, text, console)
    folder = write_folder(Path(config.run.dir) / FOLDER, config, prepared, overlaps, duplicates)
    console.print(overlap_table(overlaps))
    console.print(duplicate_table(duplicates.tasks))
    if duplicates.shared:
        console.print(shared_table(duplicates.shared[:SHOWN_PAIRS]))
    if len(duplicates.shared) > SHOWN_PAIRS:
        console.print(f"and {len(duplicates.shared) - SHOWN_PAIRS} more pairs of tasks in report.json")
    console.print(f"report, subsets and groups of duplicates are in [bold]{escape(str(folder))}[/]")
    console.print(
        f"scores on clean and dirty examples: flan-jax evaluate … evaluation.subsets={folder / SUBSETS}", markup=False
    )


def compare(config: Config, prepared: Prepared, text: Text, console: Console) -> tuple[list[TaskOverlap], Duplicates]:
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
    total = sum(len(ids) for _, ids in trained.values())
    with ProgressReport("compare", total, console=console) as progress:
        for name, (spec, ids) in trained.items():
            examples = _counted(contents(spec, TRAIN, ids, decode=decode), progress)
            overlap.add(name, duplicate.passing(name, examples))
    return overlap.results(), duplicate.find()


def training_examples(prepared: Prepared) -> dict[str, tuple[TaskSpec, np.ndarray]]:
    """Task → its spec and the ids of its examples in the store; variants of a task are one, since they share them."""
    found: dict[str, tuple[TaskSpec, np.ndarray]] = {}
    for name, store in prepared.train.items():
        base = split_variant(name)[0]
        ids = stored_examples(store)
        found[base] = (
            prepared.resolved.specs[name],
            np.union1d(found[base][1], ids) if base in found else ids,
        )
    return found


def store_contents(prepared: Prepared) -> StoreContents:
    """Fingerprints of the store, by which subsets are told to fit it."""
    return StoreContents(
        {name: store.content for name, store in prepared.train.items()},
        {name: load_manifest(path.parent).content for name, path in prepared.evaluation.items()},
    )


def write_folder(
    folder: Path, config: Config, prepared: Prepared, overlaps: Iterable[TaskOverlap], duplicates: Duplicates
) -> Path:
    """Writes all results under another name, which then takes the place of an earlier folder.

    Raises:
        InputError: the folder cannot be written.
    """
    overlaps = list(overlaps)
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
    temporary = folder.with_name(f".{folder.name}.{os.getpid()}")
    try:
        temporary.mkdir(parents=True)
        (temporary / "report.json").write_text(
            json.dumps(report, ensure_ascii=False, indent=1) + "\n", encoding="utf-8"
        )
        (temporary / SUBSETS).write_text(subsets, encoding="utf-8")
        with (temporary / "duplicates.jsonl").open("w", encoding="utf-8") as file:
            for group in duplicates.groups():
                file.write(json.dumps(dataclasses.asdict(group), ensure_ascii=False) + "\n")
        shutil.rmtree(folder, ignore_errors=True)
        temporary.rename(folder)
    except OSError as e:
        raise InputError(
            f"contamination folder '{folder}': cannot be written ({e.strerror}); free space there, or set run.dir"
        ) from e
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return folder


def _counted(examples: Iterable[Content], progress: ProgressReport) -> Iterator[Content]:
    for example in examples:
        progress.advance()
        yield example


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
