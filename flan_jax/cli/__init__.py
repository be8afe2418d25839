"""The commands. The only room that wires the others together; each command's rooms are imported when it runs.

`app` holds the command line itself and imports nothing heavy, so that `flan-jax --help` answers at once.
"""

from __future__ import annotations

import sys

from flan_jax import errors


def main() -> None:
    """Run the command line; the exit codes are those of `flan_jax.errors`."""
    from flan_jax.cli.app import app

    try:
        app()  # leaves by SystemExit, with code 2 where an argument is wrong
    except errors.InputError as e:
        _leave(e, errors.EXIT_BAD_INPUT)
    except errors.NotFiniteError as e:
        _leave(e, errors.EXIT_NOT_FINITE)
    except errors.StoppedError as e:
        _leave(e, errors.EXIT_STOPPED)


def _leave(error: Exception, code: int) -> None:
    print(f"error: {error}", file=sys.stderr)
    sys.exit(code)
