"""`flan-jax evaluate`: rank classification and generation on a config's tasks, seen and held out apart."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from flan_jax.cli.prepare import prepare_missing
from flan_jax.cli.train import said_on
from flan_jax.evaluate.protocol import Evaluation
from flan_jax.evaluate.results import RESULTS
from flan_jax.evaluate.subsets import TaskSubsets
from flan_jax.parallel.multihost import is_main
from flan_jax.report.console import make_console
from flan_jax.report.contamination import SubsetLine, subset_notes, subset_table
from flan_jax.report.progress import on_console
from flan_jax.report.scores import results_table
from flan_jax.runs.configs import ConfigFile
from flan_jax.runs.measure import evaluation_folder
from flan_jax.runs.open import start_jax
from flan_jax.runs.run import Run


def run(source: ConfigFile, *, checkpoint: str, out: Path | None) -> None:
    """Measure, print the table, write results.json and every prediction."""
    start_jax(source.config)
    console = make_console(quiet=not is_main())
    run = Run(source.config, say=said_on(console), progress=on_console(console))
    prepare_missing(run, console)
    evaluation = run.evaluate(checkpoint, out=out or "auto")
    title = f"{run.config.run.dir}, {evaluation.label}"
    console.print(results_table(evaluation, before=None, changes=None, title=title))
    subsets = run.subset_scores(evaluation)
    if subsets:
        _show_subsets(console, evaluation, subsets)
    path = (out or evaluation_folder(run.config, evaluation.label)) / RESULTS
    console.print(f"every prediction is beside [bold]{escape(str(path))}[/]", highlight=False, soft_wrap=True)


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
