"""`flan_jax.Batches`: what the trainer sees, without JAX, for any number of processes, and on from any position."""

import itertools
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from flan_jax import Batches, Run
from flan_jax.data.plan.loader import Batch, Loader
from flan_jax.errors import InputError
from flan_jax.runs.model import check_model

CONFIGS = ("toy_llama", "toy_t5")


@pytest.fixture(params=CONFIGS)
def run(request: pytest.FixtureRequest, tmp_path: Path) -> Run:
    return Run(request.param, progress=None, **{"run.dir": str(tmp_path / "run")})


def assert_same(first: Batch, second: Batch) -> None:
    assert first.keys() == second.keys()
    for name, array in first.items():
        assert array.dtype == second[name].dtype
        np.testing.assert_array_equal(array, second[name], err_msg=name)


def take(batches: Batches, count: int) -> list[Batch]:
    return list(itertools.islice(batches, count))


def trainer_s_batches(run: Run, count: int) -> list[Batch]:
    """As `tune` loads them."""
    blueprint, _ = check_model(run.config, run.text)
    with Loader(
        run.plan,
        run.prepared.train,
        rows=slice(0, run.config.batch.rows),
        position=run.plan.start(),
        workers=0,
        decoder_start_id=blueprint.architecture.decoder_start_token_id,
    ) as loader:
        return [batch for batch, _ in itertools.islice(loader, count)]


def test_batches_are_those_of_the_trainer(run: Run):
    with Batches(run) as batches:
        assert batches.tasks == tuple(run.prepared.train)
        for ours, trainer_s in zip(take(batches, 30), trainer_s_batches(run, 30), strict=True):
            assert_same(ours, trainer_s)


def test_a_position_goes_on_bit_for_bit(run: Run):
    with Batches(run) as batches:
        take(batches, 7)
        position = json.loads(json.dumps(batches.position))
        later = take(batches, 20)  # over the end of a window
        assert position["window"] < batches.position["window"]
        last = batches.position
    with Batches(run, position=position) as resumed:
        for first, second in zip(later, take(resumed, 20), strict=True):
            assert_same(first, second)
        assert resumed.position == last
    with pytest.raises(InputError, match=r"fed from another plan: run.seed \(0 saved, 5 now\)"):
        Batches(run.config.model_copy(update={"run": run.config.run.model_copy(update={"seed": 5})}), position=position)


def test_parts_of_several_processes_are_the_rows_of_one(run: Run):
    with Batches(run) as whole, Batches(run, process=(0, 2)) as first, Batches(run, process=(1, 2)) as second:
        for batch, upper, lower in zip(take(whole, 6), take(first, 6), take(second, 6), strict=True):
            assert_same(batch, {name: np.concatenate([upper[name], lower[name]]) for name in batch})
        assert first.position == second.position == whole.position


@pytest.mark.parametrize(
    ("process", "sentence"),
    [((2, 2), r"must be \(i, n\)"), ((-1, 2), r"must be \(i, n\)"), ((0, 3), "set batch.rows to a multiple of 3")],
)
def test_processes_that_cannot_be_are_refused(tmp_path: Path, process: tuple[int, int], sentence: str):
    with pytest.raises(InputError, match=sentence):
        Batches("toy_llama", process=process, progress=None, **{"run.dir": str(tmp_path / "run")})


def test_an_epoch_draws_as_many_examples_as_there_are(run: Run):
    with Batches(run) as batches:
        segments = "segments" if "segments" in next(batches) else "decoder_segments"
    num_examples = sum(store.num_examples for store in run.prepared.train.values())
    with Batches(run) as batches:
        epoch = take(batches, batches.batches_per_epoch)
    drawn = sum(int(batch[segments].max(axis=1).sum()) for batch in epoch)
    assert 0.9 < drawn / num_examples < 1.1


def test_a_loop_ends_when_they_are_closed(run: Run):
    with Batches(run) as batches:
        next(batches)
    assert take(batches, 1) == []


PROGRAM = """
import sys
from flan_jax import Batches
with Batches("{config}", progress=None, **{{"run.dir": "{folder}"}}) as batches:
    batch = next(batches)
assert batch["targets"].any()
print(sorted({{"jax", "flax", "tensorflow", "seqio", "orbax"}} & set(sys.modules)))
"""


@pytest.mark.parametrize("config", CONFIGS)
def test_neither_jax_nor_tensorflow_is_imported(config: str, tmp_path: Path):
    program = PROGRAM.format(config=config, folder=tmp_path / "run")
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path)
    assert (done.stdout, done.stderr) == ("[]\n", "")
