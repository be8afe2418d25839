"""The one exception for bad input, and the exit codes of every command.

Rooms raise `InputError` at their edge, before anything is compiled or written; the command line prints it as one
sentence and exits with `EXIT_BAD_INPUT`. Anything else that escapes is a defect of ours and keeps its traceback.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

EXIT_DONE = 0
EXIT_DEFECT = 1
EXIT_BAD_INPUT = 2
EXIT_NOT_FINITE = 3  # the loss became NaN or infinite; the last good checkpoint is kept
EXIT_STOPPED = 75  # SIGTERM or SIGINT: a checkpoint was saved, the same command goes on (EX_TEMPFAIL of sysexits.h)


class InputError(ValueError):
    """Bad input, told in one sentence: what, where, what was found, what is allowed, what to do."""


class NotFiniteError(ArithmeticError):
    """The training loss became NaN or infinite; the message names the steps and the last good checkpoint."""


class StoppedError(RuntimeError):
    """The run was asked to stop (SIGTERM, SIGINT) and has saved its state; the message names the step."""


def did_you_mean(name: str, known: Iterable[str], otherwise: str) -> str:
    """The hint beside a name that nobody has: the nearest ones that exist, or what to do `otherwise`."""
    near = difflib.get_close_matches(name, list(known), 3, 0.5)
    return f"did you mean {' or '.join(map(repr, near))}?" if near else otherwise


def unknown(kind: str, name: str, known: Iterable[str]) -> InputError:
    """The error for a name that nobody has, with the nearest ones that exist."""
    return InputError(f"unknown {kind} '{name}'; {did_you_mean(name, known, 'see `flan-jax tasks list`')}")
