"""The table of scores by task and cluster, seen and held out apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.table import Table

from flan_jax.evaluate.compare import Change
from flan_jax.evaluate.protocol import Evaluation, TaskResult
from flan_jax.report.console import ScoreLine, score_table

SEEN, HELD_OUT = "seen in training", "held out"
SIDE, CLUSTER, TASK = 0, 1, 2  # depths of a line in the table


def results_table(
    after: Evaluation, *, before: Evaluation | None, changes: Mapping[str, Change] | None, title: str
) -> Table:
    """Scores by task and cluster, seen and held out apart, with what changed where `before` is given."""
    old = before.summary() if before else {}
    new = after.summary()

    def line(key: str, name: str, depth: int, results: Sequence[TaskResult]) -> ScoreLine:
        change = changes.get(key) if changes else None
        return ScoreLine(
            name=name,
            depth=depth,
            metric=results[0].metric if depth == TASK else "",
            count=sum(result.count for result in results),
            score=new[key],
            before=old.get(key),
            interval=(change.low, change.high) if change else None,
        )

    groups = after.groups()
    lines = []
    for heading, key in ((SEEN, "seen/mean"), (HELD_OUT, "held_out/mean")):
        if key not in groups:
            continue
        lines.append(line(key, heading, SIDE, groups[key]))
        accuracy = key.replace("mean", "accuracy")
        if 0 < len(groups.get(accuracy, ())) < len(groups[key]):
            lines.append(line(accuracy, "mean accuracy (answers right or wrong)", CLUSTER, groups[accuracy]))
        for cluster in dict.fromkeys(result.cluster for result in groups[key]):
            results = groups[f"cluster/{cluster}"]
            lines.append(line(f"cluster/{cluster}", cluster, CLUSTER, results))
            for result in results:
                lines += [line(f"task/{result.task}", result.task, TASK, [result]), *_own_lines(result, before)]
    left_out = [
        f"{result.task}: its own metric '{name}' is not computed, since it {reason}"
        for result in after.results
        for name, reason in result.own_left_out.items()
    ]
    return score_table(lines, title=title, notes=left_out)


def _own_lines(result: TaskResult, before: Evaluation | None) -> list[ScoreLine]:
    """The scores by a task's own metrics, below the task."""
    earlier = {one.task: one.own_scores for one in before.results} if before else {}
    return [
        ScoreLine(
            name="  own",
            depth=TASK,
            metric=metric,
            count=result.count,
            score=score,
            before=earlier.get(result.task, {}).get(metric),
            interval=None,
            is_own=True,
        )
        for metric, score in result.own_scores.items()
    ]
