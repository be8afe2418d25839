"""The registry of tasks and mixtures: the only module that task files import.

It is filled on first use, not at import: this project's own `flan_jax.tasks`, installed packages that state the entry
point group `flan_jax.tasks`, and the user's `data.modules`. A task file makes `TaskSpec`s and hands them to `add_task`.
Nothing here reads a record or imports JAX, TensorFlow or transformers.
"""

from __future__ import annotations

import difflib
import importlib
import importlib.metadata
import importlib.util
import pkgutil
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from flan_jax.config import DataConfig
from flan_jax.data.sources import IterableSource, Source
from flan_jax.data.spec import MixtureSpec, TaskSpec
from flan_jax.data.templates import Template
from flan_jax.errors import InputError

__all__ = [
    "IterableSource",
    "MixtureSpec",
    "Resolved",
    "Source",
    "TaskSpec",
    "Template",
    "add_mixture",
    "add_task",
    "get_mixture",
    "get_task",
    "load_modules",
    "mixture_names",
    "resolve_mixture",
    "task_names",
]

OWN_PACKAGE = "flan_jax.tasks"
ENTRY_POINTS = "flan_jax.tasks"

_tasks: dict[str, TaskSpec] = {}
_mixtures: dict[str, MixtureSpec] = {}
_loaded: set[str] = set()


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


def _refuse_taken(name: str) -> None:
    kind = "task" if name in _tasks else "mixture" if name in _mixtures else None
    if kind:
        raise InputError(f"registry: '{name}' is registered twice; the name is taken by a {kind}, choose another")


def get_task(name: str) -> TaskSpec:
    """The task of this name.

    Raises:
        InputError: there is none; names the nearest.
    """
    _load_own()
    if name not in _tasks:
        raise _unknown("task", name, _tasks)
    return _tasks[name]


def get_mixture(name: str) -> MixtureSpec:
    """The mixture of this name.

    Raises:
        InputError: there is none; names the nearest.
    """
    _load_own()
    if name not in _mixtures:
        raise _unknown("mixture", name, _mixtures)
    return _mixtures[name]


def task_names() -> list[str]:
    """Every task's name, sorted."""
    _load_own()
    return sorted(_tasks)


def mixture_names() -> list[str]:
    """Every mixture's name, sorted."""
    _load_own()
    return sorted(_mixtures)


def _unknown(kind: str, name: str, known: Iterable[str]) -> InputError:
    near = difflib.get_close_matches(name, list(known), 3, 0.5)
    hint = f"did you mean {' or '.join(repr(n) for n in near)}?" if near else "see `flan-jax tasks list`"
    return InputError(f"unknown {kind} '{name}'; {hint}")


def load_modules(modules: Iterable[str]) -> None:
    """Imports the user's task modules: a path of a .py file or of a package folder, or a dotted module name.

    Raises:
        InputError: a module is not found or is no valid Python.
    """
    _load_own()
    for module in modules:
        path = Path(module).expanduser()
        if module.endswith(".py") or path.is_dir():
            _import_path(module, path)
        else:
            _import_name(module, f"data.modules '{module}'")


def _load_own() -> None:
    if OWN_PACKAGE in _loaded:
        return
    _loaded.add(OWN_PACKAGE)
    package = importlib.import_module(OWN_PACKAGE)
    for module in pkgutil.walk_packages(package.__path__, f"{OWN_PACKAGE}."):
        importlib.import_module(module.name)
    for entry in importlib.metadata.entry_points(group=ENTRY_POINTS):
        _import_name(entry.value.partition(":")[0], f"entry point '{entry.name}' of '{ENTRY_POINTS}'")


def _import_name(name: str, where: str) -> None:
    if importlib.util.find_spec(name.partition(".")[0]) is None:
        raise InputError(
            f"{where}: no such file or module; give the path of a .py file or of a package, or a module name"
        )
    package = importlib.import_module(name)
    for module in pkgutil.walk_packages(getattr(package, "__path__", []), f"{name}."):
        importlib.import_module(module.name)


def _import_path(module: str, path: Path) -> None:
    file = path / "__init__.py" if path.is_dir() else path
    if not file.is_file():
        raise InputError(f"data.modules '{module}': no such file; give the path of a .py file or of a package folder")
    key = str(file.resolve())
    if key in _loaded:
        return
    name = f"flan_jax_user_{len(_loaded)}_{path.stem}"
    found = importlib.util.spec_from_file_location(
        name, file, submodule_search_locations=[str(path)] if path.is_dir() else None
    )
    assert found is not None, f"no import spec for {file}"
    assert found.loader is not None, f"no loader for {file}"
    loaded = importlib.util.module_from_spec(found)
    sys.modules[name] = loaded
    try:
        found.loader.exec_module(loaded)
        for inner in pkgutil.walk_packages(getattr(loaded, "__path__", []), f"{name}."):
            importlib.import_module(inner.name)
    except SyntaxError as e:
        raise InputError(f"data.modules '{module}' line {e.lineno}: no valid Python ({e.msg})") from e
    _loaded.add(key)


@dataclass(frozen=True)
class Resolved:
    """A mixture worked out against the registry and the held-out clusters.

    Attributes:
        train: task name → rate, None where none was given; the order is the mixture's.
        held_out: names of the tasks that are evaluated as unseen.
        clusters: task name → cluster, of all tasks here.
        specs: task name → spec, with `data.sources` put in place.
    """

    train: dict[str, float | None]
    held_out: tuple[str, ...]
    clusters: dict[str, str]
    specs: dict[str, TaskSpec]


def resolve_mixture(data: DataConfig) -> Resolved:
    """The tasks to train on and those held out.

    Raises:
        InputError: an unknown task, mixture or cluster; a task named for training whose cluster is held out; no task
            left to train on.
    """
    load_modules(data.modules)
    rates, is_named = _wanted(data.mixture)
    specs = {name: get_task(name) for name in rates}
    known = {spec.cluster for spec in _tasks.values()}
    for cluster in data.hold_out:
        if cluster not in known:
            raise InputError(f"data.hold_out: {_unknown('cluster', cluster, known)}")
    held = [name for name, spec in specs.items() if spec.cluster in data.hold_out]
    if held and is_named:
        cluster = specs[held[0]].cluster
        raise InputError(
            f"data.mixture names '{held[0]}' for training, whose cluster '{cluster}' is held out; take the task out of "
            "data.mixture or the cluster out of data.hold_out"
        )
    for cluster in data.hold_out:
        if all(spec.cluster != cluster for spec in specs.values()):
            held += [name for name in sorted(_tasks) if _tasks[name].cluster == cluster]
    train = {name: rate for name, rate in rates.items() if name not in held}
    if not train:
        raise InputError(f"data.mixture {data.mixture!r}: no task is left to train on; hold out fewer clusters")
    specs = {name: get_task(name) for name in [*train, *held]}
    return Resolved(train, tuple(held), {name: spec.cluster for name, spec in specs.items()}, specs)


def _wanted(mixture: str | tuple[str, ...] | Mapping[str, float]) -> tuple[dict[str, float | None], bool]:
    """Task names with rates, and whether they were named one by one."""
    if not isinstance(mixture, str):
        return dict(mixture) if isinstance(mixture, Mapping) else dict.fromkeys(mixture), True
    _load_own()
    if mixture in _tasks:
        return {mixture: None}, True
    if mixture not in _mixtures:
        raise _unknown("mixture or task", mixture, [*_mixtures, *_tasks])
    tasks = _mixtures[mixture].tasks
    return dict(tasks) if isinstance(tasks, Mapping) else dict.fromkeys(tasks), False
