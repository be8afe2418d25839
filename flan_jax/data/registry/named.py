"""The task of a name: registered, or derived from one that is (NAME@VARIANT), from a file (FORM:PATH) or from SeqIO.

What is registered stands in `tables`, what is derived here: looking a task up never registers it, so that nothing
depends on what was asked before.
"""

from __future__ import annotations

from flan_jax.data.forms.forms import form_task, split_form
from flan_jax.data.forms.seqio import seqio_task
from flan_jax.data.registry.tables import find_task, task_names
from flan_jax.data.spec.source import SEQIO
from flan_jax.data.spec.task import TaskSpec
from flan_jax.data.spec.variant import split_variant, variant_of
from flan_jax.errors import unknown

_variants: dict[str, tuple[TaskSpec, TaskSpec]] = {}  # name → (what it is a variant of, the variant)


def get_task(name: str) -> TaskSpec:
    """The task of this name.

    Raises:
        InputError: there is none; names the nearest.
    """
    registered = find_task(name)
    if registered is not None:
        return registered
    base, words = split_variant(name)
    if words:
        return _variant(get_task(base), name, words)
    if name.startswith(SEQIO):
        return seqio_task(name)
    parts = split_form(name)
    if parts is None:
        raise unknown("task", name, task_names())
    return form_task(*parts)


def _variant(task: TaskSpec, name: str, words: tuple[str, ...]) -> TaskSpec:
    known = _variants.get(name)
    if known is None or known[0] is not task:  # another task may have been registered under the name since
        known = _variants[name] = (task, variant_of(task, name, words))
    return known[1]
