"""`flan-jax train`: wires store, model, step, checkpoints and reporters to the loop; starts a run or resumes it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import jax
from flax import nnx
from jax.sharding import Mesh
from rich.console import Console

from flan_jax.cli.model import check_model, checkpoints_dir, fingerprints
from flan_jax.cli.prepare import ensure_prepared
from flan_jax.cli.scoring import evaluation_tasks, make_evaluator
from flan_jax.cli.session import RESOLVED_CONFIG, ConfigFile, Text, make_console, open_text, start_jax
from flan_jax.config import Config
from flan_jax.data.plan.loader import Loader
from flan_jax.data.plan.plan import make_plan
from flan_jax.data.plan.position import Position
from flan_jax.data.prepare.opened import Prepared
from flan_jax.errors import InputError
from flan_jax.model.load import Parts, create
from flan_jax.parallel.mesh import host_rows, place_batch
from flan_jax.parallel.multihost import is_main
from flan_jax.report.logs import open_reporters
from flan_jax.report.progress import ProgressReport
from flan_jax.train.checkpoint import Checkpoints
from flan_jax.train.loop import Ended, Evaluator, Progress, train_loop
from flan_jax.train.metadata import write_atomically
from flan_jax.train.optimizer import make_optimizer, make_schedule
from flan_jax.train.state import abstract_state, init_state
from flan_jax.train.step import StepSettings, make_train_step


def run(source: ConfigFile) -> None:
    """Train, or go on with the run in `run.dir`."""
    config = source.config
    start_jax(config)
    console = make_console(quiet=not is_main())
    text = open_text(config)
    _, mesh = check_model(config)
    prepared = ensure_prepared(source, text)
    parts = create(config, mesh, vocabulary=text.tokenizer.vocab_size)
    evaluate = None
    if config.evaluation.every_steps is not None:
        evaluate = _evaluator(config, text, prepared, parts, mesh)
    ended = tune(config, text, prepared, parts, mesh, evaluate=evaluate, console=console)
    early = ", stopped early: no better evaluation came" if ended.stopped_early else ""
    console.print(f"run [bold]{config.run.dir}[/] is at step {int(ended.state.step)}{early}", highlight=False)


def tune(
    config: Config,
    text: Text,
    prepared: Prepared,
    parts: Parts,
    mesh: Mesh,
    *,
    evaluate: Evaluator | None,
    console: Console,
) -> Ended:
    """Train `parts` to the last step, from the newest sound checkpoint where there is one; their tuned part is donated.

    Raises:
        InputError: settings, weights or data are not those of the run's checkpoint, or nothing can be written.
        NotFiniteError: the loss became NaN or infinite.
        StoppedError: asked to stop; the state is saved.
    """
    #### how a step changes the state
    schedule = make_schedule(config.schedule, peak=config.optimizer.learning_rate, steps=config.train.steps)
    optimizer = make_optimizer(config.optimizer, schedule, parts.tuned)
    tasks = tuple(prepared.train)
    settings = StepSettings.from_config(config, len(tasks), has_dropout=parts.blueprint.has_dropout)
    step = make_train_step(parts.graphdef, parts.tuned, parts.frozen, optimizer, schedule, settings, mesh)

    #### what is planned, and where the run stands
    plan = make_plan(config, prepared.train, prepared.resolved.mixture)
    made_from = fingerprints(config, text, prepared)
    with Checkpoints(checkpoints_dir(config), config=config, fingerprints=made_from) as checkpoints:
        restored, damaged = checkpoints.restore_latest(abstract_state(parts.tuned, optimizer, mesh))
        for damage in damaged:
            console.print(f"checkpoint {damage.name} is passed over: {damage.reason}", style="red", highlight=False)
        if restored is None:
            state, position, progress = init_state(parts.tuned, optimizer, mesh), plan.start(), Progress()
        else:
            state = restored.state
            position = Position.from_dict(restored.metadata.position)
            progress = Progress(**restored.metadata.progress)
            console.print(f"going on from step {restored.metadata.step}", highlight=False)
        first = int(state.step)
        if is_main():
            _write_config(config)

        #### batches, reports, and the loop
        rows = config.batch.rows
        loader = Loader(
            plan,
            prepared.train,
            rows=host_rows(mesh, rows),
            position=position,
            workers=config.data.workers,
            decoder_start_id=parts.architecture.decoder_start_token_id,
        )
        reporters = _Reporters(config, first, console)
        with loader, reporters, jax.set_mesh(mesh):
            return train_loop(
                state,
                config=config,
                step=lambda state, batch: step(state, parts.frozen, batch),
                batches=loader,
                place=lambda batch: place_batch(batch, mesh, rows),
                mesh=mesh,
                task_names=tasks,
                requested=plan.rates_at,
                reporters=reporters.active,
                evaluate=evaluate,
                checkpoints=checkpoints,
                progress=progress,
            )


def _evaluator(config: Config, text: Text, prepared: Prepared, parts: Parts, mesh: Mesh) -> Evaluator:
    evaluator = make_evaluator(config, text, parts, mesh, evaluation_tasks(config, prepared))

    def evaluate(tuned: nnx.State) -> Mapping[str, float]:
        evaluation = evaluator(tuned, parts.frozen, label="in the loop")
        return evaluation.summary() | evaluation.own_summary()

    return evaluate


def _write_config(config: Config) -> None:
    path = Path(config.run.dir) / RESOLVED_CONFIG
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, config.to_yaml())
    except OSError as e:
        raise InputError(
            f"run folder '{config.run.dir}': cannot be written ({e.strerror}); free space, or choose another run.dir"
        ) from e


class _Reporters:
    """The main process's reporters: metrics files and the bar. Other processes report nothing."""

    def __init__(self, config: Config, first: int, console: Console):
        self._files = self._bar = None
        self.active: list = []
        if not is_main():
            return
        resume_step = first if first else None
        self._files = open_reporters(config.run.dir, resume_step=resume_step, tensorboard=config.logging.tensorboard)
        self._bar = ProgressReport("train", config.train.steps, done=first, console=console)
        self.active = [self._files, _Bar(self._bar, first)]

    def __enter__(self) -> _Reporters:
        if self._bar is not None:
            self._bar.__enter__()
        return self

    def __exit__(self, *error) -> None:
        if self._bar is not None and self._files is not None:
            self._bar.__exit__(*error)
            self._files.close()


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
