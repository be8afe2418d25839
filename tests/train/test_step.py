"""The train step: exact sums, one compilation, the same curve on every mesh, and only what is tuned moves."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from tiny_run import LENGTH, NUM_TASKS, ROWS, TinyRun, batch_at, mean_losses, tiny_config, tiny_mesh

from flan_jax.config_file import parse_config
from flan_jax.errors import InputError
from flan_jax.model.blueprint import flat_parameters
from flan_jax.model.load import create
from flan_jax.parallel.mesh import place_batch
from flan_jax.train.objectives.cross_entropy import cross_entropy
from flan_jax.train.objectives.objective import Objective, Weighted
from flan_jax.train.objectives.sft import SFT
from flan_jax.train.optimizer import make_optimizer, make_schedule
from flan_jax.train.state import init_state
from flan_jax.train.step import StepSettings, check_batch, make_train_step

STEPS = 4


@pytest.fixture(scope="module")
def run() -> TinyRun:
    return TinyRun(tiny_config(), tiny_mesh(data=2, fsdp=2, tensor=2))


def test_learns_compiles_once_and_leaves_the_base_alone(run: TinyRun) -> None:
    before = jax.device_get(run.parts.frozen)
    state, history = run.run(STEPS)
    losses = mean_losses(history)
    assert losses[-1] < losses[0]
    assert run.step._cache_size() == 1
    jax.tree.map(np.testing.assert_array_equal, before, jax.device_get(run.parts.frozen))
    assert int(state.step) == STEPS


def test_only_adapters_have_moments(run: TinyRun) -> None:
    state = run.init()
    names = set(flat_parameters(state.tuned))
    assert names
    assert all(name.rpartition(".")[2] in ("lora_a", "lora_b") for name in names)
    shapes = sorted(leaf.shape for leaf in jax.tree.leaves(state.optimizer) if leaf.ndim)
    assert shapes == sorted([leaf.shape for leaf in jax.tree.leaves(state.tuned)] * 2)


@pytest.mark.parametrize(
    "tuning",
    [
        {"method": "full"},
        pytest.param({"method": "lora", "lora": {"rank": 2, "dropout": 0.2}}, marks=pytest.mark.slow),
    ],
)
def test_same_curve_on_every_mesh(tuning: dict) -> None:
    config = tiny_config(tuning=tuning)
    meshes = [tiny_mesh(), tiny_mesh(data=8), tiny_mesh(data=2, fsdp=2, tensor=2)]
    one, *others = [mean_losses(TinyRun(config, mesh).run(STEPS)[1]) for mesh in meshes]
    for other in others:
        np.testing.assert_allclose(other, one, rtol=1e-5)


def test_accumulation_is_exact_in_tokens(run: TinyRun) -> None:
    whole = run
    parts = TinyRun(tiny_config(batch={"accumulation": 2}), tiny_mesh(data=2, fsdp=2, tensor=2))
    # micro-batches of very different weight: a mean of means would differ
    batch = batch_at(0)
    batch["weights"][::2] *= 0.01
    batch["weights"][1] = 0
    results = [one.step(one.init(), one.parts.frozen, one.place(batch)) for one in (whole, parts)]
    (one, one_metrics), (other, other_metrics) = jax.device_get(results)
    assert "named" in one_metrics
    jax.tree.map(lambda a, b: np.testing.assert_allclose(b, a, rtol=1e-5, atol=1e-6), one_metrics, other_metrics)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(b, a, rtol=1e-4, atol=1e-6), one.optimizer, other.optimizer)


def test_packed_gradients_equal_unpacked() -> None:
    run = TinyRun(tiny_config(tuning={"method": "full"}), tiny_mesh())
    packed = batch_at(0)
    unpacked = {name: np.zeros((0, LENGTH), x.dtype) for name, x in packed.items()}
    for row in range(ROWS):
        for segment in range(1, packed["segments"][row].max() + 1):
            inside = packed["segments"][row] == segment
            for name, x in packed.items():
                alone = np.full((1, LENGTH), -1 if name == "tasks" else 0, x.dtype)
                alone[0, : inside.sum()] = x[row][inside]
                unpacked[name] = np.concatenate([unpacked[name], alone])
    unpacked["segments"] = np.minimum(unpacked["segments"], 1)

    def summed(tuned, batch):
        model = nnx.merge(run.parts.graphdef, tuned, run.parts.frozen)
        batch = {name: jnp.asarray(x) for name, x in batch.items()}
        states = model.hidden(batch)
        return cross_entropy(
            states, model.head(), batch["targets"], batch["weights"], logits=model.logits, chunk=8, groups=1
        ).loss_sum

    (one, one_gradients), (other, other_gradients) = [
        jax.jit(jax.value_and_grad(summed))(run.parts.tuned, batch) for batch in (packed, unpacked)
    ]
    np.testing.assert_allclose(other, one, rtol=1e-5)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(b, a, rtol=1e-5, atol=1e-5), one_gradients, other_gradients)


def test_metrics_are_sums_over_the_batch(run: TinyRun) -> None:
    batch = batch_at(3)
    _, metrics = run.step(run.init(), run.parts.frozen, run.place(batch))
    assert metrics["weight"] == batch["weights"].sum()
    assert metrics["tokens"] == (batch["segments"] > 0).sum()
    assert metrics["trained_tokens"] == (batch["weights"] > 0).sum()
    expected = [batch["weights"][batch["tasks"] == task].sum() for task in range(NUM_TASKS)]
    np.testing.assert_allclose(metrics["task_weight"], expected)
    pairs = [np.unique(np.stack([row, batch["tasks"][r]]), axis=1) for r, row in enumerate(batch["segments"])]
    counted = [sum(((pair[0] > 0) & (pair[1] == task)).sum() for pair in pairs) for task in range(NUM_TASKS)]
    np.testing.assert_array_equal(metrics["task_examples"], counted)
    by_task = metrics["named"]["loss"]
    np.testing.assert_allclose(by_task.sum.sum(), metrics["loss"], rtol=1e-6)
    np.testing.assert_array_equal(by_task.weight, metrics["task_weight"])
    np.testing.assert_allclose(metrics["learning_rate"], 5e-3)  # the first of two warm-up steps to 1e-2


def test_an_objective_of_ones_own(run: TinyRun) -> None:
    """Its loss is what is minimised, its metrics are sums over micro-batches, and a field that it lacks is named."""

    def terms(model, batch, dropout_key, layout):
        loss, _ = SFT.terms(model, batch, dropout_key, layout)
        rows = jnp.float32(len(batch["inputs"]))
        return Weighted(3 * loss.sum, loss.weight), {"rows": Weighted(rows * rows, rows)}

    objective = Objective("tripled", fields=("margins",), metrics=("rows",), terms=terms)
    config = tiny_config(batch={"accumulation": 2})
    settings = StepSettings.from_config(config, NUM_TASKS, has_dropout=False)
    parts = run.parts
    step = make_train_step(
        parts.graphdef, parts.tuned, parts.frozen, run.optimizer, run.schedule, settings, run.mesh, objective=objective
    )
    with pytest.raises(InputError, match=r"objective 'tripled': batches have no 'margins', only inputs, .*weights;"):
        step(run.init(), parts.frozen, run.batch(0))
    batch = batch_at(0)
    _, metrics = step(run.init(), parts.frozen, run.place(batch | {"margins": batch["weights"]}))
    _, plain = run.step(run.init(), parts.frozen, run.batch(0))
    np.testing.assert_allclose(metrics["loss"], 3 * plain["loss"], rtol=1e-5)
    np.testing.assert_allclose(metrics["grad_norm"], 3 * plain["grad_norm"], rtol=1e-5)
    assert jax.tree.map(float, metrics["named"]) == {"rows": (2 * (ROWS // 2) ** 2, ROWS)}


def test_a_batch_that_does_not_divide_is_refused() -> None:
    check_batch(8, 2, tiny_mesh(data=2, fsdp=2))
    with pytest.raises(InputError, match=r"'batch.rows' is 8.*multiple of 16"):
        check_batch(8, 4, tiny_mesh(data=2, fsdp=2))


def test_t5_drops_in_training_by_its_own_rate() -> None:
    """Two seeds of dropout give two losses of the same weights; without dropout there is one."""
    losses = {}
    sizes = {"vocab_size": 32, "d_model": 16, "d_kv": 8, "d_ff": 32, "num_layers": 1, "num_heads": 2}
    ones = np.ones((1, 8), np.int32)
    names = ("encoder_inputs", "encoder_segments", "decoder_inputs", "targets", "decoder_segments")
    batch = dict.fromkeys(names, ones) | {"weights": ones.astype(np.float32), "tasks": ones * 0}
    mesh = tiny_mesh()
    for rate in (0.0, 0.2):
        model = {"architecture": {"model_type": "t5", **sizes}, "compute_dtype": "float32", "dropout": rate}
        config = parse_config({"model": model, "tuning": {"method": "full"}}, "test")
        parts = create(config, mesh)
        for seed in (0, 1):
            schedule = make_schedule(config.schedule, peak=0.0, steps=2)
            optimizer = make_optimizer(config.optimizer, schedule, parts.tuned)
            settings = StepSettings(seed, 1, parts.blueprint.has_dropout, 1)
            step = make_train_step(
                parts.graphdef, parts.tuned, parts.frozen, optimizer, schedule, settings, mesh, objective=SFT
            )
            state = init_state(jax.tree.map(jnp.copy, parts.tuned), optimizer, mesh)
            with jax.set_mesh(mesh):
                _, metrics = step(state, parts.frozen, place_batch(batch, mesh, 1))
            losses[rate, seed] = float(metrics["loss"])
    assert losses[0.0, 0] == losses[0.0, 1]
    assert losses[0.2, 0] != losses[0.2, 1]
