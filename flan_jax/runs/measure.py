"""What a config measures, the evaluator that measures it, and where the results go."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from jax.sharding import Mesh

from flan_jax.config import Config
from flan_jax.data.prepare.opened import Prepared
from flan_jax.errors import InputError
from flan_jax.evaluate.evaluator import Evaluator
from flan_jax.evaluate.own_metrics import own_metrics
from flan_jax.evaluate.protocol import Evaluation
from flan_jax.evaluate.questions import read_items
from flan_jax.evaluate.subsets import read_subsets
from flan_jax.evaluate.tasks import EvaluationTask
from flan_jax.model.load import Parts
from flan_jax.report.progress import Display
from flan_jax.runs.audit import store_contents
from flan_jax.runs.open import Text


def evaluation_tasks(config: Config, prepared: Prepared) -> list[EvaluationTask]:
    """The tasks a config measures, with their questions, seen ones first.

    Raises:
        InputError: `evaluation.tasks` names a task without a validation split, or a question is malformed.
    """
    resolved = prepared.resolved
    tasks = []
    for name in config.evaluation.tasks or prepared.evaluation:
        if name not in prepared.evaluation:
            raise InputError(f"evaluation.tasks: task '{name}' has no validation split; leave it out, or give it one")
        spec = resolved.specs[name]
        items = read_items(prepared.evaluation[name], name, most=config.evaluation.examples)
        tasks.append(
            EvaluationTask(
                name=name,
                cluster=spec.cluster,
                seen=resolved.is_seen(spec.cluster),
                metrics=spec.metrics,
                answer_pattern=spec.answer_pattern,
                reasoning=spec.reasoning,
                items=items,
                own=own_metrics(spec, items),
            )
        )
    if not tasks:
        raise InputError("evaluation: no task of the mixture has a validation split; name some in evaluation.tasks")
    return sorted(tasks, key=lambda task: not task.seen)


def make_evaluator(config: Config, text: Text, parts: Parts, mesh: Mesh, tasks: Sequence[EvaluationTask]) -> Evaluator:
    """The evaluator of a model's structure on these tasks."""
    return Evaluator(
        tasks,
        graphdef=parts.graphdef,
        architecture=parts.architecture,
        mesh=mesh,
        batch=config.batch,
        settings=config.evaluation,
        stop_ids=text.encoder.stop_ids,
        decode_text=text.tokenizer.decode,
    )


def measure(evaluator: Evaluator, parts: Parts, *, label: str, display: Display) -> Evaluation:
    """An evaluation whose questions are counted on a display.

    Raises:
        NotFiniteError: the weights give likelihoods that are no numbers.
    """
    with display(f"evaluate {label}", evaluator.total) as advance:
        return evaluator(parts.tuned, parts.frozen, label=label, on_progress=advance)


def dirty_examples(config: Config, prepared: Prepared, tasks: Sequence[str]) -> dict[str, frozenset[int]] | None:
    """The dirty examples of each task by `evaluation.subsets`; none where it is not set.

    Raises:
        InputError: the file cannot be read, or was made for another store.
    """
    if config.evaluation.subsets is None:
        return None
    return read_subsets(config.evaluation.subsets, contents=store_contents(prepared), tasks=tasks)


def evaluation_folder(config: Config, label: str) -> Path:
    """Where a run keeps an evaluation of this label."""
    return Path(config.run.dir) / "evaluations" / label.replace(" ", "-")
