"""Puts one example into words: template, options and target, with every choice keyed.

No choice depends on the order of reading, the host or the process: the template follows from (render seed, task,
example id) and the rendering's number, the order of options and the choice among accepted answers from all four.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flan_jax.config import OptionStyle, TemplateMode
from flan_jax.data.render.example import NO_TEMPLATE, Example
from flan_jax.data.render.options import STYLES, option_marks, options_block
from flan_jax.data.render.shots import Shots
from flan_jax.data.spec.fields import is_whole
from flan_jax.data.spec.task import ANSWER, MESSAGES, TOKEN_IDS, Fields, TaskSpec
from flan_jax.data.spec.template import OPTIONS, FieldError, Pattern, described, is_number, literal
from flan_jax.errors import InputError
from flan_jax.keyed import bits, shuffled, walk
from flan_jax.text.conversation import Message

RENDER_VERSION = 1  # raised when the same task and settings would give other text; part of a store's fingerprint
ROLES = ("system", "user", "assistant")


@dataclass(frozen=True)
class Phrasing:
    """A template ready to be filled."""

    template_id: int
    prompt: Pattern
    target: Pattern
    inverted: bool
    answer_separator: str | None = None
    shot_separator: str | None = None


@dataclass(frozen=True)
class Filled:
    """A template filled in with one example.

    Attributes:
        prompt: what is asked.
        target: the desired output.
        options: target text of every option in the order shown.
        place: place of the answer in `options`.
        references: accepted targets.
    """

    prompt: str
    target: str
    options: tuple[str, ...]
    place: int | None
    references: tuple[str, ...]


class Renderer:
    """Renders the examples of one task in one way; made once, called for every example."""

    def __init__(
        self, spec: TaskSpec, *, mode: TemplateMode, options_shown: bool, option_style: OptionStyle, seed: int
    ):
        """Prepares the task's templates.

        Args:
            spec: the task.
            mode: instruction: a template; name: data-set name and input; none: the input alone.
            options_shown: whether the prompt lists the answer options.
            option_style: how they are marked, `varied`: in one of the ways, keyed by the example; with letters and
                numbers that are shown, the mark is the answer.
            seed: of template choice, option order and choice among accepted answers.
        """
        self.spec = spec
        self._shown = options_shown and spec.options is not None
        self._style: OptionStyle = option_style if self._shown else "dash"
        self._seed = seed
        self.phrasings = self._phrasings(mode)
        self._straight = tuple(phrasing for phrasing in self.phrasings if not phrasing.inverted)

    def _phrasings(self, mode: TemplateMode) -> tuple[Phrasing, ...]:
        spec = self.spec
        if mode == "instruction":
            pairs = enumerate(zip(spec.templates, spec.patterns, strict=True))
            return tuple(
                Phrasing(
                    number,
                    self._with_options(prompt, template.inverted),
                    target,
                    template.inverted,
                    template.answer_separator,
                    template.shot_separator,
                )
                for number, (template, (prompt, target)) in pairs
            )
        if not spec.inputs:
            return ()
        prefix = f"[{spec.dataset_name or spec.name}] " if mode == "name" else ""
        prompt = self._with_options(literal(prefix) + spec.inputs_pattern, False)
        return (Phrasing(NO_TEMPLATE, prompt, spec.target_pattern, False),)

    def _with_options(self, prompt: Pattern, inverted: bool) -> Pattern:
        if self.spec.options is None:
            return prompt
        if not self._shown:
            return prompt.without_options()
        return prompt if inverted else prompt.with_options()

    def render(
        self,
        fields: Fields,
        *,
        example_id: int,
        rendering: int,
        evaluation: bool = False,
        split: str = "train",
        shots: Shots | None = None,
    ) -> Example:
        """One rendering of one example, with examples before it where `shots` is given.

        Renderings of an example use different templates while there are enough of them. With `evaluation`, inverted
        templates are left out and the first accepted answer is the target.

        Raises:
            InputError: a field is missing or is no text, the answer is none of the options, or a turn is malformed.
        """
        key = f"{self._seed}\x1f{self.spec.name}\x1f{example_id}"
        try:
            if is_whole(fields):
                return self._whole(fields, example_id, rendering)
            phrasings = self._straight if evaluation else self.phrasings
            if not phrasings:
                raise FieldError("", "the task has no template for this mode, and the example is no conversation")
            phrasing = phrasings[walk(len(phrasings), key, rendering)]
            return self._example(phrasing, fields, key, example_id, rendering, evaluation, split, shots)
        except FieldError as e:
            raise self._refusal(e, fields, example_id, split) from e

    def render_all(
        self, fields: Fields, *, example_id: int, split: str = "train", shots: Shots | None = None
    ) -> Iterator[Example]:
        """The example in every template, in order; once where it is a conversation."""
        if is_whole(fields) or not self.phrasings:
            yield self.render(fields, example_id=example_id, rendering=0, split=split)
            return
        key = f"{self._seed}\x1f{self.spec.name}\x1f{example_id}"
        for phrasing in self.phrasings:
            try:
                yield self._example(phrasing, fields, key, example_id, 0, True, split, shots)
            except FieldError as e:
                raise self._refusal(e, fields, example_id, split) from e

    def _refusal(self, error: FieldError, fields: Fields, example_id: int, split: str) -> InputError:
        known = ", ".join(f"'{name}'" for name in fields)
        return InputError(
            f"task '{self.spec.name}', split '{split}', example {example_id}: {error}; its fields are {known or 'none'}"
        )

    def _example(
        self,
        phrasing: Phrasing,
        fields: Fields,
        key: str,
        example_id: int,
        rendering: int,
        evaluation: bool,
        split: str,
        shots: Shots | None,
    ) -> Example:
        key = f"{key}\x1f{rendering}"
        style = self._style_of(key)
        filled = self._fill(phrasing, fields, key, style, varied=not evaluation)
        before, number = "", 0
        if shots is not None:
            before, number = shots.before(
                filled.prompt,
                filled.options or (filled.target,),
                fields,
                key=key,
                own_id=example_id if split == "train" else None,
                form=(phrasing.template_id, style),
                render=lambda shot_id, shot_fields: self._shot(phrasing, style, shot_id, shot_fields),
            )
        turns = (Message("user", before + filled.prompt), Message("assistant", filled.target))
        return Example(
            self.spec.name,
            example_id,
            rendering,
            phrasing.template_id,
            turns,
            filled.options,
            filled.place,
            filled.references,
            shots=number,
        )

    def _style_of(self, key: str) -> OptionStyle:
        return STYLES[bits(f"{key}\x1fstyle") % len(STYLES)] if self._style == "varied" else self._style

    def _shot(self, phrasing: Phrasing, style: OptionStyle, example_id: int, fields: Fields) -> str:
        """An example as it stands before a question in this phrasing; the same before all of them."""
        key = f"{self._seed}\x1f{self.spec.name}\x1f{example_id}\x1fshot {phrasing.template_id}"
        try:
            filled = self._fill(phrasing, fields, key, style, varied=False)
        except FieldError as e:
            raise self._refusal(e, fields, example_id, "train") from e
        between, after = phrasing.answer_separator, phrasing.shot_separator
        if between is None:
            # right below the options, the answer would read like one of them
            between = " " if filled.prompt.endswith(":") else "\n\n" if phrasing.prompt.ends_with_options else "\n"
        if after is None:
            after = "\n\n\n" if between == "\n\n" else "\n\n"
        return f"{filled.prompt}{between}{filled.target}{after}"

    def bare(self, fields: Fields) -> str:
        """The input of an example by itself, or its first prompt where the task states none."""
        if self.spec.inputs:
            return self.spec.inputs_pattern.fill(fields)
        return self._straight[0].prompt.without_options().fill(fields) if self._straight else ""

    def _fill(self, phrasing: Phrasing, fields: Fields, key: str, style: OptionStyle, *, varied: bool) -> Filled:
        spec = self.spec
        values = dict(fields)
        accepted = _texts(fields, spec.answer)
        is_drawn = varied and len(accepted) > 1 and spec.trains_on == "any"
        chosen = bits(f"{key}\x1fanswer") % len(accepted) if is_drawn else 0
        values[ANSWER] = values[spec.answer] = accepted[chosen]
        options: tuple[str, ...] = ()
        if spec.options is not None:
            options = self._options(fields, key)
            values[OPTIONS] = options_block(options, style)
        asked = phrasing.prompt if options or spec.options is None else phrasing.prompt.without_options()
        prompt = asked.fill(values)
        if phrasing.inverted:
            target = phrasing.target.fill(values)
            return Filled(prompt, target, (), None, (target,))
        if not options:
            targets = [self._target(phrasing.target, values, text) for text in accepted]
            return Filled(prompt, targets[chosen], (), None, _unique(targets))
        places = [_place(options, text, spec.answer) for text in accepted]
        marks = options if style == "dash" else option_marks(len(options), style)
        targets = tuple(self._target(phrasing.target, values, mark) for mark in marks)
        references = _unique(targets[p] for p in places)
        # a chain of thought belongs to its own answer: it makes no sense before the other options
        ranked, place = ((), None) if spec.reasoning else (targets, places[chosen])
        return Filled(prompt, targets[places[chosen]], ranked, place, references)

    def _options(self, fields: Fields, key: str) -> tuple[str, ...]:
        """The options, in keyed order where they are shown; none where the example's field for them is None."""
        listed = self.spec.options
        if isinstance(listed, str) and fields.get(listed, ()) is None:
            return ()
        texts = listed if isinstance(listed, tuple) else tuple(_texts(fields, str(listed)))
        return shuffled(texts, f"{key}\x1foptions") if self._shown else texts

    def _target(self, pattern: Pattern, values: dict[str, Any], answer: str) -> str:
        values[ANSWER] = values[self.spec.answer] = answer
        return pattern.fill(values)

    def _whole(self, fields: Fields, example_id: int, rendering: int) -> Example:
        if TOKEN_IDS in fields:
            ids = fields[TOKEN_IDS]
            return Example(self.spec.name, example_id, rendering, NO_TEMPLATE, (), token_ids=ids)
        messages = tuple(_message(turn, number) for number, turn in enumerate(fields[MESSAGES]))
        if not messages:
            raise FieldError(MESSAGES, "field 'messages' holds no turn")
        return Example(self.spec.name, example_id, rendering, NO_TEMPLATE, messages, references=(messages[-1].content,))


def _message(turn: Any, number: int) -> Message:
    role, content = (turn.get("role"), turn.get("content")) if isinstance(turn, Mapping) else (None, None)
    if role not in ROLES or not isinstance(content, str):
        content_type = f"role {role!r} and content of type {type(content).__name__}"
        raise FieldError(
            MESSAGES,
            f"turn {number} of field 'messages' has {content_type}; it needs a role of {', '.join(ROLES)} and text",
        )
    return Message(role, content)


def _texts(fields: Fields, name: str) -> Sequence[str]:
    """The texts of a field that holds one or a list of them."""
    value = fields.get(name)
    if type(value) is str:
        return (value,)
    if isinstance(value, str) or is_number(value):
        return (str(value),)
    if not isinstance(value, Iterable) or isinstance(value, (bytes, Mapping)):
        state = "is missing" if value is None else f"holds {described(value)}, not text or a list of texts"
        raise FieldError(name, f"field '{name}' {state}")
    items = list(value)
    if not items:
        raise FieldError(name, f"field '{name}' is an empty list")
    for item in items:
        if not isinstance(item, str) and not is_number(item):
            raise FieldError(name, f"field '{name}' lists {described(item)}, not text")
    return [str(item) for item in items]


def _place(options: Sequence[str], answer: str, name: str) -> int:
    if answer not in options:
        listed = ", ".join(repr(option) for option in options)
        raise FieldError(name, f"answer {answer!r} is none of the options {listed}")
    return options.index(answer)


def _unique(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(texts))
