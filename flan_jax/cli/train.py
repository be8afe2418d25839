"""`flan-jax train`: starts a run, or goes on with it."""

from __future__ import annotations

from rich.console import Console

from flan_jax.cli.prepare import prepare_missing
from flan_jax.parallel.multihost import is_main
from flan_jax.report.console import make_console
from flan_jax.report.progress import Say, on_console
from flan_jax.runs.configs import ConfigFile
from flan_jax.runs.open import start_jax
from flan_jax.runs.run import Run


def run(source: ConfigFile) -> None:
    """Train, or go on with the run in `run.dir`."""
    start_jax(source.config)
    console = make_console(quiet=not is_main())
    run = Run(source.config, say=said_on(console), progress=on_console(console))
    run.check()  # refused before data is prepared
    prepare_missing(run, console)
    trained = run.train()
    early = ", stopped early: no better evaluation came" if trained.stopped_early else ""
    console.print(f"run [bold]{run.config.run.dir}[/] is at step {trained.step}{early}", highlight=False)


def said_on(console: Console) -> Say:
    """Sentences of a training, on a console; a damaged checkpoint in red."""

    def say(sentence: str) -> None:
        style = "red" if "passed over" in sentence else None
        console.print(sentence, style=style, highlight=False, markup=False)

    return say
