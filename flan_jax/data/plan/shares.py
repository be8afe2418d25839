"""What a plan makes of the mixture: requested and realised shares of each task, and how full the rows are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from flan_jax.data.plan.packing import lower_bound
from flan_jax.data.plan.plan import Plan

_LENGTH_STEP = 8  # suggested row lengths are multiples: odd sizes are slow on every accelerator


@dataclass(frozen=True)
class TaskShare:
    """One task's part of the windows looked at; shares are of 1.

    Attributes:
        name: task.
        num_examples: distinct examples it has.
        requested_share: its rate.
        example_share: its share of the examples drawn.
        token_share: its share of the positions taken, on both sides together.
        loss_token_share: its share of the positions that carry loss.
        epochs: how often its examples were drawn.
    """

    name: str
    num_examples: int
    requested_share: float
    example_share: float
    token_share: float
    loss_token_share: float
    epochs: float


@dataclass(frozen=True)
class SideFill:
    """How full one side of the rows is.

    Attributes:
        name: 'tokens', or 'inputs' and 'targets'.
        length: positions of a row.
        fill: share of positions taken.
        suggested_length: row length at which this side would be about as full as the fullest one, and no example of the
            windows looked at longer than the row; the length itself for the side that binds.
    """

    name: str
    length: int
    fill: float
    suggested_length: int


@dataclass(frozen=True)
class MixtureReport:
    """Shares and fill over some windows.

    Attributes:
        tasks: in the plan's order.
        sides: one for a decoder, inputs and targets for an encoder-decoder.
        num_batches, num_rows, num_examples: in these windows; whole batches.
        lower_bound_rows: fewest rows that could hold these examples.
    """

    tasks: tuple[TaskShare, ...]
    sides: tuple[SideFill, ...]
    num_batches: int
    num_rows: int
    num_examples: int
    lower_bound_rows: int

    @property
    def fill(self) -> float:
        """Fill of the side that binds."""
        return max(side.fill for side in self.sides)


def mixture_report(plan: Plan, *, windows: int = 1) -> MixtureReport:
    """Shares and fill over the first windows of a plan, at the mixture's own rates (stages are left out)."""
    planned = [plan.window(number, ()) for number in range(windows)]
    tasks = np.concatenate([window.content.tasks for window in planned])
    lengths = np.concatenate([window.content.lengths for window in planned])
    loss_tokens = np.concatenate([plan.loss_tokens(window.content) for window in planned])
    count = len(plan.tasks)
    examples = np.bincount(tasks, minlength=count)
    tokens = np.bincount(tasks, weights=lengths.sum(axis=1), minlength=count)
    losses = np.bincount(tasks, weights=loss_tokens, minlength=count)
    num_rows = sum(window.num_rows for window in planned)
    return MixtureReport(
        tasks=tuple(
            TaskShare(
                name=name,
                num_examples=plan.num_examples(task),
                requested_share=plan.rates[0][name],
                example_share=float(examples[task] / examples.sum()),
                token_share=float(tokens[task] / tokens.sum()),
                loss_token_share=float(losses[task] / losses.sum()),
                epochs=float(examples[task] / plan.num_examples(task)),
            )
            for task, name in enumerate(plan.tasks)
        ),
        sides=_side_fills(plan, lengths, num_rows),
        num_batches=num_rows // plan.rows,
        num_rows=num_rows,
        num_examples=len(tasks),
        lower_bound_rows=lower_bound(lengths, plan.capacities),
    )


def _side_fills(plan: Plan, lengths: np.ndarray, num_rows: int) -> tuple[SideFill, ...]:
    names = ("tokens",) if len(plan.capacities) == 1 else ("inputs", "targets")
    fills = lengths.sum(axis=0) / (num_rows * np.array(plan.capacities))
    sides = []
    for name, length, fill, longest in zip(names, plan.capacities, fills.tolist(), lengths.max(axis=0), strict=True):
        needed = max(int(np.ceil(length * fill / fills.max())), int(longest))
        rounded = -(-needed // _LENGTH_STEP) * _LENGTH_STEP
        sides.append(SideFill(name, length, fill, min(length, rounded)))
    return tuple(sides)
