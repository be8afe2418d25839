"""The tasks as one HTML page: a single file that asks for nothing else, in light and dark, on a desk and on a phone.

Every text that comes from a task or a record is escaped by the template engine; the page's own script only folds and
filters.
"""

from __future__ import annotations

import importlib.resources
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import jinja2

from flan_jax.data.spec.mixture import ClusterSpec
from flan_jax.report.task_view import TaskView

TEMPLATE = "task_page.html"  # beside this file
_OPEN_UP_TO = 40  # tasks of a cluster; larger ones are folded at first


@dataclass(frozen=True)
class _Section:
    """A cluster with its tasks."""

    cluster: ClusterSpec
    tasks: tuple[TaskView, ...]

    @property
    def is_open(self) -> bool:
        return len(self.tasks) <= _OPEN_UP_TO


def task_page(tasks: Sequence[TaskView], clusters: Mapping[str, ClusterSpec], *, tokenizer: str | None) -> str:
    """The page as text.

    Args:
        tasks: in any order.
        clusters: what is known of each of their clusters, by name.
        tokenizer: name of the tokenizer that counted; none: nothing was counted.
    """
    by_cluster: dict[str, list[TaskView]] = {}
    for task in sorted(tasks, key=lambda task: (task.spec.cluster, task.spec.name)):
        by_cluster.setdefault(task.spec.cluster, []).append(task)
    sections = [_Section(clusters[name], tuple(group)) for name, group in by_cluster.items()]
    sections.sort(key=lambda section: (section.cluster.title or section.cluster.name).lower())
    source = importlib.resources.files("flan_jax.report").joinpath(TEMPLATE).read_text(encoding="utf-8")
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    page = environment.from_string(source).render(
        sections=sections,
        num_tasks=len(tasks),
        num_templates=sum(len(task.spec.templates) for task in tasks),
        tokenizer=tokenizer,
        words=_words,
    )
    return page.encode("utf-8", "replace").decode()  # records may hold halves of surrogate pairs


def _words(task: TaskView, cluster: ClusterSpec) -> str:
    """What a task is found by."""
    spec = task.spec
    known = (spec.name, spec.description, spec.dataset_name, spec.source.name, *spec.metrics, *_names(cluster))
    return " ".join(known).lower()


def _names(cluster: ClusterSpec) -> tuple[str, ...]:
    return cluster.name, cluster.paper, cluster.title
