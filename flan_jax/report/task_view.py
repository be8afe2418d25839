"""A task as it is shown: its facts, and its templates filled in with one example, as plain values.

records on this machine, else the task's sample ──► fields ──► every template, the other modes, a two-shot prompt
                                                                  └─ cut into pieces: wording, field, options
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from flan_jax.config import DataConfig
from flan_jax.data.render.example import Example
from flan_jax.data.render.examples import renderer_for
from flan_jax.data.render.options import STYLES
from flan_jax.data.render.renderer import Renderer
from flan_jax.data.render.shots import Shots, any_shots
from flan_jax.data.sources.held_back import first_records
from flan_jax.data.spec.fields import is_whole, record_fields
from flan_jax.data.spec.schema import Labels, Skip
from flan_jax.data.spec.task import ANSWER, Fields, TaskSpec
from flan_jax.data.spec.template import OPTIONS, Pattern

Kind = Literal["wording", "field", "options", "answer", "cut"]
Count = Callable[[Sequence[str]], list[int]]  # tokens of each text

NUM_SHOTS = 2
_RECORDS_READ = 50  # of a local source, to find the few that are shown
_EXAMPLES = 1 + NUM_SHOTS
_LONGEST_PIECE = 1200  # characters; a longer one is shown by its ends
_SHOWN_END = 300


@dataclass(frozen=True)
class Piece:
    """A stretch of a text: wording of the template, a field's value, options, the right one of them, or a cut.

    Attributes:
        text: its characters; of a cut what it says of itself.
        kind: what it is.
        field: the field whose value it is.
    """

    text: str
    kind: Kind = "wording"
    field: str = ""


@dataclass(frozen=True)
class RenderingView:
    """One rendering of an example.

    Attributes:
        title: which template, or in which way.
        turns: (role, pieces) of what is read before the target; examples before the question have the role `examples`.
        target: the desired output.
        is_inverted: whether the input is asked from the output.
        num_tokens: of what is read, and of the target; none: no tokenizer was given.
    """

    title: str
    turns: tuple[tuple[str, tuple[Piece, ...]], ...]
    target: tuple[Piece, ...]
    is_inverted: bool = False
    num_tokens: tuple[int, int] | None = None


@dataclass(frozen=True)
class TaskView:
    """A task with what is shown of it.

    Attributes:
        spec: the task.
        facts: (label, text) of source, splits, licence and the like.
        origin: where the example is from.
        templates: every template, filled in; with its placeholders where there is no example.
        ways: the example in the other modes and with the options in other ways.
        few_shot: the first template with examples before it; none: the task has no template.
    """

    spec: TaskSpec
    facts: tuple[tuple[str, str], ...]
    origin: str
    templates: tuple[RenderingView, ...]
    ways: tuple[RenderingView, ...] = ()
    few_shot: RenderingView | None = None


def task_view(spec: TaskSpec, *, count: Count | None = None) -> TaskView:
    """What is shown of a task.

    Args:
        spec: the task.
        count: counts tokens; none: they are not shown.

    Raises:
        InputError: its source can be read here, and a record is not of its form.
    """
    origin, examples = shown_examples(spec)
    if not examples:
        return TaskView(spec, _facts(spec), origin, tuple(_unfilled(spec)))
    viewer = _Viewer(spec, examples, count)
    if is_whole(examples[0]):
        return TaskView(spec, _facts(spec), origin, viewer.conversations())
    return TaskView(spec, _facts(spec), origin, viewer.templates(), viewer.ways(), viewer.few_shot())


def shown_examples(spec: TaskSpec) -> tuple[str, list[Fields]]:
    """Where the examples that are shown are from, and their fields.

    Raises:
        InputError: the task's source can be read here, and a record is not of its form.
    """
    examples: list[Fields] = []
    for number, record in enumerate(first_records(spec, _RECORDS_READ)):
        examples += [
            fields for fields in record_fields(spec, record, example_id=number) if not isinstance(fields, Skip)
        ]
        if len(examples) >= _EXAMPLES:
            break
    if examples:
        return f"a record of {spec.source.name}", examples[:_EXAMPLES]
    if spec.sample is None:
        return "its source cannot be read here and it has no sample: templates as they are written", []
    fields = [fields for fields in record_fields(spec, spec.sample) if not isinstance(fields, Skip)]
    return "a made-up example in the data set's form", fields[:_EXAMPLES]


def _facts(spec: TaskSpec) -> tuple[tuple[str, str], ...]:
    schema = (f"{path}: {' | '.join(kind) if isinstance(kind, Labels) else kind}" for path, kind in spec.schema.items())
    splits = (ours if ours == theirs else f"{ours} (there: {theirs})" for ours, theirs in spec.splits.items())
    facts = {
        "data set": spec.dataset_name,
        "source": spec.source.name,
        "splits": ", ".join(splits),
        "metrics": ", ".join(spec.metrics),
        "answer read by": spec.answer_pattern or "",
        "licence": spec.license,
        "citation": spec.citation,
        "fields read": "; ".join(schema),
    }
    return tuple((label, text) for label, text in facts.items() if text)


def _unfilled(spec: TaskSpec) -> Iterator[RenderingView]:
    """The templates with their placeholders."""
    for number, (template, patterns) in enumerate(zip(spec.templates, spec.patterns, strict=True)):
        prompt, target = (tuple(_placeholders(pattern)) for pattern in patterns)
        yield RenderingView(f"template {number}", (("user", prompt),), target, template.inverted)


def _placeholders(pattern: Pattern) -> Iterator[Piece]:
    for text, name in pattern.pieces:
        yield Piece(text)
        if name:
            yield Piece(f"{{{name}}}", "field", name)


class _Viewer:
    """The renderings of one task's first example."""

    def __init__(self, spec: TaskSpec, examples: Sequence[Fields], count: Count | None):
        self._spec, self._fields, self._count = spec, examples[0], count
        self._others = [fields for fields in examples[1:] if not is_whole(fields)]

    def conversations(self) -> tuple[RenderingView, ...]:
        """The turns of an example that is a conversation."""
        renderer = renderer_for(self._spec, DataConfig())
        [example] = renderer.render_all(self._fields, example_id=0)
        if not example.messages:  # ids of another pipeline
            return ()
        turns = tuple((turn.role, _shortened([Piece(turn.content, "field")])) for turn in example.messages[:-1])
        target = _shortened([Piece(example.target)])
        return (RenderingView("conversation", turns, target, num_tokens=self._tokens(example)),)

    def templates(self) -> tuple[RenderingView, ...]:
        """The example in every template."""
        renderer = renderer_for(self._spec, DataConfig())
        examples = renderer.render_all(self._fields, example_id=0)
        return tuple(self._view(renderer, example, f"template {example.template_id}") for example in examples)

    def ways(self) -> tuple[RenderingView, ...]:
        """The example in the modes without a template, and the first template with its options in other ways."""
        views = []
        for mode in ("name", "none"):
            renderer = renderer_for(self._spec, DataConfig(template_mode=mode))
            if renderer.phrasings:
                [example] = renderer.render_all(self._fields, example_id=0)
                views.append(self._view(renderer, example, f"mode {mode}"))
        if self._spec.options is not None and self._spec.templates:
            ways = [(f"options in {style}", DataConfig(option_style=style)) for style in STYLES if style != "dash"]
            for title, data in [*ways, ("options hidden", DataConfig(options="hidden"))]:
                renderer = renderer_for(self._spec, data)
                views.append(self._view(renderer, self._straight(renderer), title))
        return tuple(views)

    def few_shot(self) -> RenderingView | None:
        """The first template that is not inverted, with examples before it."""
        if not self._spec.templates:
            return None
        renderer = renderer_for(self._spec, DataConfig())
        alone = self._straight(renderer)
        shown = self._straight(renderer, any_shots(self._others or [self._fields], NUM_SHOTS))
        before = shown.messages[0].content.removesuffix(alone.messages[0].content)
        title = f"template {alone.template_id} with {shown.shots} examples before it"
        view = self._view(renderer, alone, title if self._others else f"{title} (here the same record each time)")
        turns = (("examples", _shortened([Piece(before)])), *view.turns)
        return replace(view, turns=turns, num_tokens=self._tokens(shown))

    def _straight(self, renderer: Renderer, shots: Shots | None = None) -> Example:
        place = next(place for place, phrasing in enumerate(renderer.phrasings) if not phrasing.inverted)
        return list(renderer.render_all(self._fields, example_id=0, shots=shots))[place]

    def _view(self, renderer: Renderer, example: Example, title: str) -> RenderingView:
        phrasing = next(one for one in renderer.phrasings if one.template_id == example.template_id)
        answer = _first_answer(self._fields.get(self._spec.answer))
        values = {**self._fields, ANSWER: answer, self._spec.answer: answer}
        prompt = example.messages[0].content
        # an example without options of its own is asked without them
        patterns = (phrasing.prompt, phrasing.prompt.without_options())
        pieces = next((cut for pattern in patterns if (cut := _pieces(pattern, prompt, values))), [Piece(prompt)])
        return RenderingView(
            title,
            (("user", _shortened(pieces)),),
            _shortened([Piece(example.target)]),
            phrasing.inverted,
            self._tokens(example),
        )

    def _tokens(self, example: Example) -> tuple[int, int] | None:
        if self._count is None:
            return None
        *read, target = self._count([turn.content for turn in example.messages])
        return sum(read), target


def _first_answer(value: Any) -> str:
    return str(value[0]) if isinstance(value, (list, tuple)) and value else str(value)


def _pieces(pattern: Pattern, text: str, values: Mapping[str, Any]) -> list[Piece]:
    """A filled-in text cut where its fields are; empty where it was not made from this pattern and these values."""
    expression = "".join(
        re.escape(literal)
        + ("" if name is None else "(.*?)" if name == OPTIONS else f"({re.escape(str(values[name]))})")
        for literal, name in pattern.pieces
    )
    match = re.fullmatch(expression, text, re.DOTALL)
    if match is None:
        return []
    pieces = []
    inserted = iter(match.groups())
    for literal, name in pattern.pieces:
        pieces.append(Piece(literal))
        if name == OPTIONS:
            pieces += _options(next(inserted), values[ANSWER])
        elif name:
            pieces.append(Piece(next(inserted), "field", name))
    return [piece for piece in pieces if piece.text]


def _options(block: str, answer: str) -> list[Piece]:
    """The block of options with the line of the right one told apart."""
    line = re.search(rf"(?m)^(?:-|\(?\w{{1,3}}[.)]) {re.escape(answer)}$", block)
    if line is None:
        return [Piece(block, "options")]
    start, end = line.span()
    return [Piece(block[:start], "options"), Piece(block[start:end], "answer"), Piece(block[end:], "options")]


def _shortened(pieces: Sequence[Piece]) -> tuple[Piece, ...]:
    """The pieces, with the middle of long ones cut out."""
    shown = []
    for piece in pieces:
        rest = len(piece.text) - _LONGEST_PIECE
        if rest <= 0:
            shown.append(piece)
            continue
        head, tail = piece.text[: _LONGEST_PIECE - _SHOWN_END], piece.text[-_SHOWN_END:]
        cut = Piece(f" … {rest:,} more characters … ", "cut")
        shown += [replace(piece, text=head), cut, replace(piece, text=tail)]
    return tuple(shown)
