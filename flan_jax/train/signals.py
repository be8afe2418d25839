"""SIGTERM and SIGINT as a question the loop asks between steps, answered alike by all processes."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class StopSignals:
    """While open, the first SIGTERM or SIGINT is only noted; a second one acts as it did before.

    Handlers can be set from the main thread alone; opened in another, it notes nothing.
    """

    def __init__(self) -> None:
        self.received: signal.Signals | None = None
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> StopSignals:
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._note) for number in SIGNALS}
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._restore()

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.received = signal.Signals(number)
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}


class StopVote:
    """Lets all processes leave at the same step, though a signal reaches each at another moment, or one alone.

    Each step, every process puts its own answer on its devices and their sum is dispatched behind the step; it is read
    with the step's metrics, so that nobody waits for it.
    """

    def __init__(self, mesh: Mesh):
        self._sharding = NamedSharding(mesh, PartitionSpec(mesh.axis_names))
        self._sum = jax.jit(lambda votes: votes.sum(), out_shardings=NamedSharding(mesh, PartitionSpec()))
        self._size = mesh.size

    def cast(self, wants_to_stop: bool) -> jax.Array | bool:
        """This process's answer in, the number of devices whose process wants to stop out (not waited for)."""
        if jax.process_count() == 1:
            return wants_to_stop
        vote = np.full(1, wants_to_stop, np.int32)
        votes = jax.make_array_from_callback((self._size,), self._sharding, lambda _: vote)
        return self._sum(votes)
