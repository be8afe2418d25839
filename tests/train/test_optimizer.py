"""Update rules on stacked parameters equal those on separate ones; schedules have the values they say."""

import jax
import numpy as np
import optax
import pytest
from flax import nnx
from small_state import AXES, small_optimizer, small_tuned
from tiny_run import tiny_config, tiny_mesh

from flan_jax.config import ScheduleConfig
from flan_jax.train.optimizer import View, make_optimizer, make_schedule, view_of
from flan_jax.train.state import init_state, state_shardings

# large enough for factored second moments, which begin at 128
WIDE = {"kernel": (3, 128, 160), "query": (3, 128, 32, 4), "scale": (3, 128), "table": (144, 128)}


def views() -> dict[str, View]:
    return {name: view_of(AXES[name], shape) for name, shape in WIDE.items()}


def test_views_join_heads_and_set_layers_apart() -> None:
    found = views()
    assert found["kernel"] == View(True, ("embed", "mlp"), (128, 160))
    assert found["query"] == View(True, ("embed", "heads"), (128, 128))
    assert found["scale"] == View(True, ("norm",), (128,))
    assert found["table"] == View(False, ("vocab", "embed"), (144, 128))
    bias = view_of(("layers", "heads", "head_dim"), (3, 4, 2))
    assert [view.is_matrix for view in (*found.values(), bias)] == [True, True, False, True, False]
    low_rank = view_of(("layers", "heads", "head_dim", "rank"), (3, 4, 2, 5))
    assert low_rank.shape == (8, 5)


def gradients_like(tuned: nnx.State, seed: int) -> nnx.State:
    rng = np.random.default_rng(seed)
    # layers of very different size: pooled over the stack, their updates would be of one size
    scales = {3: np.array([1e-4, 1.0, 50.0], np.float32)}

    def like(x: jax.Array) -> jax.Array:
        scale = scales.get(x.shape[0], np.ones(x.shape[0], np.float32)).reshape(-1, *[1] * (x.ndim - 1))
        return jax.numpy.asarray(rng.normal(size=x.shape).astype(np.float32) * scale)

    return jax.tree.map(like, tuned)


def jitted(optimizer: optax.GradientTransformation) -> optax.GradientTransformation:
    return optax.GradientTransformation(jax.jit(optimizer.init), jax.jit(optimizer.update))


def updates_of(optimizer: optax.GradientTransformation, tuned, gradients: list) -> list:
    state, found = optimizer.init(tuned), []
    for gradient in gradients:
        updates, state = optimizer.update(gradient, state, tuned)
        tuned = jax.tree.map(lambda x, update: x + update, tuned, updates)
        found.append(updates)
    return found


@pytest.mark.parametrize("by_scale", [True, False])
def test_adafactor_on_a_stack_equals_separate_layers(by_scale: bool) -> None:
    config = tiny_config(
        optimizer={
            "name": "adafactor", "clip_norm": None, "weight_decay": 0.0, "multiply_by_parameter_scale": by_scale,
        }
    )  # fmt: skip
    schedule = optax.constant_schedule(config.optimizer.learning_rate)
    tuned = small_tuned(tiny_mesh(), shapes=WIDE)
    gradients = [gradients_like(tuned, seed) for seed in range(3)]
    found = updates_of(jitted(make_optimizer(config.optimizer, schedule, tuned)), tuned, gradients)

    rate, decay_rate = config.optimizer.learning_rate, config.optimizer.decay_rate
    plain = jitted(optax.adafactor(rate, multiply_by_parameter_scale=by_scale, decay_rate=decay_rate))
    for name, view in views().items():
        stacked = view.is_stacked
        for layer in range(WIDE[name][0] if stacked else 1):

            def part(state, name=name, view=view, layer=layer):
                array = view.of(state[name][...])
                return array[layer] if view.is_stacked else array

            alone = updates_of(plain, part(tuned), [part(gradient) for gradient in gradients])
            for one, other in zip(alone, found, strict=True):
                np.testing.assert_allclose(part(other), one, rtol=1e-5, atol=1e-9)


def test_adamw_decays_matrices_alone() -> None:
    tuned = small_tuned(tiny_mesh(), shapes=WIDE)
    gradients = [gradients_like(tuned, seed) for seed in range(2)]
    schedule = optax.constant_schedule(1e-2)
    config = tiny_config(optimizer={"weight_decay": 0.1, "clip_norm": None}).optimizer
    found = updates_of(jitted(make_optimizer(config, schedule, tuned)), tuned, gradients)
    mask = nnx.State({name: nnx.Param(name != "scale", axes=AXES[name]) for name in AXES})
    plain = optax.adamw(schedule, b1=config.b1, b2=config.b2, eps=config.eps, weight_decay=0.1, mask=mask)
    expected = updates_of(jitted(plain), tuned, gradients)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(b, a, rtol=1e-5, atol=1e-9), expected, found)


def test_clipping_is_by_the_norm_of_all_parameters() -> None:
    tuned = small_tuned(tiny_mesh())
    gradient = gradients_like(tuned, 0)
    norm = float(optax.tree.norm(gradient))
    small = jax.tree.map(lambda x: x / norm, gradient)
    optimizer = jitted(small_optimizer(tuned, clip_norm=1.0, weight_decay=0.0, eps=1e-3))
    (clipped,), (whole,) = (updates_of(optimizer, tuned, [g]) for g in (gradient, small))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(b, a, rtol=1e-4, atol=1e-9), whole, clipped)


@pytest.mark.parametrize("name", ["adamw", "adafactor"])
def test_moments_lie_like_their_parameters(name: str) -> None:
    mesh = tiny_mesh(data=2, fsdp=2, tensor=2)
    tuned = small_tuned(mesh)
    optimizer = small_optimizer(tuned, name=name)
    state = init_state(tuned, optimizer, mesh)
    assert jax.tree.map(lambda x: x.sharding, state) == state_shardings(tuned, optimizer, mesh)
    whole = {leaf.sharding.is_fully_replicated for leaf in jax.tree.leaves(state.optimizer) if leaf.size > 100}
    assert whole == {False}


def test_schedules() -> None:
    def rates(steps: int, **settings) -> np.ndarray:
        schedule = make_schedule(ScheduleConfig(**settings), peak=1.0, steps=steps)
        return np.array([float(schedule(step)) for step in range(steps)])

    np.testing.assert_allclose(rates(4, kind="constant"), 1.0)
    np.testing.assert_allclose(rates(5, kind="constant", warmup_steps=4), [0.25, 0.5, 0.75, 1.0, 1.0])
    np.testing.assert_allclose(rates(5, kind="linear", final_ratio=0.5), [1.0, 0.9, 0.8, 0.7, 0.6])
    np.testing.assert_allclose(rates(4, kind="linear", warmup_steps=2), [0.5, 1.0, 1.0, 0.5])
    np.testing.assert_allclose(rates(4, kind="cosine"), (1 + np.cos(np.pi * np.arange(4) / 4)) / 2, atol=1e-7)
    np.testing.assert_allclose(rates(3, kind="cosine", warmup_steps=1), [1.0, 1.0, 0.5], atol=1e-7)
    # a warm-up that is longer than the run never reaches the peak, and is no error
    np.testing.assert_allclose(rates(2, kind="cosine", warmup_steps=4), [0.25, 0.5])
