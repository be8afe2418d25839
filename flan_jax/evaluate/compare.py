"""Two evaluations of the same questions compared: differences with a paired bootstrap interval.

Questions are resampled within each task, the same resample on both sides; tasks of a group are averaged equally, as in
the reported means. The interval so speaks of other questions of these tasks, not of other tasks.

Source: Efron and Tibshirani, An Introduction to the Bootstrap (1993), chapter 13 (percentile interval).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from flan_jax.errors import InputError
from flan_jax.evaluate.metrics import combine
from flan_jax.evaluate.protocol import Evaluation, TaskResult

RESAMPLES = 2000
LEVEL = 95  # percent of the resampled differences inside the interval


@dataclass(frozen=True)
class Change:
    """A score before and after, 0–100, and the interval of the difference.

    Attributes:
        before: score of the first evaluation.
        after: score of the second.
        low: lower end of the 95% interval of `after - before`.
        high: upper end.
    """

    before: float
    after: float
    low: float
    high: float

    @property
    def difference(self) -> float:
        """Points gained; negative: lost."""
        return self.after - self.before


def compare(before: Evaluation, after: Evaluation, *, seed: int) -> dict[str, Change]:
    """The change of every entry of `Evaluation.summary`.

    Args:
        before: the first evaluation.
        after: the second, of the same tasks, metrics and questions.
        seed: of the resampling; a task's resamples depend on it and the task's name alone.

    Raises:
        InputError: the evaluations differ in tasks, metrics or questions.
    """
    _check_same(before, after)
    new_results = {result.task: result for result in after.results}
    resampled = {old.task: _resampled_differences(old, new_results[old.task], seed) for old in before.results}
    old_scores, new_scores = before.summary(), after.summary()
    changes = {}
    for key, results in before.groups().items():
        differences = np.mean([resampled[result.task] for result in results], axis=0)
        low, high = np.percentile(differences, [(100 - LEVEL) / 2, (100 + LEVEL) / 2])
        changes[key] = Change(old_scores[key], new_scores[key], float(low), float(high))
    return changes


def _resampled_differences(before: TaskResult, after: TaskResult, seed: int) -> np.ndarray:
    """Differences of the primary metric over resampled questions; float [RESAMPLES]."""
    key = hashlib.blake2b(f"{seed}/{before.task}".encode(), digest_size=8).digest()
    rng = np.random.default_rng(int.from_bytes(key, "little"))
    draws = rng.multinomial(before.count, np.full(before.count, 1 / before.count), size=RESAMPLES)
    scores = [
        combine(side.metric, draws @ np.array([one.statistics[side.metric] for one in side.per_example]), side.count)
        for side in (after, before)
    ]
    return scores[0] - scores[1]


def _check_same(before: Evaluation, after: Evaluation) -> None:
    if differing := {task for task, _ in _contents(before).items() ^ _contents(after).items()}:
        raise InputError(
            f"evaluations '{before.label}' and '{after.label}': cannot be compared, since task '{min(differing)}' "
            "differs in its metric or its questions, or is in only one of them; evaluate both with the same store"
        )


def _contents(evaluation: Evaluation) -> Mapping[str, tuple[str, tuple[tuple[int, int], ...]]]:
    return {
        result.task: (result.metric, tuple((p.item.example_id, p.item.template_id) for p in result.per_example))
        for result in evaluation.results
    }
