"""A bar for long work on a terminal, plain lines elsewhere: both say how far, how fast, and how long still."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskProgressColumn, TextColumn

# Seconds between plain lines: a log of an hour stays under a page.
LINE_INTERVAL_S = 20.0


class ProgressReport:
    """Progress of one piece of work, as a context manager; `advance` may be called as often as one likes."""

    def __init__(
        self,
        description: str,
        total: int,
        *,
        console: Console,
        done: int = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Starts at `done` of `total`.

        Args:
            description: what is done, e.g. "train".
            total: units of the whole work.
            console: where to show it; a bar where it is a terminal.
            done: units that an earlier run did; they do not count for the speed.
            clock: seconds.
        """
        self._description, self._total, self._done, self._first = description, total, done, done
        self._console, self._clock = console, clock
        self._started = self._last_line = clock()
        self._facts = ""
        self._bar: Progress | None = None
        if console.is_terminal:
            columns = (
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TaskProgressColumn(),
                TextColumn("{task.fields[facts]}"),
            )
            self._bar = Progress(*columns, console=console)
            self._task = self._bar.add_task(description, total=total, completed=done, facts="")

    def __enter__(self) -> ProgressReport:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
        elif self._done > self._first:
            self._print_line()

    def advance(self, units: int = 1, facts: Mapping[str, float] | None = None) -> None:
        """Counts finished units.

        Args:
            units: how many more are done.
            facts: numbers to show beside, e.g. loss and tokens/s; none: those of before.
        """
        self._done += units
        if facts is not None:
            self._facts = "  ".join(f"{name} {_number(value)}" for name, value in facts.items())
        shown = "  ".join(filter(None, (self._facts, self._time_left())))
        if self._bar is not None:
            self._bar.update(self._task, completed=self._done, facts=shown)
        elif self._clock() - self._last_line >= LINE_INTERVAL_S and self._done < self._total:
            self._print_line()

    def _print_line(self) -> None:
        self._last_line = self._clock()
        parts = [f"{self._description} {self._done:,}/{self._total:,}", self._facts, self._time_left()]
        self._console.print("  ".join(filter(None, parts)), markup=False, highlight=False, soft_wrap=True)

    def _time_left(self) -> str:
        elapsed, done = self._clock() - self._started, self._done - self._first
        if done <= 0:
            return ""
        if self._done >= self._total:
            return f"took {duration(elapsed)}"
        return f"{duration(elapsed / done * (self._total - self._done))} left"


def duration(seconds: float) -> str:
    """Seconds as a person says them: 8 s, 3 min 20 s, 2 h 05 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
