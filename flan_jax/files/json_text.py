"""JSON of data from elsewhere: whatever is wrong with it is told in a sentence, with its line."""

from __future__ import annotations

import json
from typing import Any

from flan_jax.errors import InputError

_SHOWN_CHARACTERS = 60


def parse_json(data: bytes, where: str, remedy: str, *, is_first: bool = True) -> Any:
    """The value of a JSON text in UTF-8.

    Args:
        data: the text.
        where: opens the error sentence.
        remedy: ends it.
        is_first: whether a byte-order mark may open it: it is a file, or a file's first line.

    Raises:
        InputError: it is no UTF-8 or no JSON, or is nested deeper or has longer numbers than Python reads.
    """
    try:
        return json.loads(data.decode("utf-8-sig" if is_first else "utf-8"))
    except UnicodeDecodeError as e:
        raise InputError(f"{where}: is no UTF-8 text ({e.reason} at byte {e.start}); save the file as UTF-8") from e
    except json.JSONDecodeError as e:
        lines = e.doc.splitlines() or [""]
        at = f" line {e.lineno}" if len(lines) > 1 else ""
        start = lines[min(e.lineno, len(lines)) - 1][:_SHOWN_CHARACTERS].rstrip()
        raise InputError(f"{where}{at}: no valid JSON ({e.msg} at column {e.colno}), found {start!r}; {remedy}") from e
    except RecursionError as e:
        raise InputError(f"{where}: lists or objects are nested too deep to be read; {remedy}") from e
    except ValueError as e:  # an integer of more digits than Python turns into a number
        raise InputError(f"{where}: holds a number that is too long ({str(e).partition(';')[0]}); {remedy}") from e
