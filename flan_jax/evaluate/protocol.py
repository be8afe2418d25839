"""The evaluation protocol: every task measured by its metrics, seen and held-out clusters averaged apart.

    tasks ──┬─ ranked items, all tasks together ────► rank ──► chosen option ──► accuracy
            └─ generated items, short and reasoning ─► generate ──► text ──► answer ──► exact match, F1, BLEU, ROUGE-L

Questions of all tasks go to the model in one call, so that they share packed rows and batches. What ranks and what
generates are plain functions here: this file knows no model.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeVar, runtime_checkable

import numpy as np

from flan_jax.evaluate import metrics
from flan_jax.evaluate.own_metrics import OwnScores
from flan_jax.evaluate.questions import EvaluationItem
from flan_jax.evaluate.tasks import EvaluationTask

Answer = TypeVar("Answer")
PER_TOKEN = "accuracy_per_token"  # rank classification by the mean, not the sum, of an option's token likelihoods


@dataclass(frozen=True)
class OptionLikelihoods:
    """Log-likelihood of each option of one question.

    Attributes:
        sums: natural-log likelihood of all tokens of each option, given the prompt.
        lengths: number of tokens of each option.
    """

    sums: tuple[float, ...]
    lengths: tuple[int, ...]

    def choice(self, *, per_token: bool) -> int:
        """Index of the likeliest option, by sum or by mean over its tokens; the first of equals."""
        scores = np.array(self.sums) / (np.array(self.lengths) if per_token else 1)
        return int(np.argmax(scores))


@runtime_checkable
class Rank(Protocol):
    """How options are ranked: a loaded model, or a rule in a test."""

    def __call__(self, items: Sequence[EvaluationItem], /) -> Sequence[OptionLikelihoods]:
        """Gives the likelihoods of the options of each question, in order."""
        ...


@runtime_checkable
class Generate(Protocol):
    """How answers are generated."""

    def __call__(self, items: Sequence[EvaluationItem], /, *, reasoning: bool) -> Sequence[str]:
        """Gives an answer to each question, in order; `reasoning` leaves room for a chain of thought."""
        ...


@dataclass(frozen=True)
class Prediction:
    """What the model said to one question, and what it was worth.

    Attributes:
        item: the question.
        likelihoods: of the options; None where nothing was ranked.
        text: the generated text; None where nothing was generated.
        answer: the answer read from the text; None where none could be read.
        values: score of this example by each metric, 0–100.
        statistics: additive statistics of this example by each metric (see `metrics.combine`).
    """

    item: EvaluationItem
    likelihoods: OptionLikelihoods | None
    text: str | None
    answer: str | None
    values: Mapping[str, float]
    statistics: Mapping[str, tuple[float, ...]]


@dataclass(frozen=True)
class TaskResult:
    """One task's scores.

    Attributes:
        task: name of the task.
        cluster: its cluster.
        seen: False for a held-out cluster.
        metric: the primary metric.
        score: the primary metric's score, 0–100.
        count: number of questions.
        scores: every metric's score, 0–100.
        unread: generated texts in which the answer pattern found no answer; they count as wrong.
        per_example: the predictions, in the order of the questions.
        own_scores: what the task's own metric functions gave, on their own scale (see `foreign_metrics`).
        own_left_out: metrics of its own that are not there, by name, with the reason.
    """

    task: str
    cluster: str
    seen: bool
    metric: str
    score: float
    count: int
    scores: Mapping[str, float]
    unread: int
    per_example: tuple[Prediction, ...]
    own_scores: Mapping[str, float] = field(default_factory=dict)
    own_left_out: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Evaluation:
    """The results of all tasks at one state of the model.

    Attributes:
        label: what was measured, e.g. "step 300" or "untuned".
        results: one entry a task.
    """

    label: str
    results: tuple[TaskResult, ...]

    def groups(self) -> dict[str, list[TaskResult]]:
        """The results behind each entry of `summary`; a group without tasks is left out."""
        groups: dict[str, list[TaskResult]] = {}
        for result in self.results:
            side = "seen" if result.seen else "held_out"
            accuracy = [f"{side}/accuracy"] if result.metric in metrics.RIGHT_OR_WRONG else []
            for key in (f"{side}/mean", *accuracy, f"cluster/{result.cluster}", f"task/{result.task}"):
                groups.setdefault(key, []).append(result)
        return groups

    def summary(self) -> dict[str, float]:
        """Primary scores by group, tasks averaged equally.

        Keys: seen/mean and held_out/mean over all tasks; seen/accuracy and held_out/accuracy over those whose answers
        are right or wrong; cluster/NAME; task/NAME.
        """
        return {key: float(np.mean([r.score for r in results])) for key, results in self.groups().items()}

    def own_summary(self) -> dict[str, float]:
        """Scores by tasks' own metrics, as own/TASK/METRIC."""
        return {f"own/{r.task}/{metric}": score for r in self.results for metric, score in r.own_scores.items()}


def evaluate_tasks(tasks: Sequence[EvaluationTask], *, rank: Rank, generate: Generate, label: str) -> Evaluation:
    """Measures a model on every task.

    Args:
        tasks: the tasks with their questions.
        rank: the model's likelihoods of options.
        generate: the model's generated answers.
        label: what is measured, kept with the results.
    """
    likelihoods = _by_task([task for task in tasks if task.is_ranked], rank)
    texts: dict[str, Sequence[str]] = {}
    for reasoning in (False, True):
        chosen = [task for task in tasks if task.is_generated and task.reasoning == reasoning]
        texts |= _by_task(chosen, lambda items, reasoning=reasoning: generate(items, reasoning=reasoning))
    return Evaluation(label, tuple(_result(task, likelihoods.get(task.name), texts.get(task.name)) for task in tasks))


def _by_task(
    tasks: Sequence[EvaluationTask], answer: Callable[[Sequence[EvaluationItem]], Sequence[Answer]]
) -> dict[str, Sequence[Answer]]:
    """The answers to the questions of all tasks, asked at once and handed out by task."""
    items = [item for task in tasks for item in task.items]
    if not items:
        return {}
    answers = answer(items)
    assert len(answers) == len(items), f"{len(items)} questions but {len(answers)} answers"
    by_task, start = {}, 0
    for task in tasks:
        by_task[task.name] = answers[start : start + len(task.items)]
        start += len(task.items)
    return by_task


def _result(
    task: EvaluationTask, likelihoods: Sequence[OptionLikelihoods] | None, texts: Sequence[str] | None
) -> TaskResult:
    scored: list[metrics.MetricScore] = []
    if likelihoods is not None:
        scored += _ranked_scores(task, likelihoods)
    answers: Sequence[str | None] = [None] * len(task.items)
    unread = 0
    if texts is not None:
        answers, references = _read_answers(task, texts)
        unread = sum(answer is None for answer in answers)
        scored += [metrics.text_score(name, answers, references) for name in task.metrics if name != metrics.RANKED]
    own = OwnScores({}, {}) if task.own is None or texts is None else task.own(texts)
    scores = {one.metric: one.score for one in scored}
    predictions = tuple(
        Prediction(
            item=item,
            likelihoods=None if likelihoods is None else likelihoods[index],
            text=None if texts is None else texts[index],
            answer=answers[index],
            values={one.metric: one.values[index] for one in scored},
            statistics={one.metric: one.statistics[index] for one in scored},
        )
        for index, item in enumerate(task.items)
    )
    primary = task.metrics[0]
    return TaskResult(
        task=task.name,
        cluster=task.cluster,
        seen=task.seen,
        metric=primary,
        score=scores[primary],
        count=len(task.items),
        scores=scores,
        unread=unread,
        per_example=predictions,
        own_scores=own.scores,
        own_left_out=own.left_out,
    )


def _ranked_scores(task: EvaluationTask, likelihoods: Sequence[OptionLikelihoods]) -> list[metrics.MetricScore]:
    right = [item.answer_index for item in task.items if item.answer_index is not None]
    by_sum = metrics.accuracy([one.choice(per_token=False) for one in likelihoods], right)
    by_mean = metrics.accuracy([one.choice(per_token=True) for one in likelihoods], right)
    return [by_sum, metrics.MetricScore(PER_TOKEN, by_mean.score, by_mean.values, by_mean.statistics)]


def _read_answers(task: EvaluationTask, texts: Sequence[str]) -> tuple[list[str | None], list[list[str]]]:
    """The answers in generated texts, and the accepted ones, both read through the task's answer pattern."""
    accepted = [list(item.references) for item in task.items]
    if task.answer_pattern is None:
        return list(texts), accepted
    read = metrics.answer_reader(task.answer_pattern, f"task '{task.name}'")
    references = [[answer for text in one if (answer := read(text)) is not None] for one in accepted]
    return [read(text) for text in texts], references
