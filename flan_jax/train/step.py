"""One optimizer step as one jitted function: forward, backward, update, and the sums that the log is made of.

    state, frozen, batch, key ──► split into micro-batches ──► for each: merge the module, the objective's terms,
        gradients of the tuned part ──► sums divided once by the weight of the whole batch
        ──► clip, update ──► state after the step, metrics

All metrics are sums or single numbers over the whole batch and all devices, so that an interval of steps is averaged
by adding them up and dividing once. The state is donated; the frozen weights are not.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from flan_jax.config import Config
from flan_jax.errors import InputError
from flan_jax.parallel.mesh import batch_sharding
from flan_jax.train.objectives.objective import Batch, Layout, Objective
from flan_jax.train.state import TrainState, state_shardings

Metrics = dict[str, Any]

# Positions of one shard that meet the head at a time. 128 rows of 49k float32 logits (25 MB) stay in a large cache:
# measured on two cores at D 576, 0.26 ms a token at 128, 0.36 at 512. Accelerators want larger products.
CHUNK_ON_CPU = 128
CHUNK = 1024


@dataclass(frozen=True)
class StepSettings:
    """What the step needs to know of a run beyond its parts.

    Attributes:
        seed: of dropout.
        accumulation: micro-batches of a step.
        has_dropout: whether dropout keys are made at all.
        num_tasks: tasks of the mixture; batches index them.
    """

    seed: int
    accumulation: int
    has_dropout: bool
    num_tasks: int

    @classmethod
    def from_config(cls, config: Config, num_tasks: int, *, has_dropout: bool) -> StepSettings:
        """The settings of a config, for a model that drops anything in training or nothing."""
        return cls(config.run.seed, config.batch.accumulation, has_dropout, num_tasks)


def check_batch(rows: int, accumulation: int, mesh: Mesh) -> None:
    """Raises InputError where `rows` cannot be dealt to micro-batches and devices."""
    shards = mesh.shape["data"] * mesh.shape["fsdp"]
    if rows % (accumulation * shards):
        raise InputError(
            f"'batch.rows' is {rows}; with 'batch.accumulation' {accumulation} on mesh data × fsdp = {shards} it must "
            f"be a multiple of {accumulation * shards}"
        )


def make_train_step(
    graphdef: nnx.GraphDef[nnx.Module],
    tuned: nnx.State,
    frozen: nnx.State,
    optimizer: optax.GradientTransformation,
    schedule: Callable[[Any], Any],
    settings: StepSettings,
    mesh: Mesh,
    *,
    objective: Objective,
) -> Any:
    """The jitted step: (state, frozen, batch) → (state after it, metrics). It compiles once and donates the state.

    Args:
        graphdef: structure of the model.
        tuned: trained parameters, or their shapes.
        frozen: other parameters on the mesh, or their shapes with shardings; only their shardings are read.
        optimizer: update rule.
        schedule: learning rate by step, for the log.
        settings: seed, accumulation, dropout and number of tasks.
        mesh: where all arrays lie.
        objective: what is minimised.

    Returns:
        A `jax.jit` function (`lower` and `_cache_size` are at hand). Its metrics, replicated: `loss`, `weight` (sums),
        `named` (the objective's metrics, each `Weighted`), `tokens` and `trained_tokens` (positions that are no
        padding, and those with a loss weight, float32), `task_weight` and `task_examples` [num_tasks], `grad_norm`
        before clipping, `learning_rate`. Its first call raises InputError where the batch lacks a field that the
        objective reads.
    """
    shardings = state_shardings(tuned, optimizer, mesh)
    frozen_shardings = jax.tree.map(lambda x: x.sharding, frozen)
    whole = NamedSharding(mesh, PartitionSpec())
    groups = mesh.shape["data"] * mesh.shape["fsdp"]
    chunk = CHUNK_ON_CPU if mesh.devices.flat[0].platform == "cpu" else CHUNK
    layout = Layout(groups, chunk, settings.num_tasks)

    def sums(tuned: nnx.State, frozen: nnx.State, batch: Batch, key: jax.Array | None) -> tuple[jax.Array, Metrics]:
        model = nnx.merge(graphdef, tuned, frozen)
        loss, metrics = objective.terms(model, batch, key, layout)
        assert tuple(metrics) == objective.metrics, "an objective gives the metrics it names"
        return loss.sum, {"loss": loss.sum, "weight": loss.weight, "named": metrics, **_counts(batch, layout)}

    gradients_of = jax.grad(sums, has_aux=True)

    def step(state: TrainState, frozen: nnx.State, batch: Batch) -> tuple[TrainState, Metrics]:
        _check_fields(batch, objective)
        key = jax.random.fold_in(jax.random.key(settings.seed), state.step) if settings.has_dropout else None
        if settings.accumulation == 1:
            gradients, metrics = gradients_of(state.tuned, frozen, batch, _micro_key(key, 0))
        else:
            gradients, metrics = _accumulated(gradients_of, state.tuned, frozen, batch, key, settings.accumulation)
        with jax.named_scope("update"):
            # a batch without weight is refused before it comes here; the bound only keeps 0 / 0 out of a trace
            weight = jnp.maximum(metrics["weight"], jnp.finfo(jnp.float32).tiny)
            gradients = jax.tree.map(lambda gradient: gradient / weight, gradients)
            metrics["grad_norm"] = optax.tree.norm(gradients)
            metrics["learning_rate"] = jnp.asarray(schedule(state.step), jnp.float32)
            updates, moments = optimizer.update(gradients, state.optimizer, state.tuned)
            tuned = jax.tree.map(lambda parameter, update: parameter + update, state.tuned, updates)
        return TrainState(state.step + 1, tuned, moments), metrics

    return jax.jit(
        step,
        in_shardings=(shardings, frozen_shardings, batch_sharding(mesh)),
        out_shardings=(shardings, whole),
        donate_argnums=0,
    )


def _micro_key(key: jax.Array | None, micro: jax.Array | int) -> jax.Array | None:
    return None if key is None else jax.random.fold_in(key, micro)


def _accumulated(
    gradients_of: Callable[..., tuple[Any, Metrics]],
    tuned: nnx.State,
    frozen: nnx.State,
    batch: Batch,
    key: jax.Array | None,
    accumulation: int,
) -> tuple[Any, Metrics]:
    """Gradients and metrics summed over micro-batches; as sums, they are those of the whole batch."""

    def micro_batches(x: jax.Array) -> jax.Array:
        # micro-batch m has rows m, m + A, m + 2A …: each shard deals out its own rows, none moves
        return x.reshape(x.shape[0] // accumulation, accumulation, *x.shape[1:]).swapaxes(0, 1)

    def body(total: Any, inputs: tuple[jax.Array, Batch]) -> tuple[Any, None]:
        micro, micro_batch = inputs
        gradients = gradients_of(tuned, frozen, micro_batch, _micro_key(key, micro))
        return jax.tree.map(jnp.add, total, gradients), None

    batches = {name: micro_batches(x) for name, x in batch.items()}
    one = {name: x[0] for name, x in batches.items()}
    shapes = jax.eval_shape(gradients_of, tuned, frozen, one, _micro_key(key, 0))
    zeros = jax.tree.map(lambda shape: jnp.zeros(shape.shape, shape.dtype), shapes)
    total, _ = jax.lax.scan(body, zeros, (jnp.arange(accumulation), batches))
    return total


def _check_fields(batch: Batch, objective: Objective) -> None:
    missing = [field for field in objective.fields if field not in batch]
    if missing:
        raise InputError(
            f"objective '{objective.name}': batches have no '{missing[0]}', only {', '.join(sorted(batch))}; train on "
            "data that this objective is for"
        )


def _counts(batch: Batch, layout: Layout) -> Metrics:
    """Positions on both sides that are no padding, and those that carry loss, in all and by task; examples by task.

    All float32, whose 2²⁴ no step reaches.
    """
    sides = [batch[name] for name in ("segments", "encoder_segments", "decoder_segments") if name in batch]
    tokens = sum((side > 0).sum() for side in sides)
    segments = batch["segments" if "segments" in batch else "decoder_segments"]
    before = jnp.pad(segments, ((0, 0), (1, 0)))[:, :-1]
    begins = (segments > 0) & (segments != before)
    return {
        "tokens": jnp.asarray(tokens, jnp.float32),
        "trained_tokens": (batch["weights"] > 0).sum().astype(jnp.float32),
        "task_weight": layout.by_task(batch["weights"], batch),
        "task_examples": layout.by_task(begins.astype(jnp.float32), batch),
    }
