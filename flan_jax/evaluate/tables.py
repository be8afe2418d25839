"""Evaluations as the lines of a console table: seen tasks, then held-out ones, with the means of clusters and sides."""

from __future__ import annotations

from collections.abc import Mapping

from flan_jax.evaluate.compare import Change
from flan_jax.evaluate.protocol import Evaluation
from flan_jax.report.console import ScoreLine


def score_lines(evaluation: Evaluation, changes: Mapping[str, Change] | None = None) -> list[ScoreLine]:
    """Lines for `report.console.score_table`: each side's mean, below it each cluster's, below that the tasks.

    Args:
        evaluation: the scores; with `changes`, the later ones.
        changes: what `compare` made of an earlier evaluation and this one; none: scores alone.
    """
    groups, summary = evaluation.groups(), evaluation.summary()

    def line(name: str, depth: int, key: str) -> ScoreLine:
        results = groups[key]
        change = None if changes is None else changes[key]
        return ScoreLine(
            name=name,
            depth=depth,
            metric=results[0].metric if depth == 2 else "",
            count=sum(result.count for result in results),
            score=summary[key],
            before=None if change is None else change.before,
            interval=None if change is None else (change.low, change.high),
        )

    lines = []
    for side, key in (("seen", "seen/mean"), ("held out", "held_out/mean")):
        results = groups.get(key, [])
        if results:
            lines.append(line(f"mean of {len(results)} {side}", 0, key))
        for cluster in sorted({result.cluster for result in results}):
            lines.append(line(cluster, 1, f"cluster/{cluster}"))
            lines += [line(result.task, 2, f"task/{result.task}") for result in results if result.cluster == cluster]
    return lines
