"""`flan-jax train`: wires store, model, step, checkpoints and reporters to the loop; starts a run or resumes it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence

from rich.console import Console

from flan_jax.config import Config
from flan_jax.data.registry.resolve import resolve_run
from flan_jax.model.load import create
from flan_jax.parallel.multihost import is_main
from flan_jax.report.console import make_console
from flan_jax.report.progress import ProgressReport
from flan_jax.runs.configs import ConfigFile
from flan_jax.runs.model import check_model
from flan_jax.runs.open import open_text, start_jax
from flan_jax.runs.prepare import ensure_prepared
from flan_jax.runs.tune import Say, Watch, loop_evaluator, tune
from flan_jax.train.loop import Reporter


def run(source: ConfigFile) -> None:
    """Train, or go on with the run in `run.dir`."""
    config = source.config
    start_jax(config)
    console = make_console(quiet=not is_main())
    text = open_text(config)
    blueprint, mesh = check_model(config, text)
    prepared = ensure_prepared(config, text, resolve_run(config))
    parts = create(config, mesh, blueprint)
    evaluate = None
    if config.evaluation.every_steps is not None:
        evaluate = loop_evaluator(config, text, prepared, parts, mesh)
    ended = tune(
        config, text, prepared, parts, mesh, evaluate=evaluate, say=said_on(console), watch=bar_of(config, console)
    )
    early = ", stopped early: no better evaluation came" if ended.stopped_early else ""
    console.print(f"run [bold]{config.run.dir}[/] is at step {int(ended.state.step)}{early}", highlight=False)


def said_on(console: Console) -> Say:
    """Sentences of a training, on a console; a damaged checkpoint in red."""

    def say(sentence: str) -> None:
        style = "red" if "passed over" in sentence else None
        console.print(sentence, style=style, highlight=False, markup=False)

    return say


def bar_of(config: Config, console: Console) -> Watch:
    """A bar over the steps, with loss and speed."""

    @contextlib.contextmanager
    def watch(first: int) -> Iterator[Sequence[Reporter]]:
        with ProgressReport("train", config.train.steps, done=first, console=console) as report:
            yield [_Bar(report, first)]

    return watch


class _Bar:
    """Shows the loop's metrics on the bar."""

    def __init__(self, report: ProgressReport, step: int):
        self._report, self._step = report, step

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        """Moves the bar to `step`; metrics of an evaluation leave it as it is."""
        if "train/loss" in metrics:
            named = {"loss": "train/loss", "tokens/s": "train/tokens_per_second"}
            facts = {name: metrics[key] for name, key in named.items() if key in metrics}
            self._report.advance(step - self._step, facts)
            self._step = step
