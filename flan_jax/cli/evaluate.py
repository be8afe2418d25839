"""`flan-jax evaluate`: rank classification and generation on a config's tasks, seen and held out apart."""

from __future__ import annotations

from pathlib import Path

from rich.markup import escape

from flan_jax.cli.model import open_model
from flan_jax.cli.prepare import ensure_prepared
from flan_jax.cli.scoring import evaluation_tasks, make_evaluator, measure, results_table
from flan_jax.cli.session import ConfigFile, make_console, open_text, start_jax
from flan_jax.evaluate.results import write_evaluation
from flan_jax.parallel.multihost import is_main


def run(source: ConfigFile, *, checkpoint: str, out: Path | None) -> None:
    """Measure, print the table, write results.json and every prediction."""
    config = source.config
    start_jax(config)
    console = make_console(quiet=not is_main())
    text = open_text(config)
    prepared = ensure_prepared(source, text)
    tasks = evaluation_tasks(config, prepared)
    model = open_model(config, text, checkpoint=checkpoint, console=console)
    evaluator = make_evaluator(config, text, model.parts, model.mesh, tasks)
    evaluation = measure(evaluator, model.parts, label=model.label, console=console)
    console.print(results_table(evaluation, before=None, changes=None, title=f"{config.run.dir}, {model.label}"))
    if is_main():
        folder = out or Path(config.run.dir) / "evaluations" / model.label.replace(" ", "-")
        path = write_evaluation(folder, evaluation, about={"checkpoint": model.label, "step": model.step})
        console.print(f"every prediction is beside [bold]{escape(str(path))}[/]")
