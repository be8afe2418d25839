"""Templates: text with `{field}` placeholders, parsed once into a pattern that is filled millions of times.

A placeholder is a plain field name; `{{` and `}}` are literal braces. Values are inserted as they are and never parsed,
so braces in data are safe. `{options}` stands for the block of answer options: it is put at the end where a template of
a task with options does not place it, and taken out, with the white space before it, where options are hidden.
"""

from __future__ import annotations

import functools
import math
import numbers
import string
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flan_jax.errors import InputError

OPTIONS = "options"


@dataclass(frozen=True)
class Template:
    """One way to put an example into words.

    Attributes:
        prompt: what is asked.
        target: what is to be answered; none: the task's own target.
        inverted: the task is turned around (the input is asked from the output); never used for evaluation.
        answer_separator: what stands between prompt and answer of an example that is shown before (few-shot); none: a
            blank after a colon, an empty line after the list of options, else a line break.
        shot_separator: what stands after each of those examples; none: an empty line, two where one stands before the
            answer.
    """

    prompt: str
    target: str | None = None
    inverted: bool = False
    answer_separator: str | None = None
    shot_separator: str | None = None


class FieldError(LookupError):
    """What is wrong with a field of one example; the renderer adds task, split and example."""

    def __init__(self, field: str, problem: str):
        super().__init__(problem)
        self.field = field


def is_number(value: Any) -> bool:
    """Whether a value is a number that can stand in a text: not true or false, not NaN or infinite."""
    return isinstance(value, numbers.Real) and not isinstance(value, bool) and math.isfinite(value)


def described(value: Any) -> str:
    """What a value is, in a few words for a sentence."""
    if value is None or isinstance(value, (bool, float)):
        return "nothing" if value is None else str(value).lower()
    return f"a {type(value).__name__}"


@dataclass(frozen=True)
class Pattern:
    """A parsed template text: (literal text, field after it) pairs, the field None at the end of the text."""

    pieces: tuple[tuple[str, str | None], ...]

    @functools.cached_property
    def fields(self) -> tuple[str, ...]:
        """The fields in the order of their places; one that is used twice stands twice."""
        return tuple(name for _, name in self.pieces if name)

    @functools.cached_property
    def _percent(self) -> str:
        # Filling through % is one call in C: four times as fast as joining the pieces
        return "".join(text.replace("%", "%%") + ("%s" if name else "") for text, name in self.pieces)

    def fill(self, values: Mapping[str, Any]) -> str:
        """The text with every field replaced by its value.

        Raises:
            FieldError: a field is missing, None, or neither text nor a number.
        """
        try:
            in_order = tuple([values[name] for name in self.fields])
        except KeyError as e:
            name = str(e.args[0])
            raise FieldError(name, f"a template needs field '{name}', which is missing") from e
        for name, value in zip(self.fields, in_order, strict=True):
            if type(value) is not str and not is_number(value):
                raise FieldError(name, f"field '{name}' holds {described(value)}; a template needs text or a number")
        return self._percent % in_order

    @property
    def ends_with_options(self) -> bool:
        """Whether `{options}` stands last."""
        *_, (text, name) = self.pieces
        return name == OPTIONS or (name is None and not text.strip() and self.fields[-1:] == (OPTIONS,))

    def __add__(self, other: Pattern) -> Pattern:
        return Pattern(_merge([*self.pieces, *other.pieces]))

    def with_options(self) -> Pattern:
        """The pattern with `{options}` at its end, where it is not in it already."""
        if OPTIONS in self.fields:
            return self
        return Pattern(_merge([*self.pieces, ("\n\n", OPTIONS)]))

    def without_options(self) -> Pattern:
        """The pattern without `{options}` and the white space before it."""
        return Pattern(
            _merge([(text.rstrip(), None) if name == OPTIONS else (text, name) for text, name in self.pieces])
        )


def literal(text: str) -> Pattern:
    """The pattern of a text without placeholders; its braces are only braces."""
    return Pattern(((text, None),))


def parse(text: str, where: str) -> Pattern:
    """The pattern of a template text; `where` opens the error sentence.

    Raises:
        InputError: a brace is left open or a placeholder is no plain field name.
    """
    pieces: list[tuple[str, str | None]] = []
    try:
        for literal, name, format_spec, conversion in string.Formatter().parse(text):
            if name is not None and (not name.isidentifier() or format_spec or conversion):
                raise InputError(
                    f"{where}: placeholder '{{{name}}}' is no plain field name; write {{field}}, or double the braces "
                    "for literal ones"
                )
            pieces.append((literal, name))
    except ValueError as e:
        if isinstance(e, InputError):
            raise
        raise InputError(f"{where}: {e} in {text!r}; double a brace that is meant literally") from e
    return Pattern(_merge(pieces))


def _merge(pieces: list[tuple[str, str | None]]) -> tuple[tuple[str, str | None], ...]:
    """Joins literals that no field separates (escaped braces split them)."""
    merged: list[tuple[str, str | None]] = []
    for literal, name in pieces:
        if merged and merged[-1][1] is None:
            literal = merged.pop()[0] + literal
        merged.append((literal, name))
    return tuple(merged)
