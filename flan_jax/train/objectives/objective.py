"""What an objective is: a loss that a step minimises, and what is logged beside it, all as sums to be divided once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key, Shaped

Batch = Mapping[str, jax.Array]


class Weighted(NamedTuple):
    """A sum and the weight it is divided by, once: after micro-batches, devices and steps were added up.

    Attributes:
        sum: float32, one number or one a task.
        weight: of the same shape.
    """

    sum: Float[Array, "*tasks"]
    weight: Float[Array, "*tasks"]


@dataclass(frozen=True)
class Layout:
    """How a micro-batch lies on its devices.

    Attributes:
        groups: shards of the batch dimension.
        chunk: positions of one shard that meet the head at a time.
        num_tasks: tasks of the mixture; `tasks` of a batch index them, −1 is padding.
    """

    groups: int
    chunk: int
    num_tasks: int

    def by_task(self, values: Shaped[Array, "B T"], batch: Batch) -> Shaped[Array, "tasks"]:
        """Sums over the positions of each task; values at padding must be 0."""
        tasks = jnp.maximum(batch["tasks"], 0).reshape(-1)
        return jax.ops.segment_sum(values.reshape(-1), tasks, self.num_tasks)


Terms = tuple[Weighted, dict[str, Weighted]]


@dataclass(frozen=True)
class Objective:
    """What a step minimises.

    Attributes:
        name: as the config and errors call it.
        fields: of a batch that it reads, beside the model's own.
        metrics: names of what it gives beside the loss; logged as train/NAME, and one a task as train/NAME/TASK.
        terms: (model, micro-batch, dropout key or none, layout) → the loss, differentiable in the model through its
            `sum`, and the metrics by name.
    """

    name: str
    fields: tuple[str, ...]
    metrics: tuple[str, ...]
    terms: Callable[[Any, Batch, Key[Array, ""] | None, Layout], Terms]
