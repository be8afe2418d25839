"""What an audit compares, and the folder that keeps its results."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from flan_jax.config import Config
from flan_jax.data.audit.content import stored_examples
from flan_jax.data.audit.duplicates import Duplicates
from flan_jax.data.audit.overlap import TaskOverlap
from flan_jax.data.prepare.opened import Prepared
from flan_jax.data.spec.task import TaskSpec
from flan_jax.data.spec.variant import split_variant
from flan_jax.data.store.manifest import load_manifest
from flan_jax.errors import InputError
from flan_jax.evaluate.subsets import SUBSETS, StoreContents, subsets_text

FOLDER = "contamination"


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
