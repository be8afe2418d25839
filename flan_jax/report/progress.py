"""How far long work is: a protocol that it reports to, and who shows it on a terminal, in a log, or not at all.

    with display("train", 300, done=100) as advance:
        advance(10, "loss 2.31")

Work knows only `Display` and `Advance`; whoever starts it says where it is shown. A `Display` of one's own is one
function with `contextlib.contextmanager`.
"""

from __future__ import annotations

import contextlib
import functools
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Literal, Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

# Seconds between plain lines: a log of an hour stays under a page.
LINE_INTERVAL_S = 20.0

Say = Callable[[str], None]


class Advance(Protocol):
    """Takes in how much more of a piece of work is done."""

    def __call__(self, units: int = 1, note: str | None = None, /) -> None:
        """Counts `units` more; `note` is shown beside them from now on, such as loss and speed."""
        ...


class Display(Protocol):
    """Shows pieces of work, each while it lasts."""

    def __call__(
        self, what: str, total: int, /, *, done: int = 0, passing: bool = False
    ) -> AbstractContextManager[Advance]:
        """Begins to show a piece of work.

        Args:
            what: what is done, e.g. "train".
            total: units of the whole work.
            done: units that an earlier run did; they do not count for the speed.
            passing: nothing stays of it when it has ended: its result says more.
        """
        ...


@contextlib.contextmanager
def hidden(what: str, total: int, /, *, done: int = 0, passing: bool = False) -> Iterator[Advance]:
    """Shows nothing."""

    def advance(units: int = 1, note: str | None = None, /) -> None:
        """Shows nothing."""

    yield advance


def silent(sentence: str) -> None:
    """Says nothing."""


def on_console(console: Console) -> Display:
    """Shows bars on a terminal, lines now and then elsewhere."""
    return functools.partial(ProgressReport, console=console)


def chosen_display(progress: Display | Literal["auto"] | None) -> Display:
    """The display that is meant: "auto" is bars on a terminal and in a notebook, else nothing; none is nothing."""
    if progress != "auto":
        return progress or hidden
    console = Console(stderr=True)  # what a script prints stays by itself
    if console.is_jupyter:
        from flan_jax.report.notebook import NotebookReport  # late: few are in one

        return NotebookReport
    return on_console(console) if console.is_terminal else hidden


class ProgressReport:
    """Progress of one piece of work: an `Advance`, while it is entered."""

    def __init__(
        self,
        what: str,
        total: int,
        /,
        *,
        console: Console,
        done: int = 0,
        passing: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Starts at `done` of `total`.

        Args:
            what: what is done, e.g. "train".
            total: units of the whole work.
            console: where to show it; a bar where it is a terminal.
            done: units that an earlier run did; they do not count for the speed.
            passing: nothing stays of it when it has ended.
            clock: seconds.
        """
        self._what, self._total, self._done, self._first = what, total, done, done
        self._console, self._passing, self._clock = console, passing, clock
        self._started = self._last_line = clock()
        self._note = ""
        self._bar: Progress | None = None
        if console.is_terminal:
            # a passing bar counts parts of unequal size, which tell no time that is left
            columns = (
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                *(() if passing else (TaskProgressColumn(),)),
                TextColumn("{task.fields[note]}", markup=False),
                *((TimeElapsedColumn(),) if passing else ()),
            )
            self._bar = Progress(*columns, console=console, transient=passing)
            self._task = self._bar.add_task(what, total=total, completed=done, note="")

    def __enter__(self) -> ProgressReport:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
        elif self._done > self._first and not self._passing:
            self._print_line()

    def __call__(self, units: int = 1, note: str | None = None, /) -> None:
        """Counts finished units.

        Args:
            units: how many more are done.
            note: what to show beside, e.g. loss and tokens/s; none: that of before.
        """
        self._done += units
        self._note = self._note if note is None else note
        if self._bar is not None:
            self._bar.update(self._task, completed=self._done, note=self._beside())
        elif self._clock() - self._last_line >= LINE_INTERVAL_S and self._done < self._total:
            self._print_line()

    def _print_line(self) -> None:
        self._last_line = self._clock()
        line = "  ".join(filter(None, (f"{self._what} {self._done:,}/{self._total:,}", self._beside())))
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)

    def _beside(self) -> str:
        return "  ".join(filter(None, (self._note, "" if self._passing else self._time_left())))

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


def named_numbers(numbers: Mapping[str, float]) -> str:
    """Numbers with their names, as a note: loss 2.31  tokens/s 12,346."""
    return "  ".join(f"{name} {_number(value)}" for name, value in numbers.items())


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
