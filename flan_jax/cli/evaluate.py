"""`flan-jax evaluate`: rank classification and generation on a config's tasks, seen and held out apart."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from flan_jax.cli.scoring import measure
from flan_jax.cli.train import said_on
from flan_jax.config import Config
from flan_jax.data.prepare.opened import Prepared
from flan_jax.data.registry.resolve import resolve_run
from flan_jax.evaluate.protocol import Evaluation
from flan_jax.evaluate.results import write_evaluation
from flan_jax.evaluate.subsets import TaskSubsets, read_subsets, subset_scores
from flan_jax.parallel.multihost import is_main
from flan_jax.report.console import make_console
from flan_jax.report.contamination import SubsetLine, subset_notes, subset_table
from flan_jax.report.scores import results_table
from flan_jax.runs.audit import store_contents
from flan_jax.runs.configs import ConfigFile
from flan_jax.runs.measure import evaluation_tasks, make_evaluator
from flan_jax.runs.model import open_model
from flan_jax.runs.open import open_text, start_jax
from flan_jax.runs.prepare import ensure_prepared


def run(source: ConfigFile, *, checkpoint: str, out: Path | None) -> None:
    """Measure, print the table, write results.json and every prediction."""
    config = source.config
    start_jax(config)
    console = make_console(quiet=not is_main())
    text = open_text(config)
    prepared = ensure_prepared(config, text, resolve_run(config))
    tasks = evaluation_tasks(config, prepared)
    dirty = _dirty_examples(config, prepared, [task.name for task in tasks])
    model = open_model(config, text, checkpoint=checkpoint, say=said_on(console))
    evaluator = make_evaluator(config, text, model.parts, model.mesh, tasks)
    evaluation = measure(evaluator, model.parts, label=model.label, console=console)
    console.print(results_table(evaluation, before=None, changes=None, title=f"{config.run.dir}, {model.label}"))
    subsets = () if dirty is None else subset_scores(evaluation, dirty)
    if subsets:
        _show_subsets(console, evaluation, subsets)
    if is_main():
        folder = out or Path(config.run.dir) / "evaluations" / model.label.replace(" ", "-")
        about = {"checkpoint": model.label, "step": model.step}
        path = write_evaluation(folder, evaluation, about=about, subsets=subsets)
        console.print(f"every prediction is beside [bold]{escape(str(path))}[/]")


def _dirty_examples(config: Config, prepared: Prepared, tasks: Sequence[str]) -> dict[str, frozenset[int]] | None:
    """The dirty examples of each task by `evaluation.subsets`; none where it is not set."""
    if config.evaluation.subsets is None:
        return None
    return read_subsets(config.evaluation.subsets, contents=store_contents(prepared), tasks=tasks)


def _show_subsets(console: Console, evaluation: Evaluation, subsets: Sequence[TaskSubsets]) -> None:
    lines = [
        SubsetLine(
            result.task,
            result.metric,
            result.count,
            result.score,
            (one.clean.count, one.clean.scores.get(one.metric)),
            (one.dirty.count, one.dirty.scores.get(one.metric)),
        )
        for result, one in zip(evaluation.results, subsets, strict=True)
    ]
    console.print(subset_table(lines, title="All, clean and dirty questions"))
    for note in subset_notes(lines):
        console.print(note, markup=False)
