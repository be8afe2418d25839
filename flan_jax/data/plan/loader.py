"""Batches of this host's rows, read and assembled ahead of the step in background threads.

The plan says which record stands where; a batch is filled from the records of the host's rows alone. Nothing here
depends on how many hosts there are: the union of their rows is the same batch.
"""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol

import numpy as np
from jaxtyping import Int64

from flan_jax.data.plan.plan import Plan, Rows, Window
from flan_jax.data.plan.position import Position
from flan_jax.data.store.record import PairRecord, Record, TokenRecord
from flan_jax.errors import InputError

Batch = dict[str, np.ndarray]
_BATCHES_AHEAD = 4  # a worker: enough to ride out the planning of a window


class RecordReader(Protocol):
    """What loading needs of a task's prepared records (a `Store` has it)."""

    def read(self, indices: np.ndarray, /) -> Sequence[Record]:
        """The records at `indices`, in their order."""
        ...


def fill_batch(
    plan: Plan, rows: Rows, stores: Mapping[str, RecordReader], *, num_rows: int, decoder_start_id: int
) -> Batch:
    """A batch, or one host's part of it.

    Args:
        plan: the plan the rows are of.
        rows: the rows, numbered from 0.
        stores: records of every task of the plan.
        num_rows: how many rows, B.
        decoder_start_id: token before the first target (encoder-decoder only).

    Returns:
        Decoder [B, T]: inputs, targets, segments, positions, tasks int32, weights float32. Encoder-decoder:
        encoder_inputs, encoder_segments [B, S]; decoder_inputs, targets, decoder_segments, tasks, weights [B, T].
        Segments count from 1, 0 is padding; tasks index plan.tasks, −1 is padding; other padding is 0.

    Raises:
        InputError: a record is damaged or has another length than planned.
    """
    records = _read(plan, rows, stores)
    sides = [_Side.of(rows, side, (num_rows, capacity)) for side, capacity in enumerate(plan.capacities)]
    if len(sides) == 1:
        return _decoder_batch(sides[0], [record for record in records if isinstance(record, TokenRecord)])
    pairs = [record for record in records if isinstance(record, PairRecord)]
    return _encoder_decoder_batch(sides[0], sides[1], pairs, decoder_start_id)


@dataclasses.dataclass(frozen=True)
class _Side:
    """Where the examples of a batch stand on one side of its rows."""

    shape: tuple[int, int]
    flat: Int64[np.ndarray, "p"]  # place in the flattened [rows, capacity] of every position of every example
    within: Int64[np.ndarray, "p"]  # its position within the example
    segments: np.ndarray
    tasks: np.ndarray

    @classmethod
    def of(cls, rows: Rows, side: int, shape: tuple[int, int]) -> _Side:
        lengths = rows.lengths[:, side].astype(np.int64)
        within = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        begins = rows.rows * shape[1] + rows.offsets[:, side]
        return cls(
            shape=shape,
            flat=np.repeat(begins, lengths) + within,
            within=within,
            segments=np.repeat(rows.segments, lengths),
            tasks=np.repeat(rows.tasks, lengths),
        )

    def place(self, values: np.ndarray, dtype: type[np.generic] = np.int32, padding: int = 0) -> np.ndarray:
        """[rows, capacity] with `values` (one a position) where the examples stand."""
        array = np.full(self.shape, padding, dtype)
        array.reshape(-1)[self.flat] = values
        return array


def _decoder_batch(side: _Side, records: Sequence[TokenRecord]) -> Batch:
    return {
        "inputs": side.place(np.concatenate([record.tokens[:-1] for record in records])),
        "targets": side.place(np.concatenate([record.tokens[1:] for record in records])),
        "weights": side.place(np.concatenate([record.weights[1:] for record in records]), np.float32),
        "segments": side.place(side.segments),
        "positions": side.place(side.within),
        "tasks": side.place(side.tasks, padding=-1),
    }


def _encoder_decoder_batch(
    input_side: _Side, target_side: _Side, records: Sequence[PairRecord], decoder_start_id: int
) -> Batch:
    targets = np.concatenate([record.targets for record in records])
    # Teacher forcing within each segment: the token before, and the start token before the first.
    before = np.where(target_side.within == 0, decoder_start_id, np.roll(targets, 1))
    return {
        "encoder_inputs": input_side.place(np.concatenate([record.inputs for record in records])),
        "encoder_segments": input_side.place(input_side.segments),
        "decoder_inputs": target_side.place(before),
        "targets": target_side.place(targets),
        "weights": target_side.place(np.ones(len(targets)), np.float32),
        "decoder_segments": target_side.place(target_side.segments),
        "tasks": target_side.place(target_side.tasks, padding=-1),
    }


def _read(plan: Plan, rows: Rows, stores: Mapping[str, RecordReader]) -> list[Record]:
    lengths = rows.lengths
    records: dict[int, Record] = {}
    for task in np.unique(rows.tasks).tolist():
        places = np.flatnonzero(rows.tasks == task)
        of_task = stores[plan.tasks[task]].read(rows.records[places])
        for place, record in zip(places.tolist(), of_task, strict=True):
            if record.packed_lengths != tuple(lengths[place].tolist()):
                raise InputError(
                    f"task '{plan.tasks[task]}': record {rows.records[place]} has lengths {record.packed_lengths}, "
                    f"planned were {tuple(lengths[place].tolist())}; run 'flan-jax prepare CONFIG' again"
                )
            records[place] = record
    return [records[place] for place in range(len(records))]


class Loader:
    """Iterates (batch, position); the position is the one to resume at after that batch.

    With `workers` above 0 that many threads read ahead, and the next window is planned while this one is read. An
    error in a thread is raised where its batch would have come. Use it in a `with` block, or call `close`.
    """

    def __init__(
        self,
        plan: Plan,
        stores: Mapping[str, RecordReader],
        *,
        rows: slice,
        position: Position,
        workers: int,
        decoder_start_id: int = 0,
    ):
        """Begins at `position`.

        Args:
            plan: what to load.
            stores: records of every task of the plan.
            rows: rows of each batch that this host holds.
            position: `plan.start()`, or a saved one.
            workers: threads; 0 reads in the caller's.
            decoder_start_id: token before the first target (encoder-decoder only).

        Raises:
            InputError: the position was saved under another plan.
        """
        position.check_same_plan(plan.start())
        assert 0 <= rows.start < rows.stop <= plan.rows, f"rows {rows} are not within a batch of {plan.rows}"
        self._plan, self._stores, self._rows, self._workers = plan, stores, rows, workers
        self._decoder_start_id = decoder_start_id
        self._executor = ThreadPoolExecutor(workers, "flan-jax-loader") if workers else None
        self._batches = self._read_ahead(position) if workers else self._read_now(position)

    def __iter__(self) -> Iterator[tuple[Batch, Position]]:
        """Itself: batches come without end."""
        return self

    def __next__(self) -> tuple[Batch, Position]:
        """The next batch and the position after it."""
        return next(self._batches)

    def __enter__(self) -> Loader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stops the threads; batches that were read ahead are dropped."""
        self._batches.close()
        if self._executor:
            self._executor.shutdown(wait=True, cancel_futures=True)

    def _read_now(self, position: Position) -> Generator[tuple[Batch, Position], None, None]:
        for rows, after in self._schedule(position, self._plan.window):
            yield self._fill(rows), after

    def _read_ahead(self, position: Position) -> Generator[tuple[Batch, Position], None, None]:
        assert self._executor is not None, "reading ahead needs threads"
        waiting: deque[tuple[Future[Batch], Position]] = deque()
        for rows, after in self._schedule(position, _PlannedAhead(self._plan, self._executor)):
            waiting.append((self._executor.submit(self._fill, rows), after))
            if len(waiting) > self._workers * _BATCHES_AHEAD:
                filled, filled_after = waiting.popleft()
                yield filled.result(), filled_after

    def _schedule(
        self, position: Position, plan_window: Callable[[int, tuple[int, ...]], Window]
    ) -> Iterator[tuple[Rows, Position]]:
        """This host's rows of every batch from `position` on, and the position after it."""
        step, row, starts = position.step, position.row, position.stage_starts
        window = plan_window(position.window, starts)
        while True:
            parts = []
            filled = 0
            while filled < self._plan.rows:
                if row == window.num_rows:
                    starts = self._plan.stage_starts(window.number + 1, step, starts)
                    window = plan_window(window.number + 1, starts)
                    row = 0
                taken = min(window.num_rows - row, self._plan.rows - filled)
                parts.append(window.content.between(row, row + taken, at=filled))
                filled += taken
                row += taken
            step += 1
            after = dataclasses.replace(position, step=step, window=window.number, row=row, stage_starts=starts)
            yield Rows.joined(parts).between(self._rows.start, self._rows.stop), after

    def _fill(self, rows: Rows) -> Batch:
        num_rows = self._rows.stop - self._rows.start
        return fill_batch(self._plan, rows, self._stores, num_rows=num_rows, decoder_start_id=self._decoder_start_id)


class _PlannedAhead:
    """Plans a window while the one before it is read.

    The stages that will have begun are not known yet where one begins at that very boundary; the window is then
    planned when it is asked for.
    """

    def __init__(self, plan: Plan, executor: ThreadPoolExecutor):
        self._plan, self._executor = plan, executor
        self._ahead: tuple[int, tuple[int, ...]] | None = None
        self._planned: Future[Window] | None = None

    def __call__(self, number: int, stage_starts: tuple[int, ...]) -> Window:
        if self._planned is not None and self._ahead == (number, stage_starts):
            window = self._planned.result()
        else:
            window = self._plan.window(number, stage_starts)
        self._ahead = (number + 1, stage_starts)
        self._planned = self._executor.submit(self._plan.window, *self._ahead)
        return window
