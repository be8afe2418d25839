"""`flan-jax tasks check`: tasks compared with the published form of their data sets, without a network."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Sequence

from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from flan_jax.cli.tasks import counted
from flan_jax.data.check.task import TaskCheck
from flan_jax.data.spec.task import TaskSpec
from flan_jax.errors import InputError
from flan_jax.report.console import make_console
from flan_jax.report.progress import on_console
from flan_jax.runs.tasks import check_tasks


def run(specs: Sequence[TaskSpec], *, num_records: int, by_task: bool) -> None:
    """Check the tasks and print a line for each, or for each cluster, and what is wrong.

    Raises:
        InputError: a task failed; what is wrong is printed first.
    """
    started = time.perf_counter()
    # TensorFlow's remarks on its start would stand among the results
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    console = make_console()
    checks = check_tasks(specs, num_records=num_records, display=on_console(console))
    console.print(_table(checks, by_task=by_task))
    for problem in (problem for check in checks for problem in check.problems):
        console.print(escape(problem), style="red", soft_wrap=True)
    for check in checks:
        if check.num_random and not check.num_random_kept and not check.problems:
            reasons = "; ".join(check.skipped)
            note = f"task '{check.name}': takes no random record ({reasons}), so its sample alone was rendered"
            console.print(escape(note), style="dim", soft_wrap=True)
    failed = sum(bool(check.problems) for check in checks)
    renderings = sum(check.num_renderings for check in checks)
    took = f"{renderings:,} renderings in {time.perf_counter() - started:.1f} s"
    if failed:
        raise InputError(f"tasks check: {failed} of {len(checks)} tasks failed ({took}); what is wrong stands above")
    num_clusters = len({check.cluster for check in checks})
    console.print(
        f"{counted(len(checks), 'task')} in {counted(num_clusters, 'cluster')} passed: {took}", highlight=False
    )


def _table(checks: Iterable[TaskCheck], *, by_task: bool) -> Table:
    """A line a cluster, or a line a task."""
    table = Table(box=SIMPLE_HEAD)
    table.add_column("cluster", overflow="fold")
    table.add_column("task" if by_task else "tasks", justify="left" if by_task else "right", overflow="fold")
    for heading in ("templates", "fields", "random records", "taken", "renderings"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    groups: dict[tuple[str, str], list[TaskCheck]] = {}
    for check in sorted(checks, key=lambda check: (check.cluster, check.name)):
        groups.setdefault((check.cluster, check.name if by_task else ""), []).append(check)
    for (cluster, task), group in groups.items():
        failed = sum(bool(check.problems) for check in group)
        numbers = [
            sum(check.num_templates for check in group),
            sum(check.num_fields for check in group),
            sum(check.num_random for check in group),
            sum(check.num_random_kept for check in group),
            sum(check.num_renderings for check in group),
        ]
        verdict = f"[red]{failed} failed[/]" if failed else "[green]passed[/]"
        table.add_row(
            escape(cluster), escape(task) or f"{len(group):,}", *(f"{number:,}" for number in numbers), verdict
        )
    return table
