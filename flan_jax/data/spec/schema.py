"""What a task reads of its data set's records: field → kind, checked on every record before anything is written.

Data sets drift: fields are renamed, labels are added or change their order. A task states the fields it reads in the
form in which the data set publishes them, and a record that differs is refused with the field's name. Class labels come
as numbers from TFDS and the hub, and as names or numbers from people's own files; everything after this file sees their
names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flan_jax.data.spec.template import FieldError

KINDS = ("text", "number", "int", "flag", "texts", "ints", "list")
HIDDEN_LABEL = -1  # test splits whose labels are not published carry it

_NEEDED = {
    "text": "text",
    "number": "a number",
    "int": "a whole number",
    "flag": "true or false",
    "texts": "a list of texts",
    "ints": "a list of whole numbers",
    "list": "a list",
}
_FLAGS = {"true": True, "false": False, "1": True, "0": False}


class Labels(tuple[str, ...]):
    """The kind of a class label: its names, in the order of the numbers that stand for them."""

    __slots__ = ()

    def __new__(cls, *names: str) -> Labels:
        """The label kind with these names; at least two, all different."""
        assert len(names) > 1, f"labels {names} must be at least two"
        assert len(set(names)) == len(names), f"labels {names} must be different"
        return super().__new__(cls, names)

    def __getnewargs__(self) -> tuple[str, ...]:
        return tuple(self)


Kind = str | Labels
Schema = Mapping[str, Kind]


@dataclass(frozen=True)
class Skip:
    """What a task's map gives for a record that is left out: counted under its reason.

    Attributes:
        reason: a few words, the same for all records left out for it.
    """

    reason: str


NO_LABEL = Skip("label that is not published")


def read_record(schema: Schema, record: Mapping[str, Any]) -> Mapping[str, Any] | Skip:
    """The record with its labels as names and numbers as numbers, or why it is left out.

    Args:
        schema: field → kind; a dot leads into a nested field.
        record: as the source gives it.

    Raises:
        FieldError: a field is missing, is of another kind, or holds a label that is not known.
    """
    result: dict[str, Any] | None = None
    for path, kind in schema.items():
        value = _find(record, path)
        read = _labelled(path, kind, value) if isinstance(kind, Labels) else _typed(path, kind, value)
        if read is None:
            return NO_LABEL
        if read is not value:
            result = dict(record) if result is None else result
            _put(result, path, read)
    return record if result is None else result


def _find(record: Mapping[str, Any], path: str) -> Any:
    if path in record:
        return record[path]
    value: Any = record
    for part in path.split("."):
        if not isinstance(value, Mapping) or part not in value:
            raise FieldError(path, f"field '{path}' is missing; the data set's form has changed, or is another's")
        value = value[part]
    return value


def _put(record: dict[str, Any], path: str, value: Any) -> None:
    """Sets a nested field in a copy of what leads to it."""
    if path in record:
        record[path] = value
        return
    *parents, last = path.split(".")
    node = record
    for part in parents:
        node[part] = dict(node[part])
        node = node[part]
    node[last] = value


def _typed(path: str, kind: str, value: Any) -> Any:
    """The value, read from text where a table gave text for a number."""
    kind_of_value = type(value)
    if kind == "text" and kind_of_value is str:
        return value
    if kind in ("number", "int", "flag"):
        return _plain(path, kind, value)
    if kind in ("list", "texts", "ints") and isinstance(value, (list, tuple)):
        item_type = {"texts": str, "ints": int}.get(kind, object)
        if all(isinstance(item, item_type) for item in value):
            return value
    raise _other_kind(path, kind, value)


def _plain(path: str, kind: str, value: Any) -> Any:
    if kind == "flag":
        if isinstance(value, bool):
            return value
        known = _FLAGS.get(str(value).lower())
        if known is not None:
            return known
    elif isinstance(value, int if kind == "int" else (int, float)) and not isinstance(value, bool):
        return value
    elif isinstance(value, str):
        try:
            return int(value) if kind == "int" else float(value)
        except ValueError:
            pass
    raise _other_kind(path, kind, value)


def _labelled(path: str, names: Labels, value: Any) -> Any:
    """The label's name, or a list of names; None for a hidden label."""
    if isinstance(value, (list, tuple)):
        return [_labelled(path, names, item) for item in value]
    if value in names:
        return value
    number = int(value) if isinstance(value, str) and value.lstrip("-").isdigit() else value
    if isinstance(number, bool):
        number = int(number)
    if number == HIDDEN_LABEL:
        return None
    if isinstance(number, int) and 0 <= number < len(names):
        return names[number]
    listed = ", ".join(f"{place} {name!r}" for place, name in enumerate(names))
    raise FieldError(path, f"field '{path}' holds the label {value!r}, which is not known; labels are {listed}")


def _other_kind(path: str, kind: str, value: Any) -> FieldError:
    content = "nothing" if value is None else f"{type(value).__name__} {str(value)[:40]!r}"
    return FieldError(path, f"field '{path}' must hold {_NEEDED[kind]}, found {content}")
