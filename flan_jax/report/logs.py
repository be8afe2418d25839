"""Metrics of a run on disk: one JSON object a step in `metrics.jsonl`, and TensorBoard event files.

Both can go on after a restart: what an earlier run wrote beyond the step it resumes from is cut off, so that a run that
was killed tells the same story as one that was not.
"""

from __future__ import annotations

import importlib
import json
import math
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from flan_jax.errors import InputError
from flan_jax.files.whole import new_file

METRICS = "metrics.jsonl"
EVENTS = "tensorboard"


class Reporter(Protocol):
    """Where metrics go."""

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        """Takes the metrics of one step; names are like train/loss."""
        ...

    def close(self) -> None:
        """Writes what is still held back."""
        ...


class JsonLines:
    """Metrics as lines of JSON: {"step": 10, "train/loss": 2.31, …}, each on disk when `log` returns."""

    def __init__(self, directory: str | Path, *, resume_step: int | None) -> None:
        """Opens the file and drops what is beyond the step to resume from.

        Args:
            directory: folder of the run, made when missing.
            resume_step: last step whose lines are kept; none: a new run, nothing is kept.

        Raises:
            InputError: the file cannot be read or written.
        """
        self._path = Path(directory) / METRICS
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            if self._path.exists():
                _keep_lines(self._path, resume_step)
            self._file = self._path.open("ab", buffering=0)
        except OSError as e:
            raise _cannot_write(self._path, e) from e

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        """Appends one line.

        Raises:
            InputError: the disk is full or the folder is gone.
        """
        numbers = {name: _jsonable(value) for name, value in metrics.items()}
        line = (json.dumps({"step": step, **numbers}) + "\n").encode()
        try:
            while line:  # a disk that is nearly full takes a part and refuses the rest
                line = line[self._file.write(line) :]
        except OSError as e:
            raise _cannot_write(self._path, e) from e

    def close(self) -> None:
        """Closes the file."""
        self._file.close()


class TensorBoard:
    """Metrics as TensorBoard scalars, each on disk when `log` returns.

    tensorboardX's own SummaryWriter hands events to another thread, which a kill loses and which hides a full disk; its
    writer of event files below that is used directly.
    """

    def __init__(self, directory: str | Path, *, resume_step: int | None) -> None:
        """Opens a new event file in the run's folder.

        Args:
            directory: folder of the run.
            resume_step: TensorBoard hides what earlier event files hold beyond this step; none: all of it.

        Raises:
            InputError: the folder cannot be written.
        """
        # imported late: brings protobuf, and a run may do without; by name, since protobuf makes its classes only then
        from tensorboardX.event_file_writer import EventsWriter

        self._events = importlib.import_module("tensorboardX.proto.event_pb2")
        self._summaries = importlib.import_module("tensorboardX.proto.summary_pb2")
        self._path = Path(directory) / EVENTS
        try:
            self._path.mkdir(parents=True, exist_ok=True)
            # the process id keeps a restart within the same second from the file of the run before
            self._writer = EventsWriter(str(self._path / "events"), f".{os.getpid()}")
            first = 0 if resume_step is None else resume_step + 1
            restart = self._events.SessionLog.SessionStatus.Value("START")
            self._write(step=first, session_log=self._events.SessionLog(status=restart))
        except OSError as e:
            raise _cannot_write(self._path, e) from e

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        """Adds one scalar a metric.

        Raises:
            InputError: the disk is full or the folder is gone.
        """
        summary = self._summaries.Summary
        values = [summary.Value(tag=name, simple_value=float(value)) for name, value in metrics.items()]
        try:
            self._write(step=step, summary=summary(value=values))
        except OSError as e:
            raise _cannot_write(self._path, e) from e

    def _write(self, **fields: Any) -> None:
        self._writer.write_event(self._events.Event(wall_time=time.time(), **fields))
        self._writer.flush()

    def close(self) -> None:
        """Closes the file."""
        self._writer.close()


class Reporters:
    """Several reporters as one."""

    def __init__(self, reporters: Sequence[Reporter]) -> None:
        self._reporters = tuple(reporters)

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        """Hands the metrics to each."""
        for reporter in self._reporters:
            reporter.log(step, metrics)

    def close(self) -> None:
        """Closes each."""
        for reporter in self._reporters:
            reporter.close()


def open_reporters(directory: str | Path, *, resume_step: int | None, tensorboard: bool) -> Reporters:
    """The reporters of a run: JSON lines always, TensorBoard where it is asked for.

    Args:
        directory: folder of the run.
        resume_step: last step that is kept of what an earlier run wrote; none: a new run, nothing is kept.
        tensorboard: whether to write event files.

    Raises:
        InputError: the folder cannot be written.
    """
    reporters: list[Reporter] = [JsonLines(directory, resume_step=resume_step)]
    if tensorboard:
        reporters.append(TensorBoard(directory, resume_step=resume_step))
    return Reporters(reporters)


def read_metrics(directory: str | Path) -> list[dict[str, float]]:
    """The lines of a run's metrics.jsonl; a last line that was torn by a kill is left out.

    Raises:
        InputError: the file cannot be read, or a line before the last is not valid.
    """
    path = Path(directory) / METRICS
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as e:
        raise InputError(f"metrics file '{path}': cannot be read ({e.strerror})") from e
    return [_read_line(line, path, number) for number, line in enumerate(lines[:-1], start=1)]


def _keep_lines(path: Path, last_step: int | None) -> None:
    """Rewrites the file with the lines up to a step, under a temporary name that then takes the file's."""
    kept = []
    if last_step is not None:
        lines = path.read_bytes().split(b"\n")[:-1]
        steps = [_read_line(line, path, number)["step"] for number, line in enumerate(lines, start=1)]
        kept = [line for line, step in zip(lines, steps, strict=True) if step <= last_step]
    with new_file(path) as temporary:
        temporary.write_bytes(b"".join(line + b"\n" for line in kept))


def _read_line(line: bytes, path: Path, number: int) -> dict[str, float]:
    try:
        metrics = json.loads(line)
        if not isinstance(metrics, dict) or not isinstance(metrics["step"], int):
            raise ValueError("not an object with an integer 'step'")
    except (ValueError, KeyError) as e:
        raise InputError(
            f"metrics file '{path}' line {number}: not valid ({e}); mend or remove the line, or move the file away"
        ) from e
    return metrics


def _jsonable(value: float) -> float | str:
    """JSON has no NaN or infinity; they are written as text, which float() reads back."""
    number = float(value)
    return number if math.isfinite(number) else str(number)


def _cannot_write(path: Path, error: OSError) -> InputError:
    return InputError(f"'{path}': cannot be written ({error.strerror}); free space, or choose another run.dir")
