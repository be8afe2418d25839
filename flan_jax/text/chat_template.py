"""Chat templates: Jinja text from a tokenizer, rendered as transformers renders it.

A template comes with a checkpoint and is code of strangers, so it runs in Jinja's immutable sandbox. `{% generation %}`
blocks mark what the assistant says; where they stand in the rendered text is returned beside it.

transformers' own `render_jinja_template` does not serve, for three reasons: it counts a block's place in a macro or in
captured text (`{% set %}`) from the wrong beginning, so that the loss would lie beside the answer; it gives templates
today's date and takes no other; and every process that renders would have to import transformers. Tests hold the text
equal to what it renders.

Source: `_compile_jinja_template` in transformers/utils/chat_template_utils.py, 5.24.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Mapping, Sequence
from typing import Any

import jinja2
from jinja2 import nodes
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

from flan_jax.errors import InputError
from flan_jax.text.conversation import Message

# Unicode keeps these two for a program's own use, so no message holds them; they are taken out again after rendering
_BEGIN, _END = "\ufdd0", "\ufdd1"

# Templates may ask for today's date. The same data must give the same tokens tomorrow, so they always get this one,
# which Llama 3.1's template itself takes when it is given none.
_TODAY = datetime.datetime(2024, 7, 26)


class _GenerationBlock(Extension):
    """`{% generation %} … {% endgeneration %}`, bracketed by the two marks."""

    tags = {"generation"}  # noqa: RUF012 - the base class declares it so

    def parse(self, parser: Parser) -> nodes.Node:
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.CallBlock(self.call_method("_bracket"), [], [], body).set_lineno(line)

    def _bracket(self, caller: Any) -> str:
        return f"{_BEGIN}{caller()}{_END}"


class _Namespace(jinja2.utils.Namespace):
    """Jinja's namespace without names that could reach Python's own."""

    def __init__(self, /, *args: Any, **kwargs: Any):
        values = dict(*args, **kwargs)
        for name in values:
            _refuse_private(name)
        super().__init__(values)

    def __setitem__(self, name: str, value: Any) -> None:
        _refuse_private(name)
        super().__setitem__(name, value)


def _refuse_private(name: str) -> None:
    if name.startswith("_"):
        raise jinja2.exceptions.SecurityError(f"a namespace holds no names with an underscore in front, as {name!r}")


def _raise_exception(message: str) -> None:
    raise jinja2.TemplateError(message)


def _to_json(
    value: Any, ensure_ascii: bool = False, indent: Any = None, separators: Any = None, sort_keys: bool = False
) -> str:
    # Jinja's own filter escapes HTML characters, which a model should see as they are
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


class ChatTemplate:
    """A compiled chat template."""

    def __init__(self, text: str, special: Mapping[str, str], name: str):
        """Compiles the template.

        Args:
            text: Jinja source.
            special: Special tokens the template may name (`bos_token`, `eos_token` …).
            name: Where it came from, for error text.

        Raises:
            InputError: the text is no valid template.
        """
        self.name = name
        self._text = text
        self._special = dict(special)
        environment = ImmutableSandboxedEnvironment(
            trim_blocks=True, lstrip_blocks=True, extensions=[_GenerationBlock, loopcontrols]
        )
        environment.filters["tojson"] = _to_json
        environment.globals["raise_exception"] = _raise_exception
        environment.globals["strftime_now"] = _TODAY.strftime
        environment.globals["namespace"] = _Namespace
        try:
            self._template = environment.from_string(text)
        except jinja2.TemplateError as e:
            raise InputError(f"chat template of '{name}': is no valid Jinja template ({e}); correct it") from e

    def __reduce__(self) -> tuple[type[ChatTemplate], tuple[str, Mapping[str, str], str]]:
        """Pickles as what it is made from: a compiled template does not travel to another process."""
        return ChatTemplate, (self._text, self._special, self.name)

    def render(self, messages: Sequence[Message], *, add_generation_prompt: bool) -> tuple[str, list[tuple[int, int]]]:
        """The rendered text, and the half-open character spans of its `{% generation %}` blocks.

        Raises:
            InputError: the template refuses these messages or fails on them.
        """
        for message in messages:
            if _BEGIN in message.content or _END in message.content:
                raise InputError(
                    f"chat template of '{self.name}': a message holds U+FDD0 or U+FDD1, which Unicode keeps for "
                    "internal use and no text may hold; take them out"
                )
        turns = [{"role": message.role, "content": message.content} for message in messages]
        try:
            marked = self._template.render(
                messages=turns,
                tools=None,
                documents=None,
                add_generation_prompt=add_generation_prompt,
                **self._special,
            )
        except (jinja2.TemplateError, TypeError, ValueError, KeyError, IndexError, AttributeError) as e:
            raise InputError(
                f"chat template of '{self.name}': does not take a conversation of "
                f"{', '.join(message.role for message in messages)} ({e})"
            ) from e
        return _take_marks_out(marked)


def _take_marks_out(marked: str) -> tuple[str, list[tuple[int, int]]]:
    """The text without marks, and the spans between them; marks may be nested, the outermost pair counts."""
    parts: list[str] = []
    spans: list[tuple[int, int]] = []
    depth = length = begin = place = 0
    while place < len(marked):
        ends = [where for mark in (_BEGIN, _END) if (where := marked.find(mark, place)) >= 0]
        where = min(ends, default=len(marked))
        parts.append(marked[place:where])
        length += where - place
        place = where + 1
        if where == len(marked):
            break
        if marked[where] == _BEGIN:
            begin = length if depth == 0 else begin
            depth += 1
        else:
            depth -= 1
            if depth == 0:
                spans.append((begin, length))
    return "".join(parts), spans
