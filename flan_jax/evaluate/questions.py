"""What is asked of a model: the questions of each task, read from the store and checked before anything compiles."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flan_jax.errors import InputError


@dataclass(frozen=True)
class EvaluationItem:
    """One question of one task, as text and as ids.

    Attributes:
        task: name of the task.
        example_id: number of the example in its split.
        template_id: number of the template; −1 for the template modes name and none.
        prompt: what the model is asked, as text.
        prompt_ids: the same as ids, up to where the answer begins (encoder-decoder: the whole encoder input).
        options: texts of the answer options in the order shown; empty where there are none.
        option_ids: ids of each option as an answer, with its end-of-turn or end-of-sequence token.
        answer_index: which option is right; None without options.
        references: accepted answers.
    """

    task: str
    example_id: int
    template_id: int
    prompt: str
    prompt_ids: tuple[int, ...]
    options: tuple[str, ...]
    option_ids: tuple[tuple[int, ...], ...]
    answer_index: int | None
    references: tuple[str, ...]


def read_items(path: str | Path, task: str, *, most: int | None) -> tuple[EvaluationItem, ...]:
    """The questions in an evaluation.jsonl of the store.

    Args:
        path: the file; one JSON object a line.
        task: name of the task the file belongs to.
        most: largest number of questions; they are taken at even distances, since files may be sorted. None: all.

    Raises:
        InputError: the file cannot be read, or a line is no JSON object with the fields of a question.
    """
    path = Path(path)
    try:
        lines = path.read_bytes().splitlines()  # bytes: str.splitlines also cuts at separators inside JSON strings
    except OSError as e:
        raise InputError(f"evaluation file '{path}': cannot be read ({e.strerror}); prepare the store again") from e
    chosen = range(len(lines))
    if most is not None and most < len(lines):
        chosen = [index * len(lines) // most for index in range(most)]
    return tuple(_parse_line(lines[index], task, f"evaluation file '{path}' line {index + 1}") for index in chosen)


def _parse_line(line: bytes, task: str, where: str) -> EvaluationItem:
    try:
        fields = json.loads(line)
    except ValueError as e:
        raise InputError(f"{where}: not valid JSON ({e}); prepare the store again") from e
    try:
        item = _item(fields, task)
    except (KeyError, TypeError, ValueError) as e:
        raise InputError(
            f"{where}: not an evaluation example ({type(e).__name__}: {e}); prepare the store again"
        ) from e
    if not item.prompt_ids or any(not ids for ids in item.option_ids):
        raise InputError(f"{where}: prompt and options must have at least one token each; prepare the store again")
    if len(item.options) != len(item.option_ids):
        raise InputError(
            f"{where}: {len(item.options)} option texts, {len(item.option_ids)} lists of ids; prepare the store again"
        )
    return item


def _item(fields: Mapping[str, Any], task: str) -> EvaluationItem:
    answer_index = fields["answer_index"]
    return EvaluationItem(
        task=task,
        example_id=int(fields["example_id"]),
        template_id=int(fields["template_id"]),
        prompt=str(fields["prompt"]),
        prompt_ids=_ids(fields["prompt_ids"]),
        options=tuple(map(str, fields["options"])),
        option_ids=tuple(_ids(ids) for ids in fields["option_ids"]),
        answer_index=None if answer_index is None else int(answer_index),
        references=tuple(map(str, fields["references"])),
    )


def _ids(values: Sequence[Any]) -> tuple[int, ...]:
    return tuple(int(value) for value in values)
