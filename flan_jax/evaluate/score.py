"""Rank classification: the log-likelihood of every answer option, many questions to a row.

Rows have one fixed shape, so one program scores everything; a question longer than a row gets rows of its own, twice,
four times … as long. What is computed is exactly log p(option | prompt) of each option alone (held by a test); nothing
here decides which option wins.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import jax
import numpy as np
from flax import nnx
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Float

from flan_jax.data.plan.packing import pack
from flan_jax.errors import InputError, NotFiniteError
from flan_jax.evaluate.layout import RowLayout, Span
from flan_jax.evaluate.protocol import OptionLikelihoods
from flan_jax.evaluate.questions import EvaluationItem
from flan_jax.generate.shapes import power_of_two
from flan_jax.model.nn.likelihood import token_log_likelihoods
from flan_jax.parallel.mesh import host_rows, place_batch


class OptionScorer:
    """Scores the options of questions with one model structure; weights are given with each call."""

    def __init__(
        self, graphdef: nnx.GraphDef, mesh: Mesh, *, layout: RowLayout, rows: int, longest: int | None
    ) -> None:
        """Prepares the program; it compiles at the first call.

        Args:
            graphdef: structure of the model.
            mesh: devices the weights lie on.
            layout: how the model's rows are filled, and their lengths.
            rows: rows of a batch, over all hosts.
            longest: most tokens of a prompt with one answer that the model was made for; none: no limit.
        """
        self._mesh, self._layout, self._rows, self._longest = mesh, layout, rows, longest
        self.programs = 0  # compiled so far, one for each row length met

        def score(tuned: nnx.State, frozen: nnx.State, batch: dict[str, Array]) -> Float[Array, "B T"]:
            self.programs += 1  # runs only while tracing
            model = nnx.merge(graphdef, tuned, frozen)
            return token_log_likelihoods(model.logits, model.hidden(batch), batch["targets"], batch["weights"] > 0)

        # replicated, so that every host reads every score
        self._score = jax.jit(score, out_shardings=NamedSharding(mesh, PartitionSpec()))

    def check(self, items: Sequence[EvaluationItem]) -> None:
        """Refuses questions that the model cannot read.

        Raises:
            InputError: a prompt with an answer is longer than the model was made for.
        """
        for item in items:
            size = len(item.prompt_ids) + max(map(len, item.option_ids))
            if self._longest is not None and size > self._longest:
                raise InputError(
                    f"evaluation of task '{item.task}', example {item.example_id}: prompt and answer take {size} "
                    f"tokens; the model reads at most {self._longest}; shorten the example, or leave the task out"
                )

    def __call__(
        self,
        tuned: nnx.State,
        frozen: nnx.State,
        items: Sequence[EvaluationItem],
        *,
        on_progress: Callable[[int], None] | None = None,
    ) -> list[OptionLikelihoods]:
        """The likelihoods of the options of each question, in order.

        Args:
            tuned: tuned weights, on the mesh.
            frozen: frozen weights, on the mesh.
            items: questions with at least one option each.
            on_progress: told how many questions a finished batch held.

        Raises:
            InputError: a prompt with an answer is longer than the model was made for.
            NotFiniteError: a likelihood is NaN or infinite.
        """
        self.check(items)
        sums = [[0.0] * len(item.option_ids) for item in items]
        waiting: tuple[Array, list[Span]] | None = None
        for batch, spans in self._batches(items):
            with jax.set_mesh(self._mesh):
                scores = self._score(tuned, frozen, place_batch(batch, self._mesh, self._rows))
            # the batch before is read while this one computes
            if waiting is not None:
                _collect(*waiting, items, sums, on_progress)
            waiting = scores, spans
        if waiting is not None:
            _collect(*waiting, items, sums, on_progress)
        return [
            OptionLikelihoods(tuple(one), tuple(map(len, item.option_ids)))
            for one, item in zip(sums, items, strict=True)
        ]

    def _batches(self, items: Sequence[EvaluationItem]) -> Iterator[tuple[dict[str, np.ndarray], list[Span]]]:
        """Batches of this host's rows, with the places of all hosts' options; equal shapes for equal capacity."""
        by_capacity: dict[tuple[int, ...], list[int]] = {}
        for index, item in enumerate(items):
            sizes = zip(self._layout.size(item), self._layout.capacity, strict=True)
            by_capacity.setdefault(tuple(power_of_two(n, least=least) for n, least in sizes), []).append(index)
        local = host_rows(self._mesh, self._rows)
        for capacity, members in sorted(by_capacity.items()):
            sizes = np.array([self._layout.size(items[index]) for index in members])
            rows_of = pack(sizes, capacity)
            packed: list[list[int]] = [[] for _ in range(int(rows_of.max()) + 1)]
            for index, row in zip(members, rows_of.tolist(), strict=True):
                packed[row].append(index)
            for start in range(0, len(packed), self._rows):
                rows = packed[start : start + self._rows]
                rows += [[]] * (self._rows - len(rows))
                batch, spans = self._layout.fill(items, rows, capacity)
                yield {name: array[local] for name, array in batch.items()}, spans


def _collect(
    scores: Array,
    spans: Sequence[Span],
    items: Sequence[EvaluationItem],
    sums: list[list[float]],
    on_progress: Callable[[int], None] | None,
) -> None:
    """Adds a batch's token likelihoods to the sums of its options."""
    values = np.asarray(scores, np.float64)  # f64: the sum over a long option stays exact to f32 rounding
    for span in spans:
        total = float(values[span.row, span.start : span.stop].sum())
        if not math.isfinite(total):
            item = items[span.item]
            raise NotFiniteError(
                f"evaluation of task '{item.task}', example {item.example_id}: the log-likelihood of option "
                f"{span.option} is {total}; the model's weights are not usable"
            )
        sums[span.item][span.option] = total
    if on_progress is not None:
        on_progress(len({span.item for span in spans}))
