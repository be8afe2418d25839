"""`flan-jax inspect`: what a run would do, before it is paid for."""

from __future__ import annotations

from rich.console import Console
from rich.rule import Rule
from rich.syntax import Syntax

from flan_jax.cli.prepare import prepare_missing
from flan_jax.report.console import fill_lines, make_console, parameter_table, share_table
from flan_jax.report.progress import on_console
from flan_jax.report.tokens import row_view
from flan_jax.runs.batches import Batches
from flan_jax.runs.configs import ConfigFile
from flan_jax.runs.open import start_jax
from flan_jax.runs.run import Run, parameters


def run(source: ConfigFile, *, rows: int) -> None:
    """Print the resolved config, the mixture's shares, packed rows, and the parameters. Reads no weights."""
    start_jax(source.config)
    console = make_console()
    run = Run(source.config, progress=on_console(console))
    blueprint, mesh = run.check()
    prepare_missing(run, console)
    console.print(Rule("config", align="left"), Syntax(run.config.to_yaml(), "yaml", background_color="default"))
    _show_mixture(console, run)
    _show_rows(console, run, rows)
    console.print(parameter_table(parameters(blueprint, mesh), title=f"Parameters on mesh {dict(mesh.shape)}"))


def _show_mixture(console: Console, run: Run) -> None:
    report = run.shares()
    console.print(share_table(report, title=f"Mixture, first window of {report.num_batches} batches"))
    console.print(fill_lines(report))
    if run.resolved.held_out:
        console.print(f"held out, evaluated only: {', '.join(run.resolved.held_out)}", highlight=False)
    if run.resolved.left_out:
        console.print(f"left out as their kin: {', '.join(run.resolved.left_out)}", highlight=False)


def _show_rows(console: Console, run: Run, count: int) -> None:
    """The first rows that the run will read."""
    shown = 0
    with Batches(run) as batches:
        while shown < count:
            batch = next(batches)
            for row in range(min(run.plan.rows, count - shown)):
                console.print(Rule(f"step {batches.position['step']}, row {row}", align="left"))
                console.print(row_view(batch, row, task_names=batches.tasks, token=run.text.tokenizer.token))
                shown += 1
