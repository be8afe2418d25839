"""The task of a name: registered, or derived from one that is (NAME@VARIANT, FORM:PATH, seqio:NAME)."""

from __future__ import annotations

from flan_jax.data.forms.forms import form_task, split_form
from flan_jax.data.forms.seqio import seqio_task
from flan_jax.data.registry.loading import _load_own
from flan_jax.data.registry.tables import _tasks, add_task
from flan_jax.data.spec.source import SEQIO
from flan_jax.data.spec.task import TaskSpec
from flan_jax.data.spec.variant import split_variant, variant_of
from flan_jax.errors import unknown


def get_task(name: str) -> TaskSpec:
    """The task of this name.

    Raises:
        InputError: there is none; names the nearest.
    """
    _load_own()
    if name not in _tasks:
        task = _on_the_fly(name)
        if task is None:
            raise unknown("task", name, _tasks)
        return add_task(task)
    return _tasks[name]


def _on_the_fly(name: str) -> TaskSpec | None:
    """The task that a name NAME@VARIANT or FORM:PATH stands for."""
    base, words = split_variant(name)
    if words:
        return variant_of(get_task(base), name, words)
    if name.startswith(SEQIO):
        return seqio_task(name)
    parts = split_form(name)
    return form_task(*parts) if parts else None
