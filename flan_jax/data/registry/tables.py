"""What is registered: tasks, mixtures and clusters, by name; written by the `add_` functions alone."""

from __future__ import annotations

from flan_jax.data.registry.loading import _load_own
from flan_jax.data.spec.mixture import ClusterSpec, MixtureSpec
from flan_jax.data.spec.task import TaskSpec
from flan_jax.data.spec.variant import split_variant
from flan_jax.errors import InputError, unknown

_tasks: dict[str, TaskSpec] = {}
_mixtures: dict[str, MixtureSpec] = {}
_clusters: dict[str, ClusterSpec] = {}


def add_task(spec: TaskSpec) -> TaskSpec:
    """Registers a task and gives it back.

    Raises:
        InputError: the name is taken.
    """
    _refuse_taken(spec.name)
    _tasks[spec.name] = spec
    return spec


def add_mixture(spec: MixtureSpec) -> MixtureSpec:
    """Registers a mixture and gives it back; its tasks are looked up when it is used.

    Raises:
        InputError: the name is taken.
    """
    _refuse_taken(spec.name)
    _mixtures[spec.name] = spec
    return spec


def add_cluster(spec: ClusterSpec) -> ClusterSpec:
    """Registers what is known of a cluster and gives it back; clusters that are only named on tasks need none.

    Raises:
        InputError: the name is taken.
    """
    if spec.name in _clusters:
        raise InputError(f"registry: cluster '{spec.name}' is registered twice; add its tasks to the one that is there")
    _clusters[spec.name] = spec
    return spec


def get_cluster(name: str) -> ClusterSpec:
    """What is known of a cluster; its name alone where nothing was registered."""
    _load_own()
    return _clusters.get(name) or ClusterSpec(name)


def _refuse_taken(name: str) -> None:
    kind = "task" if name in _tasks else "mixture" if name in _mixtures else None
    if kind:
        raise InputError(f"registry: '{name}' is registered twice; the name is taken by a {kind}, choose another")


def find_task(name: str) -> TaskSpec | None:
    """The task that is registered under this name; none where there is none."""
    _load_own()
    return _tasks.get(name)


def get_mixture(name: str) -> MixtureSpec:
    """The mixture of this name.

    Raises:
        InputError: there is none; names the nearest.
    """
    _load_own()
    if name not in _mixtures:
        raise unknown("mixture", name, _mixtures)
    return _mixtures[name]


def find_mixture(name: str) -> MixtureSpec | None:
    """The mixture of this name, or the one that NAME@VARIANT is a variant of; none where there is no such mixture."""
    _load_own()
    return _mixtures.get(name) or _mixtures.get(split_variant(name)[0])


def task_names() -> list[str]:
    """Every task's name, sorted."""
    _load_own()
    return sorted(_tasks)


def mixture_names() -> list[str]:
    """Every mixture's name, sorted."""
    _load_own()
    return sorted(_mixtures)


def cluster_names() -> list[str]:
    """Every cluster's name, sorted: those of tasks and those that are registered."""
    _load_own()
    return sorted({*_clusters, *(spec.cluster for spec in _tasks.values())})
