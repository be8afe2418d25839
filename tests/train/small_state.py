"""A state of four small parameters without a model, for tests of what handles states: stacked, split, float32."""

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.sharding import NamedSharding
from tiny_run import tiny_config

from flan_jax.model.blueprint import flat_parameters
from flan_jax.parallel.mesh import sharding_for
from flan_jax.train.checkpoint import Account
from flan_jax.train.optimizer import make_optimizer, make_schedule
from flan_jax.train.state import TrainState, abstract_state, init_state

AXES = {
    "kernel": ("layers", "embed", "mlp"),
    "query": ("layers", "embed", "heads", "head_dim"),
    "scale": ("layers", "norm"),
    "table": ("vocab", "embed"),
}
SHAPES = {"kernel": (3, 8, 16), "query": (3, 8, 4, 2), "scale": (3, 8), "table": (32, 8)}


def small_tuned(mesh: jax.sharding.Mesh, seed: int = 0, shapes: dict[str, tuple[int, ...]] = SHAPES) -> nnx.State:
    rng = np.random.default_rng(seed)
    variables = {}
    for name, shape in shapes.items():
        sharding: NamedSharding = sharding_for(AXES[name], shape, mesh, name)
        variables[name] = nnx.Param(
            jax.device_put(rng.normal(size=shape).astype(np.float32), sharding), axes=AXES[name]
        )
    return nnx.State(variables)


def small_optimizer(tuned: nnx.State, **settings):
    config = tiny_config(optimizer=settings)
    schedule = make_schedule(config.schedule, peak=config.optimizer.learning_rate, steps=config.train.steps)
    return make_optimizer(config.optimizer, schedule, tuned)


def small_state(mesh: jax.sharding.Mesh, step: int = 0, seed: int = 0) -> TrainState:
    """A state with moments that are not zero."""
    tuned = small_tuned(mesh, seed)
    state = init_state(tuned, small_optimizer(tuned), mesh)
    rng = np.random.default_rng(seed + 1)

    def filled(x: jax.Array) -> jax.Array:
        return jax.device_put((np.asarray(x) + rng.normal(size=x.shape)).astype(x.dtype), x.sharding)

    moments = jax.tree.map(lambda x: filled(x) if x.ndim else x, state.optimizer)
    return TrainState(jax.device_put(jnp.int32(step), state.step.sharding), state.tuned, moments)


def small_abstract(mesh: jax.sharding.Mesh) -> TrainState:
    tuned = small_tuned(mesh)
    return abstract_state(tuned, small_optimizer(tuned), mesh)


def account(step: int, best: tuple[str, float] | None = None) -> Account:
    return Account(position={"step": step}, progress={}, metrics={"seen/mean": float(step)}, best=best)


def assert_same_bits(one: TrainState, other: TrainState) -> None:
    assert list(flat_parameters(one.tuned)) == list(flat_parameters(other.tuned))
    jax.tree.map(np.testing.assert_array_equal, jax.device_get(one), jax.device_get(other))
