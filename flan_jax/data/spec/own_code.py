"""Code of the user's own (a module's import, a map, a generator) and what it says when it fails: one sentence."""

from __future__ import annotations

import contextlib
import sys
import tempfile
import traceback
from collections.abc import Iterator
from pathlib import Path

from flan_jax.errors import InputError

_OURS = str(Path(__file__).parents[2])  # the package: the user's own line is outside of it, or in its tasks
_TASKS = str(Path(_OURS, "tasks"))


class OwnCodeError(InputError):
    """The user's code raised; what was finished before is still good."""


@contextlib.contextmanager
def own_code(where: str) -> Iterator[None]:
    """Turns whatever the user's code raises, `sys.exit` too, into one sentence; the traceback goes into a file.

    Args:
        where: opens the sentence: the module, or the task with the record.

    Raises:
        OwnCodeError: the code raised; names its line and the file with the traceback.
    """
    try:
        yield
    except InputError:
        raise
    except (Exception, SystemExit) as e:
        raise OwnCodeError(f"{where}: {_told(e)}; the traceback is in {_written(e)}") from e


def _told(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if not frame.filename.startswith(_OURS) or frame.filename.startswith(_TASKS)]
    own = [frame for frame in own if not frame.filename.startswith((sys.base_prefix, sys.prefix, "<frozen"))] or own
    at = f" at {own[-1].filename} line {own[-1].lineno}" if own else ""
    what = " ".join(str(error).split()) or "no message"
    return f"{type(error).__name__}{at} ({what[:200]})"


def _written(error: BaseException) -> str:
    with tempfile.NamedTemporaryFile(
        "w", prefix="flan-jax-traceback-", suffix=".txt", delete=False, encoding="utf-8"
    ) as file:
        file.write("".join(traceback.format_exception(error)))
    return file.name
