"""What an example says by itself: its question and answers, without the wording of any template.

Prompts of training and evaluation share their templates, so a comparison of prompts would find nothing but shared
wording. Here the fields of an example are read anew from its source, and of them only those that were prepared:

    store ──example ids──┐
    source ──fields_of───┴─> question: fields of `TaskSpec.inputs`; turns of a conversation but the system's
                             answers: options of its own, accepted answers, fields of the target
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from flan_jax.data.spec.fields import Dropped, fields_of
from flan_jax.data.spec.task import ANSWER, MESSAGES, TOKEN_IDS, Fields, TaskSpec
from flan_jax.data.spec.template import OPTIONS
from flan_jax.data.store.store import Store
from flan_jax.errors import InputError

Decode = Callable[[Sequence[int]], str]

_READ_AT_ONCE = 4096  # records of the store


@dataclass(frozen=True, slots=True)
class Content:
    """What one example says.

    Attributes:
        example_id: its number in its split.
        question: the bare input.
        answers: accepted answers, and options that are the example's own; words that all examples of the task share as
            labels are not among them.
    """

    example_id: int
    question: str
    answers: tuple[str, ...]


def stored_examples(store: Store) -> np.ndarray:
    """The ids of the examples in a training store, each once; int64."""
    firsts = store.starts[:-1]
    ids = [
        record.example_id
        for begin in range(0, len(firsts), _READ_AT_ONCE)
        for record in store.read(firsts[begin : begin + _READ_AT_ONCE])
    ]
    return np.unique(np.array(ids, np.int64))


def asked_examples(questions: Path) -> np.ndarray:
    """The ids of the examples in an evaluation.jsonl, each once; int64."""
    lines = questions.read_bytes().splitlines()
    return np.unique(np.array([json.loads(line)["example_id"] for line in lines], np.int64))


def contents(spec: TaskSpec, split: str, example_ids: np.ndarray, *, decode: Decode) -> Iterator[Content]:
    """The content of some examples of a split, in the source's order.

    Args:
        spec: the task.
        split: of our own name, `train` or `validation`.
        example_ids: int64, rising; ids of the examples.
        decode: token ids → text, for examples that another pipeline made into ids.

    Raises:
        InputError: the source cannot be read here, or it has not all the examples that are wanted.
    """
    check_readable(spec)
    is_asked = np.zeros(int(example_ids[-1]) + 1 if len(example_ids) else 0, bool)
    is_asked[example_ids] = True
    question_fields = _question_fields(spec)
    num_read = 0
    for item in fields_of(spec, split):
        if isinstance(item, Dropped):
            continue
        example_id, fields = item
        if example_id >= len(is_asked):
            break
        if is_asked[example_id]:
            num_read += 1
            yield _content(spec, question_fields, example_id, fields, split, decode)
    if num_read != len(example_ids):
        raise InputError(
            f"task '{spec.name}', split '{split}': its source has {num_read} of the {len(example_ids)} examples in the "
            "token store; run 'flan-jax prepare CONFIG' on the records as they are now"
        )


def check_readable(spec: TaskSpec) -> None:
    """Refuses a task whose source is not here: a store can be copied without it, and holds no fields.

    Raises:
        InputError: the source cannot be opened.
    """
    try:
        spec.source.version  # noqa: B018 (asking for it opens the source)
    except InputError as e:
        raise InputError(
            f"task '{spec.name}': overlap is measured on the records themselves, which cannot be read "
            f"here ({e}); run this where the store was prepared, or name the records in data.sources"
        ) from e


def _question_fields(spec: TaskSpec) -> tuple[str, ...]:
    """The fields that make the question: of `inputs`, else of the first template that asks for the answer."""
    pattern = spec.inputs_pattern
    if not pattern.fields:
        straight = (
            prompt for template, (prompt, _) in zip(spec.templates, spec.patterns, strict=True) if not template.inverted
        )
        pattern = next(straight, pattern)
    asked = dict.fromkeys(pattern.fields)
    return tuple(name for name in asked if name not in (OPTIONS, ANSWER, spec.answer))


def _content(
    spec: TaskSpec, question_fields: tuple[str, ...], example_id: int, fields: Fields, split: str, decode: Decode
) -> Content:
    if TOKEN_IDS in fields:
        ids = fields[TOKEN_IDS]
        return Content(example_id, decode(ids.inputs), (decode(ids.targets),))
    if fields.get(MESSAGES) is not None:
        return _spoken(example_id, fields[MESSAGES])
    try:
        question = "\n".join(str(fields[name]) for name in question_fields)
    except KeyError as e:
        raise InputError(
            f"task '{spec.name}', split '{split}', example {example_id}: field {e} of 'inputs' is missing"
        ) from e
    answers = [text for name in _answer_fields(spec) for text in _texts(fields.get(name))]
    return Content(example_id, question, tuple(dict.fromkeys(answers)))


def _answer_fields(spec: TaskSpec) -> tuple[str, ...]:
    """The fields with what is answered, labels that the task gives all its examples left out."""
    has_labels = isinstance(spec.options, tuple)
    names = [name for name in spec.target_pattern.fields if name not in (ANSWER, spec.answer)]
    if isinstance(spec.options, str):
        names.append(spec.options)
    if not has_labels:
        names.append(spec.answer)
    return tuple(dict.fromkeys(names))


def _spoken(example_id: int, turns: Sequence[Mapping[str, Any]]) -> Content:
    """A conversation: its last turn is the answer; system turns are instructions that many conversations share."""
    asked = [turn["content"] for turn in turns[:-1] if turn["role"] != "system"]
    return Content(example_id, "\n".join(asked), (turns[-1]["content"],))


def _texts(value: Any) -> list[str]:
    if value is None:
        return []
    if isinstance(value, (str, int, float)):
        return [str(value)]
    return [str(item) for item in value]
