"""The training loop: steps, and what happens between them — logging, evaluation, checkpoints, leaving early.

The loop knows its neighbours by what they do: batches are an iterator of (arrays, position), evaluators and reporters
are protocols. It waits for the device once a step, for the step before the one just dispatched, so that the host
prepares and dispatches while the device works.

    dispatch step n ─► read metrics of step n − 1 ─► finite? add to the interval ─► due: log, evaluate, save, leave
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import jax
import numpy as np
from flax import nnx
from jax.sharding import Mesh

from flan_jax.config import Config
from flan_jax.errors import InputError, NotFiniteError, StoppedError
from flan_jax.train.checkpoint import Account, Checkpoints
from flan_jax.train.objectives.objective import Weighted
from flan_jax.train.signals import StopSignals, StopVote
from flan_jax.train.state import TrainState
from flan_jax.train.step import Metrics


@runtime_checkable
class Position(Protocol):
    """Where the data goes on."""

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        ...


@runtime_checkable
class Reporter(Protocol):
    """Receives metrics, e.g. a progress bar or an event file."""

    def log(self, step: int, metrics: dict[str, float]) -> None:
        """Takes metrics measured after `step` optimizer steps."""
        ...


@runtime_checkable
class Evaluator(Protocol):
    """Measures the tuned parameters; called by all processes together."""

    def __call__(self, tuned: nnx.State) -> Mapping[str, float]:
        """Metrics by name."""
        ...


@dataclass(frozen=True)
class Progress:
    """What the evaluations of a run have shown so far; saved with each checkpoint.

    Attributes:
        best: highest value of `checkpoint.best_metric`; none before the first evaluation.
        best_step: the step that had it.
        evaluations_since: evaluations after that one.
    """

    best: float | None = None
    best_step: int | None = None
    evaluations_since: int = 0

    def after(self, step: int, value: float) -> Progress:
        """The progress with one more evaluation; an equal value is no better."""
        if self.best is None or value > self.best:
            return Progress(value, step, 0)
        return dataclasses.replace(self, evaluations_since=self.evaluations_since + 1)


@dataclass(frozen=True)
class Ended:
    """How a run ended.

    Attributes:
        state: the last.
        progress: of its evaluations.
        stopped_early: whether `evaluation.patience` ended it.
    """

    state: TrainState
    progress: Progress
    stopped_early: bool


def train_loop(
    state: TrainState,
    *,
    config: Config,
    step: Callable[[TrainState, Mapping[str, jax.Array]], tuple[TrainState, Metrics]],
    batches: Iterator[tuple[Mapping[str, np.ndarray], Position]],
    place: Callable[[Mapping[str, np.ndarray]], Mapping[str, jax.Array]],
    mesh: Mesh,
    task_names: Sequence[str],
    requested: Callable[[int], Mapping[str, float]],
    reporters: Sequence[Reporter],
    evaluate: Evaluator | None,
    checkpoints: Checkpoints,
    progress: Progress,
) -> Ended:
    """Trains from `state.step` to `train.steps`, and saves at the end.

    Args:
        state: at any step; donated.
        config: sections train, checkpoint, evaluation and logging are read.
        step: (state, placed batch) → (state, metrics of `step.make_train_step`).
        batches: from the state's position on; the position with a batch is the one after it.
        place: puts a batch of this process on the mesh.
        mesh: of the run.
        task_names: by index in the batches.
        requested: step → the share of the examples that each task is to have then, for the log.
        reporters: on this process.
        evaluate: metrics of the tuned parameters; none: no evaluation.
        checkpoints: where to save.
        progress: `Progress()`, or that of the restored checkpoint.

    Raises:
        NotFiniteError: a loss or gradient was NaN or infinite; nothing is saved after it.
        StoppedError: SIGTERM or SIGINT on any process; the state is saved.
        InputError: `checkpoint.best_metric` is not among the evaluators' metrics, a batch holds no trainable token, or
            a checkpoint cannot be written.
    """
    first = int(state.step)
    patience = config.evaluation.patience
    if first >= config.train.steps or _is_over(progress, patience):
        return Ended(state, progress, stopped_early=first < config.train.steps)
    vote = StopVote(mesh)
    log = _Log(task_names, requested, reporters, every_steps=config.logging.every_steps, saved_at=first or None)
    measured: dict[str, float] = {}
    done = first

    with StopSignals() as signals:
        while done < config.train.steps:
            #### step
            batch, position = next(batches)
            state, metrics = step(state, place(batch))
            done += 1
            is_last = done == config.train.steps
            log.follow(done, metrics, vote.cast(signals.received is not None))
            is_stopping = log.is_stop_wanted

            #### evaluate
            best: tuple[str, float] | None = None
            if evaluate is not None and not is_stopping and _is_due(done, config.evaluation.every_steps, is_last):
                log.settle()
                with log.paused():
                    measured = dict(evaluate(state.tuned))
                for reporter in reporters:
                    reporter.log(done, measured)
                if config.checkpoint.best_metric is not None:
                    value = _metric(measured, config.checkpoint.best_metric)
                    progress = progress.after(done, value)
                    best = (config.checkpoint.best_metric, value) if progress.best_step == done else None

            #### save
            is_over = _is_over(progress, patience)
            if is_stopping or is_over or best or _is_due(done, config.checkpoint.every_steps, is_last):
                # settled first: what came of a bad step is never saved
                log.settle()
                with log.paused():
                    account = Account(position.to_dict(), dataclasses.asdict(progress), measured, best)
                    checkpoints.save(state, account)
                log.saved_at = done

            #### leave
            if is_stopping:
                checkpoints.wait()
                name = signals.received.name if signals.received else "a signal to another process"
                raise StoppedError(f"stopped by {name} at step {done}, saved; the same command goes on from there")
            if is_over:
                break
    log.close()
    checkpoints.wait()
    return Ended(state, progress, stopped_early=done < config.train.steps)


def _is_due(done: int, every_steps: int | None, is_last: bool) -> bool:
    return every_steps is not None and (is_last or done % every_steps == 0)


def _is_over(progress: Progress, patience: int | None) -> bool:
    return patience is not None and progress.evaluations_since >= patience


def _metric(measured: Mapping[str, float], name: str) -> float:
    if name not in measured:
        raise InputError(
            f"'checkpoint.best_metric' is '{name}', which no evaluation measures; allowed: "
            f"{', '.join(sorted(measured))}"
        )
    return measured[name]


class _Log:
    """Reads the metrics of each step one step late, adds them up, and reports an interval at a time.

    Attributes:
        saved_at: step of the last checkpoint, for the error message.
        is_stop_wanted: whether any process wanted to stop at a step that was read.
    """

    def __init__(
        self,
        task_names: Sequence[str],
        requested: Callable[[int], Mapping[str, float]],
        reporters: Sequence[Reporter],
        *,
        every_steps: int,
        saved_at: int | None,
    ):
        self._task_names, self._requested, self._reporters = task_names, requested, reporters
        self._every_steps = every_steps
        self.saved_at = saved_at
        self.is_stop_wanted = False
        self._in_flight: tuple[int, Metrics, jax.Array | bool] | None = None
        self._step = 0
        self._sums: Metrics = {}
        self._last: dict[str, float] = {}
        # tokens per second are counted from the end of the first step on, which compiles
        self._since: float | None = None
        self._timed = {"tokens": 0.0, "trained_tokens": 0.0}

    def follow(self, step: int, metrics: Metrics, vote: jax.Array | bool) -> None:
        """Takes the step just dispatched and reads the one before."""
        self.settle()
        self._in_flight = (step, metrics, vote)

    def settle(self) -> None:
        """Waits for the step in flight, if there is one.

        Raises:
            NotFiniteError: its loss or gradient is NaN or infinite.
            InputError: its batch held no trainable token.
        """
        if self._in_flight is None:
            return
        step, metrics, vote = self._in_flight
        self._in_flight = None
        self._read(step, jax.device_get(metrics))
        self.is_stop_wanted = self.is_stop_wanted or bool(vote)

    def _read(self, step: int, metrics: Metrics) -> None:
        if metrics["weight"] == 0:
            raise InputError(f"batch of step {step}: holds no trainable token; check 'data' with 'flan-jax inspect'")
        loss, norm = (float(metrics[name]) for name in ("loss", "grad_norm"))
        if not (math.isfinite(loss) and math.isfinite(norm)):
            kept = "no checkpoint was saved yet" if self.saved_at is None else f"checkpoint {self.saved_at:08d} is kept"
            raise NotFiniteError(
                f"step {step}: the loss is {loss} and the gradient norm {norm}, after finite ones up to step "
                f"{step - 1}; {kept}; lower 'optimizer.learning_rate' or lengthen 'schedule.warmup_steps'"
            )
        self._step = step
        self._last = {"grad_norm": norm, "learning_rate": float(metrics["learning_rate"])}
        # float64: an interval of many steps adds up more than float32 can tell apart
        summed = ("loss", "weight", "named", "task_weight", "task_examples")
        sums = jax.tree.map(np.float64, {name: metrics[name] for name in summed})
        self._sums = jax.tree.map(np.add, self._sums, sums) if self._sums else sums
        if self._since is None:
            self._since = time.perf_counter()
        else:
            for name in self._timed:
                self._timed[name] += float(metrics[name])
        if step % self._every_steps == 0:
            self._report()

    def _report(self) -> None:
        sums = self._sums
        values = {"train/loss": float(sums["loss"] / sums["weight"])}
        values |= {f"train/{name}": value for name, value in self._last.items()}
        for name, metric in sums["named"].items():
            values |= self._means(f"train/{name}", metric)
        values |= self._shares()
        now = time.perf_counter()
        if self._since is not None and self._timed["tokens"]:
            elapsed = max(now - self._since, 1e-9)
            values |= {f"train/{name}_per_second": count / elapsed for name, count in self._timed.items()}
        for reporter in self._reporters:
            reporter.log(self._step, values)
        self._sums, self._since = {}, now
        self._timed = dict.fromkeys(self._timed, 0.0)

    def _means(self, name: str, metric: Weighted) -> dict[str, float]:
        """One number, or one a task; none where there is no weight."""
        names = [f"{name}/{task}" for task in self._task_names] if np.ndim(metric.sum) else [name]
        sums, weights = (np.atleast_1d(part) for part in metric)
        return {
            name: float(total / weight) for name, total, weight in zip(names, sums, weights, strict=True) if weight > 0
        }

    def _shares(self) -> dict[str, float]:
        """What each task was to have of the interval, and what it had, in examples and in trained tokens."""
        requested = self._requested(self._step)
        realised = {
            name: self._sums[f"task_{name}"] / self._sums[f"task_{name}"].sum() for name in ("examples", "weight")
        }
        values: dict[str, float] = {}
        for place, task in enumerate(self._task_names):
            values[f"share/requested/{task}"] = requested[task]
            values[f"share/examples/{task}"] = float(realised["examples"][place])
            values[f"share/trained_tokens/{task}"] = float(realised["weight"][place])
        return values

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Time within counts for no step."""
        begin = time.perf_counter()
        try:
            yield
        finally:
            if self._since is not None:
                self._since += time.perf_counter() - begin

    def close(self) -> None:
        """Reports what is left."""
        self.settle()
        if self._sums:
            self._report()
