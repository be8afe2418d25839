"""`flan-jax tasks list`: clusters, tasks and mixtures of the registry, without JAX or TensorFlow."""

from __future__ import annotations

from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from flan_jax.data import registry
from flan_jax.data.registry.resolve import clusters_named, kin_of, tasks_of_mixture
from flan_jax.data.spec.task import TaskSpec
from flan_jax.report.console import make_console

_NAMES_SHOWN = 160  # characters of task names in the overview


def list_tasks(modules: tuple[str, ...], cluster: str | None, *, every: bool) -> None:
    """Print the clusters with their tasks and the mixtures, or the tasks of one cluster, or every task."""
    registry.load_modules(modules)
    specs = [registry.get_task(name) for name in registry.task_names()]
    console = make_console()
    if cluster is not None:
        clusters = clusters_named([cluster], "--cluster")
        _print_tasks(console, [spec for spec in specs if spec.cluster in clusters])
    elif every:
        _print_tasks(console, specs)
    else:
        _print_clusters(console, specs)
        _print_mixtures(console)


def _print_tasks(console: Console, specs: Sequence[TaskSpec]) -> None:
    table = Table(box=SIMPLE_HEAD)
    for heading in ("cluster", "task", "metric", "what it asks"):
        table.add_column(heading, no_wrap=heading != "what it asks")
    for spec in sorted(specs, key=lambda spec: (spec.cluster, spec.name)):
        table.add_row(spec.cluster, spec.name, spec.metrics[0], escape(spec.description))
    console.print(table)
    console.print(f"{len(specs)} tasks")


def _print_clusters(console: Console, specs: Sequence[TaskSpec]) -> None:
    by_cluster: dict[str, list[str]] = {}
    for spec in specs:
        by_cluster.setdefault(spec.cluster, []).append(spec.name)
    table = Table(box=SIMPLE_HEAD)
    table.add_column("cluster", no_wrap=True)
    table.add_column("in FLAN's paper")
    table.add_column("tasks", justify="right")
    table.add_column("their names")
    for cluster, names in sorted(by_cluster.items()):
        table.add_row(cluster, registry.get_cluster(cluster).paper, str(len(names)), _shortened(sorted(names)))
    console.print(table)
    console.print(f"{len(specs)} tasks in {len(by_cluster)} clusters; `--cluster NAME` lists one, `--all` every task")
    kin = {tuple(sorted((cluster, other))) for cluster in by_cluster for other in kin_of(cluster)}
    for one, other in sorted(kin):
        console.print(f"held out together: {one} and {other}", highlight=False)


def _shortened(names: Sequence[str]) -> str:
    """The first names, and how many more there are."""
    shown, length = 0, 0
    while shown < len(names) and length < _NAMES_SHOWN:
        length += len(names[shown]) + 2
        shown += 1
    rest = len(names) - shown
    return ", ".join(names[:shown]) + (f", … {rest} more" if rest else "")


def _print_mixtures(console: Console) -> None:
    table = Table(box=SIMPLE_HEAD)
    table.add_column("mixture", no_wrap=True)
    table.add_column("tasks", justify="right")
    table.add_column("what it holds")
    for name in registry.mixture_names():
        table.add_row(name, str(len(tasks_of_mixture(name))), escape(registry.get_mixture(name).description))
    console.print(table)
