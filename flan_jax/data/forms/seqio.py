"""Names `seqio:NAME`: a task registered with SeqIO as a task, a mixture registered there as its tasks.

SeqIO, and TensorFlow with it, is imported when such a name is asked for, and not before.
"""

from __future__ import annotations

from types import ModuleType

from flan_jax.data.sources.held_back import HoldBack
from flan_jax.data.spec.source import SEQIO
from flan_jax.data.spec.task import TaskSpec
from flan_jax.data.spec.template import Template
from flan_jax.errors import InputError


def expand(name: str) -> dict[str, float | None]:
    """Name of each task of a SeqIO task or mixture, `seqio:` before it → its rate there; none for a single task.

    Raises:
        InputError: SeqIO is not installed, or knows no such name.
    """
    rates = _seqio_source(name).subtask_rates(name.removeprefix(SEQIO))
    return {f"{SEQIO}{task}": rate for task, rate in rates.items()}


def seqio_task(name: str) -> TaskSpec:
    """The task for a name `seqio:NAME`; where it has no validation split, 2% are held back.

    Raises:
        InputError: SeqIO is not installed, or knows no task of this name.
    """
    seqio_source = _seqio_source(name)
    source = seqio_source.SeqioSource(name.removeprefix(SEQIO))
    seqio_source.registered_with_seqio(source.task)
    return TaskSpec(
        name=source.name,
        cluster="seqio",
        source=HoldBack(source),
        templates=(Template("{prompt}"),),
        inputs="{prompt}",
        metrics=("exact_match", "rouge_l"),
        dataset_name=source.task,
        description=f"SeqIO task {source.task}",
    )


def _seqio_source(name: str) -> ModuleType:
    try:
        from flan_jax.data.sources import seqio
    except ImportError as e:
        raise InputError(f"task '{name}': needs SeqIO ({e}); install flan-jax[full]") from e
    return seqio
