"""The plan of all batches, computed window by window from the lengths of prepared records alone.

    cursors ──► (task, epoch, place) ──► record ──► rows by packing ──► rows shuffled ──► batches
    mixture.py          order.py                      packing.py          order.py

The rows of window after window are one endless stream, cut into batches; a batch may hold the last rows of a window and
the first of the next, so no row is ever empty. Every host computes the same windows; neither the host count nor the
mesh enters. A window depends on its number and on the stages that began before it, not on other windows, so resuming
costs one of them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from jaxtyping import Int32, Int64

from flan_jax.config import Config
from flan_jax.data.plan.order import ORDER_VERSION, permutation, permuted
from flan_jax.data.plan.packing import PACKING_VERSION, pack
from flan_jax.data.plan.position import Position
from flan_jax.data.plan.rates import make_cursors, mixture_rates, stage_rates
from flan_jax.data.spec.mixture import Part
from flan_jax.data.store.manifest import fingerprint
from flan_jax.errors import InputError
from flan_jax.keyed import key64, mix64


class RecordLengths(Protocol):
    """What planning needs of a task's prepared records (a `Store` has it)."""

    @property
    def lengths(self) -> np.ndarray:
        """int32 [n, sides]: positions each record takes in a row."""
        ...

    @property
    def loss_tokens(self) -> np.ndarray:
        """int32 [n]: positions that carry loss."""
        ...

    @property
    def starts(self) -> np.ndarray:
        """int64 [examples + 1]: first record of each example; its renderings follow each other."""
        ...

    @property
    def content(self) -> str:
        """Fingerprint of the records."""
        ...


@dataclass(frozen=True)
class Rows:
    """Some packed rows: their examples, row after row.

    Attributes:
        tasks: int32 [m], index into the plan's tasks.
        records: int64 [m], index into that task's store.
        lengths: int32 [m, sides].
        rows: int64 [m], row of each example, from 0.
        segments: int32 [m], 1 for the first example of a row, then 2 …
        offsets: int64 [m, sides], first position in the row.
    """

    tasks: Int32[np.ndarray, "m"]
    records: Int64[np.ndarray, "m"]
    lengths: Int32[np.ndarray, "m sides"]
    rows: Int64[np.ndarray, "m"]
    segments: Int32[np.ndarray, "m"]
    offsets: Int64[np.ndarray, "m sides"]

    def between(self, first: int, stop: int, *, at: int = 0) -> Rows:
        """Rows first … stop, numbered from `at`."""
        begin, end = np.searchsorted(self.rows, (first, stop)).tolist()
        part = {field.name: getattr(self, field.name)[begin:end] for field in dataclasses.fields(self)}
        return Rows(**part | {"rows": part["rows"] - first + at})

    @classmethod
    def joined(cls, parts: Sequence[Rows]) -> Rows:
        """The rows of all parts; their numbers must ascend."""
        if len(parts) == 1:
            return parts[0]
        names = [field.name for field in dataclasses.fields(cls)]
        return cls(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in names})


@dataclass(frozen=True)
class Window:
    """One window: its number, and all its rows (none is empty)."""

    number: int
    num_rows: int
    content: Rows


class Plan:
    """The endless sequence of batches of a mixture.

    Attributes:
        tasks: names, in the order that `Window.tasks` and a batch's `tasks` count them.
        rates: the mixture's own rates, then those of each stage; each a mapping from task to share of examples.
        rows: rows of a batch, all hosts together.
        capacities: positions of a row on each side.
        window_examples: examples a window draws.
    """

    def __init__(
        self,
        stores: Mapping[str, RecordLengths],
        rates: Mapping[str, float],
        *,
        stages: Sequence[tuple[int, Mapping[str, float]]] = (),
        rows: int,
        capacities: tuple[int, ...],
        window_batches: int,
        seed: int,
    ):
        """Plans from the lengths in `stores`.

        Args:
            stores: lengths of every task.
            rates: share of examples of each task, summing to 1.
            stages: (first step, rates) of each later stage, ascending (`mixture.stage_rates`).
            rows: rows of a batch, all hosts together.
            capacities: positions of a row on each side; no record may be longer.
            window_batches: batches' worth of rows that a window has on average at least.
            seed: seed of the order.

        Raises:
            InputError: a record has no token that carries loss. Without such, every batch has one to train on.
        """
        for task, store in stores.items():
            if not store.loss_tokens.all():
                raise InputError(
                    f"task '{task}': record {int(np.argmin(store.loss_tokens))} has no token that carries loss; every "
                    "example needs an answer that is not empty: run 'flan-jax prepare CONFIG' again"
                )
        self.tasks = tuple(stores)
        self.rates = (dict(rates), *(dict(stage) for _, stage in stages))
        self.rows, self.capacities, self._seed = rows, capacities, seed
        self._stage_steps = tuple(step for step, _ in stages)
        of_tasks = list(stores.values())
        # All tasks in one array each, so that a window is gathered without a loop over tasks.
        self._lengths = np.concatenate([store.lengths for store in of_tasks]).astype(np.int32)
        self._loss_tokens = np.concatenate([store.loss_tokens for store in of_tasks])
        self._first_records = np.cumsum([0] + [len(store.lengths) for store in of_tasks])[:-1]
        self._starts = np.concatenate([store.starts for store in of_tasks])
        self._first_starts = np.cumsum([0] + [len(store.starts) for store in of_tasks])[:-1]
        self._num_examples = np.array([len(store.starts) - 1 for store in of_tasks], np.int64)
        self._task_keys = np.array([key64("order", seed, task) for task in self.tasks], np.uint64)
        self._row_shares = [self._row_share(store) for store in of_tasks]
        self.window_examples = self._choose_window_examples(window_batches)
        self._cursors = make_cursors(self.tasks, self.rates, window_examples=self.window_examples, seed=seed)
        self._records_fingerprint = fingerprint([[t, s.content] for t, s in stores.items()])[:16]
        self._mixture_fingerprint = fingerprint([self.tasks, self.rates, self._stage_steps])[:16]

    def start(self) -> Position:
        """The position of the first batch."""
        return Position(
            step=0,
            window=0,
            row=0,
            stage_starts=self.stage_starts(0, 0, ()),
            seed=self._seed,
            order_version=ORDER_VERSION,
            packing_version=PACKING_VERSION,
            window_examples=self.window_examples,
            rows=self.rows,
            capacities=self.capacities,
            records=self._records_fingerprint,
            mixture=self._mixture_fingerprint,
        )

    def stage_starts(self, window: int, step: int, begun: tuple[int, ...]) -> tuple[int, ...]:
        """First window of each stage that has begun when the batch of `step` reaches `window`; `begun`: the earlier."""
        due = sum(stage_step <= step for stage_step in self._stage_steps)
        return begun + (window,) * (due - len(begun))

    def window(self, number: int, stage_starts: tuple[int, ...]) -> Window:
        """Window `number`, given the first windows of the stages that have begun by then."""
        tasks, records = self._draw(number, stage_starts)
        # Tasks arrive one after another; packing puts examples of equal length side by side, so mix them first.
        mixed = permutation(len(tasks), key64("examples", self._seed, number))
        tasks, records = tasks[mixed], records[mixed]
        lengths = self._lengths[self._first_records[tasks] + records]
        packed = pack(lengths, self.capacities)
        num_rows = int(packed.max()) + 1
        rows = permutation(num_rows, key64("rows", self._seed, number))[packed]
        by_row = np.argsort(rows, kind="stable")
        rows, lengths = rows[by_row], lengths[by_row]
        firsts = np.searchsorted(rows, rows)  # first example of each one's row
        before = np.cumsum(lengths, axis=0, dtype=np.int64) - lengths
        content = Rows(
            tasks=tasks[by_row].astype(np.int32),
            records=records[by_row],
            lengths=lengths,
            rows=rows,
            segments=(np.arange(len(rows)) - firsts + 1).astype(np.int32),
            offsets=before - before[firsts],
        )
        return Window(number, num_rows, content)

    def loss_tokens(self, rows: Rows) -> Int32[np.ndarray, "m"]:
        """Positions of each example that carry loss."""
        return self._loss_tokens[self._first_records[rows.tasks] + rows.records]

    def rates_at(self, step: int) -> Mapping[str, float]:
        """Each task's requested share of examples at an optimizer step; a stage begins up to a window later."""
        return self.rates[sum(stage_step <= step for stage_step in self._stage_steps)]

    def num_examples(self, task: int) -> int:
        """Distinct examples of a task."""
        return int(self._num_examples[task])

    def _draw(self, number: int, stage_starts: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
        """Task and record (within the task) of each example of a window, task after task."""
        first = np.array(self._cursors.at(number, stage_starts), np.int64)
        counts = np.array(self._cursors.at(number + 1, stage_starts), np.int64) - first
        tasks = np.repeat(np.arange(len(self.tasks)), counts)
        within = np.arange(len(tasks)) - np.repeat(np.cumsum(counts) - counts, counts)
        sizes, keys = self._num_examples[tasks], self._task_keys[tasks]
        epochs, places = np.divmod(first[tasks] + within, sizes)
        examples = permuted(places, sizes, mix64(keys ^ mix64(epochs.astype(np.uint64))))
        start_places = self._first_starts[tasks] + examples
        first_renderings = self._starts[start_places]
        num_renderings = (self._starts[start_places + 1] - first_renderings).astype(np.uint64)
        # Epoch e uses rendering (e + hash(example)) mod V: all of them before any returns, examples out of step.
        turns = (epochs.astype(np.uint64) + mix64(keys ^ examples.astype(np.uint64))) % num_renderings
        return tasks, first_renderings + turns.astype(np.int64)

    def _row_share(self, store: RecordLengths) -> list[float]:
        """Share of a row that a mean record takes on each side."""
        totals = store.lengths.sum(axis=0, dtype=np.int64).tolist()
        return [total / (len(store.lengths) * size) for total, size in zip(totals, self.capacities, strict=True)]

    def _choose_window_examples(self, window_batches: int) -> int:
        """Examples that fill the batches of a window in whatever stage takes most."""
        # Rounding takes up to one example a task from a window; with twice as many none is ever empty.
        most = 2 * len(self.tasks)
        for rates in self.rates:
            sides = zip(*self._row_shares, strict=True)
            row_share = max(sum(rates[t] * share for t, share in zip(self.tasks, side, strict=True)) for side in sides)
            most = max(most, int(np.ceil(window_batches * self.rows / row_share)))
        return most


def make_plan(config: Config, stores: Mapping[str, RecordLengths], mixture: Part) -> Plan:
    """The plan of a run: `stores` are the training tasks of its mixture, in order."""
    num_examples = {task: len(store.starts) - 1 for task, store in stores.items()}
    sides = next(iter(stores.values())).lengths.shape[1]
    batch = config.batch
    rates = mixture_rates(config.data.mixing, num_examples, mixture)
    return Plan(
        stores,
        rates,
        stages=stage_rates(config.data.stages, mixture, rates),
        rows=batch.rows,
        capacities=(batch.length,) if sides == 1 else (batch.input_length, batch.target_length),
        window_batches=batch.window_batches,
        seed=config.run.seed,
    )
