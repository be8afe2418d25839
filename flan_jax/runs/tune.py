"""Training: store, model, step, checkpoints and reporters wired to the loop; a run is started, or gone on with."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import jax
from flax import nnx
from jax.sharding import Mesh

from flan_jax.config import Config
from flan_jax.data.plan.loader import Loader
from flan_jax.data.plan.plan import make_plan
from flan_jax.data.plan.position import Position
from flan_jax.data.prepare.opened import Prepared
from flan_jax.errors import InputError
from flan_jax.model.load import Parts
from flan_jax.parallel.mesh import host_rows, place_batch
from flan_jax.parallel.multihost import is_main
from flan_jax.report.logs import open_reporters
from flan_jax.report.progress import Say, silent
from flan_jax.runs.configs import RESOLVED_CONFIG
from flan_jax.runs.measure import evaluation_tasks, make_evaluator
from flan_jax.runs.model import checkpoints_dir, fingerprints
from flan_jax.runs.open import Text
from flan_jax.train.checkpoint import Checkpoints
from flan_jax.train.loop import Ended, Evaluator, Progress, Reporter, train_loop
from flan_jax.train.metadata import write_atomically
from flan_jax.train.objectives import OBJECTIVES
from flan_jax.train.optimizer import make_optimizer, make_schedule
from flan_jax.train.state import abstract_state, init_state
from flan_jax.train.step import StepSettings, make_train_step

Watch = Callable[[int], contextlib.AbstractContextManager[Sequence[Reporter]]]


def nobody(first: int) -> contextlib.AbstractContextManager[Sequence[Reporter]]:
    """No further reporters."""
    return contextlib.nullcontext(())


def tune(
    config: Config,
    text: Text,
    prepared: Prepared,
    parts: Parts,
    mesh: Mesh,
    *,
    evaluate: Evaluator | None,
    say: Say = silent,
    watch: Watch = nobody,
) -> Ended:
    """Train `parts` to the last step, from the newest sound checkpoint where there is one; their tuned part is donated.

    Args:
        config: the run.
        text: how the model reads.
        prepared: its data.
        parts: its model.
        mesh: where that lies.
        evaluate: measures the tuned state in the loop; none: it is not measured.
        say: told which checkpoint training goes on from, and which are damaged.
        watch: first step → further reporters, while training lasts; asked in the main process alone.

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
    objective = OBJECTIVES["sft"]
    step = make_train_step(
        parts.graphdef, parts.tuned, parts.frozen, optimizer, schedule, settings, mesh, objective=objective
    )

    #### what is planned, and where the run stands
    plan = make_plan(config, prepared.train, prepared.resolved.mixture)
    made_from = fingerprints(config, text, prepared, parts)
    with Checkpoints(checkpoints_dir(config), config=config, fingerprints=made_from) as checkpoints:
        restored, damaged = checkpoints.restore_latest(abstract_state(parts.tuned, optimizer, mesh))
        for damage in damaged:
            say(f"checkpoint {damage.name} is passed over: {damage.reason}")
        if restored is None:
            state, position, progress = init_state(parts.tuned, optimizer, mesh), plan.start(), Progress()
        else:
            state = restored.state
            position = Position.from_dict(restored.metadata.position)
            progress = Progress(**restored.metadata.progress)
            say(f"going on from step {restored.metadata.step}")
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
        with loader, _reporters(config, first, watch) as reporters, jax.set_mesh(mesh):
            return train_loop(
                state,
                config=config,
                step=lambda state, batch: step(state, parts.frozen, batch),
                batches=loader,
                place=lambda batch: place_batch(batch, mesh, rows),
                mesh=mesh,
                task_names=tasks,
                requested=plan.rates_at,
                reporters=reporters,
                evaluate=evaluate,
                checkpoints=checkpoints,
                progress=progress,
            )


def loop_evaluator(config: Config, text: Text, prepared: Prepared, parts: Parts, mesh: Mesh) -> Evaluator:
    """What measures a run's tasks in its loop."""
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


@contextlib.contextmanager
def _reporters(config: Config, first: int, watch: Watch) -> Iterator[list[Reporter]]:
    """The main process's reporters: metrics files, and those that watch. Other processes report nothing."""
    if not is_main():
        yield []
        return
    resume_step = first if first else None
    files = open_reporters(config.run.dir, resume_step=resume_step, tensorboard=config.logging.tensorboard)
    try:
        with watch(first) as others:
            yield [files, *others]
    finally:
        files.close()
