"""Answer options as text, in the styles a prompt may list them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

from flan_jax.config import OptionStyle

STYLES: tuple[OptionStyle, ...] = tuple(style for style in get_args(OptionStyle) if style != "varied")


def option_marks(count: int, style: OptionStyle) -> tuple[str, ...]:
    """What stands before each option: A, B, … (AA after Z), (A), (B), …, 1, 2, …, or a dash."""
    if style == "letters":
        return tuple(_letters(place) for place in range(count))
    if style == "parentheses":
        return tuple(f"({_letters(place)})" for place in range(count))
    return tuple(str(place + 1) for place in range(count)) if style == "numbers" else ("-",) * count


def options_block(options: Sequence[str], style: OptionStyle) -> str:
    """The options as lines under `OPTIONS:`; with a dash the form of FLAN (arXiv 2109.01652, section 2.2)."""
    stop = "." if style in ("letters", "numbers") else ""
    lines = (f"{mark}{stop} {option}" for mark, option in zip(option_marks(len(options), style), options, strict=True))
    return "OPTIONS:\n" + "\n".join(lines)


def _letters(place: int) -> str:
    text = ""
    place += 1
    while place:
        place, letter = divmod(place - 1, 26)
        text = chr(ord("A") + letter) + text
    return text
