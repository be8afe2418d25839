"""The loop with a toy step whose metrics come from the batch: what is logged, saved, chosen, and when it leaves."""

import dataclasses
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small_state import assert_same_bits, small_abstract, small_state
from tiny_run import tiny_config, tiny_mesh

from flan_jax.errors import InputError, NotFiniteError, StoppedError
from flan_jax.train.checkpoint import Checkpoints
from flan_jax.train.loop import Ended, Progress, train_loop
from flan_jax.train.objectives.objective import Weighted
from flan_jax.train.state import TrainState

STEPS = 12
TASKS = ("one", "two")


@dataclasses.dataclass(frozen=True)
class Place:
    number: int

    def to_dict(self) -> dict[str, int]:
        return {"number": self.number}


class Notes:
    def __init__(self) -> None:
        self.logged: list[tuple[int, dict[str, float]]] = []

    def log(self, step: int, metrics: dict[str, float]) -> None:
        self.logged.append((step, dict(metrics)))


@jax.jit
def toy_step(state: TrainState, batch: dict[str, jax.Array]) -> tuple[TrainState, dict[str, jax.Array]]:
    tuned = jax.tree.map(lambda x: x * 0.9 + batch["loss"].sum(), state.tuned)
    return TrainState(state.step + 1, tuned, state.optimizer), {
        "loss": batch["loss"].sum(),
        "weight": batch["weight"].sum(),
        "named": {
            "loss": Weighted(batch["loss"], batch["weight"]),
            "accuracy": Weighted(batch["loss"].max(), jnp.float32(8)),
        },
        "task_weight": batch["weight"],
        "task_examples": jnp.array([3.0, 1.0]),
        "tokens": jnp.float32(40),
        "trained_tokens": jnp.float32(10),
        "grad_norm": batch["loss"].sum() * 2,
        "learning_rate": jnp.float32(0.1),
    }


def toy_batch(number: int) -> dict[str, np.ndarray]:
    return {"loss": np.array([number, 1], np.float32), "weight": np.array([4, number % 2], np.float32)}


def toy_batches(first: int = 0, changed: dict[int, dict] | None = None, stop_at: int | None = None) -> Iterator:
    number = first
    while True:
        if number == stop_at:
            os.kill(os.getpid(), signal.SIGTERM)
        number += 1
        yield {**toy_batch(number), **(changed or {}).get(number, {})}, Place(number)


class Toy:
    """One run folder."""

    def __init__(self, directory: Path, **sections):
        sections["train"] = {"steps": STEPS, **sections.get("train", {})}
        self.config = tiny_config(**sections)
        self.mesh = tiny_mesh()
        self.directory = directory
        self.notes = Notes()

    def open(self) -> Checkpoints:
        return Checkpoints(self.directory, config=self.config, fingerprints={})

    def run(self, evaluate=None, **how) -> Ended:
        with self.open() as checkpoints:
            restored, damaged = checkpoints.restore_latest(small_abstract(self.mesh))
            assert not damaged
            state, progress, first = small_state(self.mesh), Progress(), 0
            if restored is not None:
                state, progress = restored.state, Progress(**restored.metadata.progress)
                first = restored.metadata.position["number"]
                assert first == restored.metadata.step
            return train_loop(
                state,
                config=self.config,
                step=toy_step,
                batches=toy_batches(first, **how),
                place=lambda batch: batch,
                mesh=self.mesh,
                task_names=TASKS,
                requested=lambda step: {"one": 0.7, "two": 0.3} if step <= 5 else {"one": 0.0, "two": 1.0},
                reporters=[self.notes],
                evaluate=evaluate,
                checkpoints=checkpoints,
                progress=progress,
            )


def test_an_interval_is_a_sum_divided_once(tmp_path: Path) -> None:
    toy = Toy(tmp_path, logging={"every_steps": 5})
    ended = toy.run()
    assert int(ended.state.step) == STEPS
    assert not ended.stopped_early
    assert [step for step, _ in toy.notes.logged] == [5, 10, 12]
    first = toy.notes.logged[0][1]
    numbers = np.arange(1, 6)
    assert first["train/loss"] == pytest.approx((numbers + 1).sum() / (4 * 5 + 3))
    assert first["train/loss/one"] == pytest.approx(numbers.sum() / 20)
    assert first["train/loss/two"] == pytest.approx(5 / 3)
    assert first["train/accuracy"] == pytest.approx(numbers.sum() / 40)
    assert first["train/learning_rate"] == pytest.approx(0.1)
    assert first["train/tokens_per_second"] == pytest.approx(4 * first["train/trained_tokens_per_second"])


def test_requested_and_realised_shares_of_an_interval_are_logged(tmp_path: Path) -> None:
    toy = Toy(tmp_path, logging={"every_steps": 5})
    toy.run()
    first, second = (dict(metrics) for _, metrics in toy.notes.logged[:2])
    assert [first[f"share/requested/{task}"] for task in TASKS] == [0.7, 0.3]
    assert [second[f"share/requested/{task}"] for task in TASKS] == [0.0, 1.0]
    assert [first[f"share/examples/{task}"] for task in TASKS] == pytest.approx([0.75, 0.25])
    # weights of steps 1 to 5: 4 each, and 1 in steps 1, 3 and 5
    assert [first[f"share/trained_tokens/{task}"] for task in TASKS] == pytest.approx([20 / 23, 3 / 23])


def test_a_task_without_weight_is_not_logged(tmp_path: Path) -> None:
    toy = Toy(tmp_path, logging={"every_steps": 2}, train={"steps": 2})
    toy.run(changed={1: {"weight": np.array([4, 0], np.float32)}, 2: {"weight": np.array([4, 0], np.float32)}})
    assert "train/loss/two" not in toy.notes.logged[0][1]


@pytest.mark.parametrize("every_steps", [1, 5, 100])
def test_a_signal_saves_and_the_same_command_goes_on(tmp_path: Path, every_steps: int) -> None:
    whole = Toy(tmp_path / "whole").run()
    toy = Toy(tmp_path / "stopped", checkpoint={"every_steps": every_steps})
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(StoppedError, match=r"stopped by SIGTERM at step (\d+), saved"):
        toy.run(stop_at=6)
    assert signal.getsignal(signal.SIGTERM) is before
    with toy.open() as checkpoints:
        assert 6 < checkpoints.steps()[0] <= 9
    assert_same_bits(toy.run().state, whole.state)
    # and once more: there is nothing left to do
    assert_same_bits(toy.run().state, whole.state)


@pytest.mark.parametrize("every_steps", [3, 100])
def test_a_bad_step_is_named_and_never_saved(tmp_path: Path, every_steps: int) -> None:
    toy = Toy(tmp_path, checkpoint={"every_steps": every_steps})
    kept = "checkpoint 00000003 is kept" if every_steps == 3 else "no checkpoint was saved yet"
    with pytest.raises(NotFiniteError, match=rf"step 6: the loss is nan.*finite ones up to step 5; {kept}"):
        toy.run(changed={6: {"loss": np.array([np.nan, 1], np.float32)}})
    with toy.open() as checkpoints:
        assert checkpoints.steps() == ([3] if every_steps == 3 else [])


def test_a_batch_without_weight_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="batch of step 4: holds no trainable token"):
        Toy(tmp_path).run(changed={4: {"weight": np.zeros(2, np.float32)}})


def test_best_is_kept_and_patience_ends_the_run(tmp_path: Path) -> None:
    values = iter([0.2, 0.5, 0.4, 0.5, 0.9])
    toy = Toy(
        tmp_path,
        checkpoint={"best_metric": "seen/mean", "every_steps": 100, "keep": 1},
        evaluation={"every_steps": 2, "patience": 2},
    )
    ended = toy.run(evaluate=lambda tuned: {"seen/mean": next(values)})
    assert ended.stopped_early
    assert ended.progress == Progress(best=0.5, best_step=4, evaluations_since=2)
    assert int(ended.state.step) == 8
    with toy.open() as checkpoints:
        assert checkpoints.steps() == [8, 4]
        assert checkpoints.best_step() == 4
    assert [step for step, metrics in toy.notes.logged if "seen/mean" in metrics] == [2, 4, 6, 8]
    # the same command finds the run over
    assert toy.run(evaluate=lambda tuned: {"seen/mean": next(values)}).stopped_early
    assert next(values) == 0.9


def test_an_unknown_best_metric_is_refused(tmp_path: Path) -> None:
    toy = Toy(tmp_path, checkpoint={"best_metric": "seen/men"}, evaluation={"every_steps": 2})
    with pytest.raises(InputError, match="'seen/men', which no evaluation measures; allowed: seen/mean"):
        toy.run(evaluate=lambda tuned: {"seen/mean": 0.1})
