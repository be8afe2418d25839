"""A task as it is evaluated: its questions, its metrics, and on which side of the hold-out it stands."""

from __future__ import annotations

from dataclasses import dataclass

from flan_jax.errors import InputError
from flan_jax.evaluate.metrics import RANKED, TEXT_METRICS, answer_reader
from flan_jax.evaluate.own_metrics import OwnMetrics
from flan_jax.evaluate.questions import EvaluationItem


@dataclass(frozen=True)
class EvaluationTask:
    """A task as it is evaluated.

    Attributes:
        name: name of the task.
        cluster: its cluster.
        seen: whether the model trains on a task of its cluster; False for held-out clusters.
        metrics: names of the metrics; the first is the primary one, which means and comparisons are made of.
        answer_pattern: regular expression with one group that reads the answer from a chain of thought.
        reasoning: whether the answer holds a chain of thought, and so may be longer.
        items: the questions, at least one.
        own: metrics that the task brings along, computed beside ours; none: it brings none.
    """

    name: str
    cluster: str
    seen: bool
    metrics: tuple[str, ...]
    answer_pattern: str | None
    reasoning: bool
    items: tuple[EvaluationItem, ...]
    own: OwnMetrics | None = None

    def __post_init__(self) -> None:
        where = f"evaluation of task '{self.name}'"
        if not self.items:
            raise InputError(f"{where}: no examples; prepare a validation split, or leave the task out")
        unknown = [metric for metric in self.metrics if metric not in (RANKED, *TEXT_METRICS)]
        if unknown or not self.metrics:
            problem = f"metric '{unknown[0]}' is unknown" if unknown else "no metric is named"
            raise InputError(f"{where}: {problem}; allowed: {', '.join((RANKED, *TEXT_METRICS))}")
        for item in self.items:
            _check_answers(item, self, f"{where}, example {item.example_id}")

    @property
    def is_ranked(self) -> bool:
        """Whether a metric needs the likelihood of the options."""
        return RANKED in self.metrics

    @property
    def is_generated(self) -> bool:
        """Whether a metric needs a generated answer."""
        return any(metric in TEXT_METRICS for metric in self.metrics)


def _check_answers(item: EvaluationItem, task: EvaluationTask, where: str) -> None:
    if task.is_ranked:
        if len(item.option_ids) < 2:
            raise InputError(f"{where}: {RANKED} needs at least two answer options, found {len(item.option_ids)}")
        if item.answer_index is None or not 0 <= item.answer_index < len(item.option_ids):
            raise InputError(
                f"{where}: answer_index is {item.answer_index}; it must name one of {len(item.option_ids)} options"
            )
    if task.is_generated:
        if not item.references:
            raise InputError(f"{where}: no reference answer; {', '.join(task.metrics)} need at least one")
        if task.answer_pattern is not None:
            read = answer_reader(task.answer_pattern, f"task '{task.name}'")
            if all(read(reference) is None for reference in item.references):
                raise InputError(
                    f"{where}: answer_pattern {task.answer_pattern!r} matches no reference ({item.references[0]!r}); "
                    "mend the pattern, or the task's target"
                )
