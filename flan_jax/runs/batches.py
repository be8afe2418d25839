"""Packed batches for any trainer, as numpy arrays with masks and the position after them. Without JAX."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from flan_jax.config import Config
from flan_jax.data.plan.loader import Batch, Loader
from flan_jax.data.plan.position import Position
from flan_jax.errors import InputError
from flan_jax.report.progress import Say, silent
from flan_jax.runs.data import RunData, ShownBy


class Batches:
    """Packed batches of a config as numpy arrays, one after another without end, for a trainer of one's own.

    They are the batches that `flan-jax train` sees: tasks in their shares, examples packed into rows. Use it in a
    `with` block, or call `close`: threads read ahead (`data.workers`; 0 for none).

    A decoder's batch has arrays of [rows, length]: `inputs`, `targets` (the next token of each), `segments` (1 for the
    first example of a row, then 2 …; 0 is padding), `positions` (within the example), `tasks` (index into the
    attribute of that name, −1 is padding), all int32, and `weights` (of the loss, 0 where there is none), float32. An
    encoder–decoder's has `encoder_inputs` and `encoder_segments` of [rows, input length], and `decoder_inputs`,
    `decoder_segments`, `targets`, `tasks` and `weights` of [rows, target length]; attention stays within the segment
    of one number, on both sides. It has no `positions`: relative ones are within a segment anyway.

    Attributes:
        data: what they are made from, with its config, tokenizer, store and plan.
        tasks: names of the tasks, as batches count them.
    """

    def __init__(
        self,
        config: str | Path | Config | RunData,
        *,
        position: Mapping[str, Any] | None = None,
        process: tuple[int, int] = (0, 1),
        say: Say = silent,
        progress: ShownBy = "auto",
        **settings: Any,
    ):
        """Opens the store, which is built first where it is not there.

        Args:
            config: as of `RunData`; or a `RunData` or `Run`, which has say, progress and settings of its own.
            position: go on after the batch that had it (`Batches.position`); none: from the start.
            process: (i, n): the rows of the i-th of n processes, from 0, in equal parts. All of them together are the
                batch of one process, and a position is the same for all.
            say: as of `RunData`.
            progress: as of `RunData`.
            settings: settings that differ from the file's, by dotted name: `**{"batch.rows": 32}`.

        Raises:
            InputError: no such config, a setting is refused, the data cannot be prepared, `process` does not divide
                the rows, or the position is of other data.
        """
        if isinstance(config, RunData):
            if settings:
                raise InputError(f"setting '{next(iter(settings))}': a run has its settings already; give it there")
            self.data = config
        else:
            self.data = RunData(config, say=say, progress=progress, **settings)
        plan = self.data.plan
        self.tasks = plan.tasks
        self._position = plan.start() if position is None else Position.from_dict(position)
        self._loader = Loader(
            plan,
            self.data.prepared.train,
            rows=_rows_of(process, plan.rows),
            position=self._position,
            workers=self.data.config.data.workers,
            decoder_start_id=self.data.text.model.architecture.decoder_start_token_id,
        )

    @property
    def position(self) -> dict[str, Any]:
        """Where the next batch is, as a few plain JSON values; save it beside the weights."""
        return self._position.to_dict()

    @functools.cached_property
    def batches_per_epoch(self) -> int:
        """Batches until as many examples were drawn as the tasks have, by the rates at the start.

        Tasks are drawn by their rates, so that one may be in its third epoch where another is in its first; `shares()`
        of `data` has the epochs of each.
        """
        report = self.data.shares()
        num_examples = sum(share.num_examples for share in report.tasks)
        return -(-num_examples * report.num_batches // report.num_examples)

    def __iter__(self) -> Iterator[Batch]:
        """Itself: a second loop goes on where the first one was left."""
        return self

    def __next__(self) -> Batch:
        """The next batch; `position` is then the one after it."""
        batch, self._position = next(self._loader)
        return batch

    def __enter__(self) -> Batches:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the threads that read ahead."""
        self._loader.close()


def _rows_of(process: tuple[int, int], num_rows: int) -> slice:
    index, count = process
    if not 0 <= index < count:
        raise InputError(f"process {process}: must be (i, n), the i-th of n processes counted from 0")
    if num_rows % count:
        raise InputError(
            f"process {process}: batches of {num_rows} rows do not divide over {count} processes; set batch.rows to a "
            f"multiple of {count}"
        )
    part = num_rows // count
    return slice(index * part, (index + 1) * part)
