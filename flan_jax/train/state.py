"""What a training run changes from step to step, and where it lies on the mesh.

Only what is tuned has gradients and moments; frozen weights are a separate argument of the step and never enter here.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from flan_jax.model.blueprint import flat_parameters
from flan_jax.model.nn.array_tree import array_tree
from flan_jax.parallel.mesh import sharding_for
from flan_jax.train.optimizer import LAYERS, PerLayerState, View, views_of


@array_tree
@dataclass(frozen=True)
class TrainState:
    """The state of a run after `step` optimizer steps; also the shapes, or the shardings, of one.

    Attributes:
        step: int32 scalar.
        tuned: trained parameters, float32.
        optimizer: moments and counts.
    """

    step: Any
    tuned: nnx.State
    optimizer: optax.OptState


def init_state(tuned: nnx.State, optimizer: optax.GradientTransformation, mesh: Mesh) -> TrainState:
    """The state at step 0, each array where `state_shardings` puts it; `tuned` is used, not copied."""
    shardings = state_shardings(jax.eval_shape(lambda x: x, tuned), optimizer, mesh)
    # without out_shardings all moments land on one device, and the step compiles a second time
    moments = jax.jit(optimizer.init, out_shardings=shardings.optimizer)(tuned)
    step = jax.jit(lambda: jnp.zeros((), jnp.int32), out_shardings=shardings.step)()
    return TrainState(step, jax.device_put(tuned, shardings.tuned), moments)


def abstract_state(tuned: nnx.State, optimizer: optax.GradientTransformation, mesh: Mesh) -> TrainState:
    """Shapes, types and shardings of the state, as `jax.ShapeDtypeStruct`s; `tuned` may be abstract itself."""
    abstract = jax.eval_shape(lambda x: x, tuned)
    shapes = TrainState(jax.ShapeDtypeStruct((), jnp.int32), abstract, jax.eval_shape(optimizer.init, abstract))
    return jax.tree.map(
        lambda shape, sharding: jax.ShapeDtypeStruct(shape.shape, shape.dtype, sharding=sharding),
        shapes,
        state_shardings(abstract, optimizer, mesh),
    )


def state_shardings(tuned: nnx.State, optimizer: optax.GradientTransformation, mesh: Mesh) -> TrainState:
    """The sharding of every array of the state.

    Parameters lie as the names of their dimensions say, and moments of the size of their parameter lie with it. What
    is left (counts, Adafactor's row and column means: some (in + out) / (in · out) of a matrix) is whole everywhere.

    Raises:
        InputError: a dimension does not divide by its mesh axis.
    """
    whole = NamedSharding(mesh, PartitionSpec())
    structure = jax.tree.structure(tuned)
    of_parameters = [
        sharding_for(variable.get_metadata("axes"), variable.get_value().shape, mesh, f"parameter {name}")
        for name, variable in flat_parameters(tuned).items()
    ]
    shardings = jax.tree.unflatten(structure, of_parameters)

    def is_known(node: Any) -> bool:
        return isinstance(node, PerLayerState) or jax.tree.structure(node) == structure

    def place(node: Any) -> Any:
        if isinstance(node, PerLayerState):
            return PerLayerState(
                tuple(
                    jax.tree.map(functools.partial(_place_in_view, view, mesh), inner)
                    for view, inner in zip(views_of(tuned), node.of_parameters, strict=True)
                )
            )
        return shardings if jax.tree.structure(node) == structure else whole

    moments = jax.eval_shape(optimizer.init, tuned)
    return TrainState(step=whole, tuned=shardings, optimizer=jax.tree.map(place, moments, is_leaf=is_known))


def _place_in_view(view: View, mesh: Mesh, moment: jax.ShapeDtypeStruct) -> NamedSharding:
    axes = (LAYERS, *view.axes) if view.is_stacked else view.axes
    if moment.shape[view.is_stacked :] != view.shape:
        return NamedSharding(mesh, PartitionSpec())
    return sharding_for(axes, moment.shape, mesh, "moment")
