"""Clean and dirty subsets of the questions: the file that `flan-jax contamination` writes, and scores on each.

    {"format", "settings", "training": {task: content}, "evaluation": {task: content},
     "tasks": {task: {"clean": [example ids], "dirty": [example ids]}}}

The file says which store it was made for, and is refused for any other. Scores come from the statistics of every
example that an evaluation keeps, so nothing is asked of the model twice.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from flan_jax.errors import InputError
from flan_jax.evaluate import metrics
from flan_jax.evaluate.protocol import Evaluation, TaskResult

SUBSETS = "subsets.json"
FORMAT = 1
CLEAN, DIRTY = "clean", "dirty"
_REMEDY = "run 'flan-jax contamination CONFIG' again"


@dataclass(frozen=True)
class StoreContents:
    """Fingerprints of a prepared store, by task.

    Attributes:
        training: of each training split.
        evaluation: of each evaluation split.
    """

    training: Mapping[str, str]
    evaluation: Mapping[str, str]


@dataclass(frozen=True)
class SubsetScore:
    """Scores on some of a task's questions.

    Attributes:
        count: questions.
        scores: every metric's score, 0–100; empty where there are no questions.
    """

    count: int
    scores: Mapping[str, float]


@dataclass(frozen=True)
class TaskSubsets:
    """A task's scores on its clean and on its dirty questions.

    Attributes:
        task: its name.
        metric: its primary metric.
        clean: on the clean ones.
        dirty: on the dirty ones.
    """

    task: str
    metric: str
    clean: SubsetScore
    dirty: SubsetScore


def subsets_text(
    dirty: Mapping[str, Sequence[int]],
    clean: Mapping[str, Sequence[int]],
    *,
    contents: StoreContents,
    settings: Mapping[str, Any],
) -> str:
    """The text of a subsets.json.

    Args:
        dirty: task → ids of its dirty examples.
        clean: task → ids of its clean ones; the same tasks.
        contents: the store that was compared.
        settings: what made them dirty, for the reader.
    """
    tree = {
        "format": FORMAT,
        "settings": dict(settings),
        "training": dict(contents.training),
        "evaluation": dict(contents.evaluation),
        "tasks": {task: {CLEAN: list(clean[task]), DIRTY: list(dirty[task])} for task in dirty},
    }
    return json.dumps(tree, ensure_ascii=False) + "\n"


def read_subsets(path: str | Path, *, contents: StoreContents, tasks: Sequence[str]) -> dict[str, frozenset[int]]:
    """Task → ids of its dirty examples; all its other examples are clean.

    Args:
        path: the file.
        contents: the store that is evaluated now.
        tasks: the tasks that are evaluated.

    Raises:
        InputError: the file cannot be read, or was made for another store or without one of the tasks.
    """
    where = f"evaluation.subsets '{path}'"
    try:
        tree = json.loads(Path(path).expanduser().read_bytes())
    except OSError as e:
        raise InputError(f"{where}: cannot be read ({e.strerror}); {_REMEDY}, or name its {SUBSETS}") from e
    except ValueError as e:
        raise InputError(f"{where}: not valid JSON ({e}); {_REMEDY}") from e
    keys = ("training", "evaluation", "tasks")
    if (
        not isinstance(tree, dict)
        or tree.get("format") != FORMAT
        or any(not isinstance(tree.get(k), dict) for k in keys)
    ):
        raise InputError(f"{where}: not a {SUBSETS} of format {FORMAT}; {_REMEDY}")
    _refuse_stale(tree, contents, tasks, where)
    return {task: frozenset(tree["tasks"][task][DIRTY]) for task in tasks}


def _refuse_stale(tree: Mapping[str, Any], contents: StoreContents, tasks: Sequence[str], where: str) -> None:
    for task in dict.fromkeys([*contents.training, *tree["training"]]):
        if tree["training"].get(task) != contents.training.get(task):
            both = task in tree["training"] and task in contents.training
            change = "has other training examples now" if both else "is trained on in only one of the two"
            raise InputError(f"{where}: made for another store: task '{task}' {change}; {_REMEDY}")
    for task in tasks:
        if task not in tree["tasks"]:
            raise InputError(f"{where}: holds no subsets of task '{task}'; {_REMEDY} with this task in the config")
        if tree["evaluation"].get(task) != contents.evaluation.get(task):
            raise InputError(f"{where}: made for another store: task '{task}' has other questions now; {_REMEDY}")


def subset_scores(evaluation: Evaluation, dirty: Mapping[str, frozenset[int]]) -> tuple[TaskSubsets, ...]:
    """Every task's scores on its clean and on its dirty questions.

    Args:
        evaluation: scores on all questions.
        dirty: task → ids of its dirty examples.
    """
    subsets = []
    for result in evaluation.results:
        is_dirty = np.array([one.item.example_id in dirty[result.task] for one in result.per_example], bool)
        subsets.append(TaskSubsets(result.task, result.metric, _score(result, ~is_dirty), _score(result, is_dirty)))
    return tuple(subsets)


def _score(result: TaskResult, chosen: np.ndarray) -> SubsetScore:
    count = int(np.count_nonzero(chosen))
    if not count:
        return SubsetScore(0, {})
    scores = {}
    for metric in result.scores:
        statistics = np.array([one.statistics[metric] for one in result.per_example], np.float64)
        scores[metric] = float(metrics.combine(metric, statistics[chosen].sum(0, keepdims=True), count)[0])
    return SubsetScore(count, scores)
