"""`flan-jax tasks check`: tasks held against the published form of their data sets, without a network."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping, Sequence

from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.progress import Progress
from rich.table import Table

from flan_jax.cli.tasks import chosen_tasks, counted
from flan_jax.data.check.task import TaskCheck, check_task
from flan_jax.errors import InputError
from flan_jax.report.console import make_console


def run(
    names: Sequence[str], modules: Sequence[str], *, cluster: str | None, sources: Mapping[str, str], num_records: int
) -> None:
    """Check the tasks and print what was found.

    Raises:
        InputError: a task failed; what is wrong is printed first.
    """
    started = time.perf_counter()
    os.environ.setdefault(
        "TF_CPP_MIN_LOG_LEVEL", "3"
    )  # TensorFlow's remarks on its start would stand among the results
    specs = chosen_tasks(names, modules, cluster=cluster, sources=sources)
    console = make_console()
    checks = []
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        bar = progress.add_task("", total=len(specs))
        for spec in specs:
            progress.update(bar, description=spec.name)
            checks.append(check_task(spec, num_records=num_records))
            progress.advance(bar)
    console.print(_table(checks, by_task=bool(names or cluster)))
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
    console.print(f"{counted(len(checks), 'task')} in {counted(num_clusters, 'cluster')} passed: {took}")


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
