"""From the records of a source to the fields that templates are filled with.

    record ──schema: kinds checked, labels to names──> map ──> label words ──> fields
              └─ hidden label: Dropped            └─ None, Skip: Dropped

What is left out comes out as `Dropped` with its reason; what is wrong is refused with task, split, example and field.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

from flan_jax.data.spec.own_code import own_code
from flan_jax.data.spec.schema import Skip, read_record
from flan_jax.data.spec.task import ANSWER, MESSAGES, TOKEN_IDS, Fields, TaskSpec
from flan_jax.data.spec.template import OPTIONS, FieldError
from flan_jax.errors import InputError

SKIPPED = "skipped by the task's map"


@dataclass(frozen=True, slots=True)
class Dropped:
    """An example that is left out, and why."""

    reason: str
    example_id: int


def fields_of(spec: TaskSpec, split: str) -> Iterator[tuple[int, Fields] | Dropped]:
    """(example id, fields) of every example of a split, after the task's map; the first is held against the templates.

    Raises:
        InputError: the task has no such split, the split is empty, a template has an unknown field, or a record is not
            of the task's schema.
    """
    if split not in spec.splits:
        known = ", ".join(repr(name) for name in spec.splits)
        raise InputError(f"task '{spec.name}': no split '{split}'; it has {known}")
    example_id = 0
    kept = 0
    for record in spec.source.records(spec.splits[split]):
        for fields in record_fields(spec, record, example_id=example_id, split=split):
            if isinstance(fields, Skip):
                yield Dropped(fields.reason, example_id)
            else:
                if not kept:
                    check_fields(spec, fields)
                kept += 1
                yield example_id, fields
            example_id += 1
    if not kept:
        what = f"all {example_id} records were skipped by its map" if example_id else "is empty"
        raise InputError(f"task '{spec.name}', split '{split}': {what}; source {spec.source.name}; give it examples")


def record_fields(
    spec: TaskSpec, record: Mapping[str, Any], *, example_id: int = 0, split: str = "train"
) -> list[Fields | Skip]:
    """The fields of each example in one record, or why it is left out; at least one entry.

    Raises:
        InputError: the record is not of the task's schema, or its map asks for a field that is not there.
    """
    where = f"task '{spec.name}', split '{split}', example {example_id}"
    try:
        read = read_record(spec.schema, record) if spec.schema else record
    except FieldError as e:
        raise InputError(f"{where}: {e}; the record has {_listed(record)}") from e
    if isinstance(read, Skip):
        return [read]
    with own_code(f"{where}: its map fails"):
        try:
            mapped = _mapped(spec, read)
        except KeyError as e:
            if e.args and e.args[0] not in read:  # else the key is one of the map's own tables
                listed = _listed(record)
                raise InputError(f"{where}: its map asks for {e}, which is not there; the record has {listed}") from e
            raise
    if not spec.label_words:
        return mapped
    return [fields if isinstance(fields, Skip) else _worded(spec, fields, where) for fields in mapped]


def is_usable(spec: TaskSpec, record: Mapping[str, Any]) -> bool:
    """Whether a record gives an example; one that is malformed counts: it is told where it is rendered."""
    try:
        return not all(isinstance(fields, Skip) for fields in record_fields(spec, record))
    except InputError:
        return True


def _mapped(spec: TaskSpec, record: Mapping[str, Any]) -> list[Fields | Skip]:
    if spec.map is None:
        return [record]
    mapped = spec.map(record)
    if mapped is None:
        return [Skip(SKIPPED)]
    if isinstance(mapped, (Mapping, Skip)):
        return [cast(Fields | Skip, mapped)]
    return list(mapped) or [Skip(SKIPPED)]


def _worded(spec: TaskSpec, fields: Fields, where: str) -> Fields:
    """The fields with the label's words in the place of its name."""
    label = fields.get(spec.answer)
    if not isinstance(label, str) or label not in spec.label_words:
        known = ", ".join(repr(name) for name in spec.label_words)
        raise InputError(f"{where}: field '{spec.answer}' holds the label {label!r}; the task has words for {known}")
    return {**fields, spec.answer: spec.label_words[label]}


def _listed(record: Mapping[str, Any]) -> str:
    return ", ".join(f"'{name}'" for name in record) or "no fields"


def check_fields(spec: TaskSpec, fields: Fields) -> None:
    """Holds every template of a task against the fields of a record.

    Raises:
        InputError: a template names a field that the record has not.
    """
    if is_whole(fields):
        return
    known = {*fields, ANSWER, OPTIONS}
    texts = [(f"template {number}", pair) for number, pair in enumerate(spec.patterns)]
    texts += [("inputs", (spec.inputs_pattern,)), ("target", (spec.target_pattern,))]
    for where, patterns in texts:
        for name in itertools.chain.from_iterable(pattern.fields for pattern in patterns):
            if name not in known:
                listed = ", ".join(f"'{field}'" for field in fields)
                raise InputError(f"task '{spec.name}', {where}: unknown field '{name}'; the records have {listed}")


def is_whole(fields: Fields) -> bool:
    """Whether templates are not applied: the fields hold a conversation, or ids of another pipeline."""
    return fields.get(MESSAGES) is not None or TOKEN_IDS in fields
