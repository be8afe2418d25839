"""Batches of this host's rows, read and assembled ahead of the step in background threads.

The plan says which record stands where; a batch is filled from the records of the host's rows alone. Nothing here
depends on how many hosts there are: the union of their rows is the same batch.
"""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Generator, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol

import numpy as np
from jaxtyping import Int64

from flan_jax.data.plan import Plan, Window
from flan_jax.data.position import Position
from flan_jax.data.record import PairRecord, Record, TokenRecord
from flan_jax.errors import InputError

Batch = dict[str, np.ndarray]
_BATCHES_AHEAD = 4  # a worker: enough to ride out the planning of a window


class RecordReader(Protocol):
    """What loading needs of a task's prepared records (a `Store` has it)."""

    def read(self, indices: np.ndarray, /) -> Sequence[Record]:
        """The records at `indices`, in their order."""
        ...


def fill_batch(
    plan: Plan,
    window: Window,
    batch: int,
    stores: Mapping[str, RecordReader],
    *,
    rows: slice,
    decoder_start_id: int,
) -> Batch:
    """Rows `rows` of one batch of a window.

    Args:
        plan: the plan the window belongs to.
        window: the planned window.
        batch: place in the window.
        stores: records of every task of the plan.
        rows: rows of the batch that this host holds.
        decoder_start_id: token before the first target (encoder-decoder only).

    Returns:
        Decoder [B, T]: inputs, targets, segments, positions, tasks int32, weights float32. Encoder-decoder:
        encoder_inputs, encoder_segments [B, S]; decoder_inputs, targets, decoder_segments, tasks, weights [B, T].
        Segments count from 1, 0 is padding; tasks index plan.tasks, −1 is padding; other padding is 0.

    Raises:
        InputError: a record is damaged or has another length than planned.
    """
    first_row = batch * plan.rows + rows.start
    num_rows = rows.stop - rows.start
    examples = slice(int(window.row_bounds[first_row]), int(window.row_bounds[first_row + num_rows]))
    records = _read(plan, window, examples, stores)
    sides = [
        _Side.of(window, examples, side, capacity, num_rows=num_rows, first_row=first_row)
        for side, capacity in enumerate(plan.capacities)
    ]
    if len(sides) == 1:
        return _decoder_batch(sides[0], [record for record in records if isinstance(record, TokenRecord)])
    pairs = [record for record in records if isinstance(record, PairRecord)]
    return _encoder_decoder_batch(sides[0], sides[1], pairs, decoder_start_id)


@dataclasses.dataclass(frozen=True)
class _Side:
    """Where the examples of a batch stand on one side of its rows."""

    shape: tuple[int, int]
    lengths: Int64[np.ndarray, "m"]
    flat: Int64[np.ndarray, "p"]  # place in the flattened [rows, capacity] of every position of every example
    within: Int64[np.ndarray, "p"]  # its position within the example
    segments: np.ndarray
    tasks: np.ndarray

    @classmethod
    def of(cls, window: Window, examples: slice, side: int, capacity: int, *, num_rows: int, first_row: int) -> _Side:
        lengths = window.lengths[examples, side].astype(np.int64)
        within = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        begins = (window.rows[examples] - first_row) * capacity + window.offsets[examples, side]
        return cls(
            shape=(num_rows, capacity),
            lengths=lengths,
            flat=np.repeat(begins, lengths) + within,
            within=within,
            segments=np.repeat(window.segments[examples], lengths),
            tasks=np.repeat(window.tasks[examples], lengths),
        )

    def place(self, values: np.ndarray, dtype: type[np.generic] = np.int32, padding: int = 0) -> np.ndarray:
        """[rows, capacity] with `values` (one a position) where the examples stand."""
        array = np.full(self.shape, padding, dtype)
        array.reshape(-1)[self.flat] = values
        return array


def _decoder_batch(side: _Side, records: Sequence[TokenRecord]) -> Batch:
    return {
        "inputs": side.place(_joined([record.tokens[:-1] for record in records])),
        "targets": side.place(_joined([record.tokens[1:] for record in records])),
        "weights": side.place(_joined([record.weights[1:] for record in records]), np.float32),
        "segments": side.place(side.segments),
        "positions": side.place(side.within),
        "tasks": side.place(side.tasks, padding=-1),
    }


def _encoder_decoder_batch(
    input_side: _Side, target_side: _Side, records: Sequence[PairRecord], decoder_start_id: int
) -> Batch:
    targets = _joined([record.targets for record in records])
    # Teacher forcing within each segment: the token before, and the start token before the first.
    before = np.where(target_side.within == 0, decoder_start_id, np.roll(targets, 1))
    return {
        "encoder_inputs": input_side.place(_joined([record.inputs for record in records])),
        "encoder_segments": input_side.place(input_side.segments),
        "decoder_inputs": target_side.place(before),
        "targets": target_side.place(targets),
        "weights": target_side.place(np.ones(len(targets)), np.float32),
        "decoder_segments": target_side.place(target_side.segments),
        "tasks": target_side.place(target_side.tasks, padding=-1),
    }


def _joined(arrays: Sequence[np.ndarray]) -> np.ndarray:
    return np.concatenate(arrays) if arrays else np.empty(0, np.int32)


def _read(plan: Plan, window: Window, examples: slice, stores: Mapping[str, RecordReader]) -> list[Record]:
    tasks, wanted, lengths = window.tasks[examples], window.records[examples], window.lengths[examples]
    records: dict[int, Record] = {}
    for task in np.unique(tasks).tolist():
        places = np.flatnonzero(tasks == task)
        found = stores[plan.tasks[task]].read(wanted[places])
        for place, record in zip(places.tolist(), found, strict=True):
            if record.packed_lengths != tuple(lengths[place].tolist()):
                raise InputError(
                    f"task '{plan.tasks[task]}': record {wanted[place]} has lengths {record.packed_lengths}, planned "
                    f"were {tuple(lengths[place].tolist())}; run 'flan-jax prepare CONFIG' again"
                )
            records[place] = record
    return [records[place] for place in range(len(tasks))]


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

    def _fill(self, window: Window, batch: int) -> Batch:
        return fill_batch(
            self._plan, window, batch, self._stores, rows=self._rows, decoder_start_id=self._decoder_start_id
        )

    def _read_now(self, position: Position) -> Generator[tuple[Batch, Position], None, None]:
        while True:
            window = self._plan.window(position.window, position.stage_starts)
            for batch in range(position.batch, window.num_batches):
                position = self._plan.after(position, window)
                yield self._fill(window, batch), position

    def _read_ahead(self, position: Position) -> Generator[tuple[Batch, Position], None, None]:
        assert self._executor is not None
        waiting: deque[tuple[Future[Batch], Position]] = deque()
        planned = self._executor.submit(self._plan.window, position.window, position.stage_starts)
        while True:
            # Batches that are on their way come before a window still in planning, and before its error.
            while waiting and (not planned.done() or planned.exception()):
                filled, filled_position = waiting.popleft()
                yield filled.result(), filled_position
            window = planned.result()
            last = dataclasses.replace(
                position, step=position.step + window.num_batches - 1 - position.batch, batch=window.num_batches - 1
            )
            after = self._plan.after(last, window)
            planned = self._executor.submit(self._plan.window, after.window, after.stage_starts)
            for batch in range(position.batch, window.num_batches):
                position = self._plan.after(position, window)
                waiting.append((self._executor.submit(self._fill, window, batch), position))
                if len(waiting) > self._workers * _BATCHES_AHEAD:
                    filled, filled_position = waiting.popleft()
                    yield filled.result(), filled_position
