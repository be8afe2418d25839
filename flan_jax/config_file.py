"""Reading a config: a sparse YAML file and `a.b=c` overrides, refused in one sentence where they are wrong.

The sentence names the file, the key, what was found, what is allowed, and for an unknown key the one that was likely
meant. Nothing here imports JAX.
"""

from __future__ import annotations

import contextlib
import difflib
import types
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from flan_jax.config import Config, Section, fields
from flan_jax.errors import InputError

_SHOULD = "Input should be "  # opens what pydantic says of a value of the wrong kind


def load_config(path: str | Path, overrides: Sequence[str] = ()) -> Config:
    """The config in the YAML file at `path`, with `a.b=c` overrides applied.

    Raises:
        InputError: the file is missing or no YAML mapping, a key is unknown, a value has the wrong type, or an override
            is not of the form a.b=c.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as e:
        raise InputError(f"run config '{path}': cannot be read ({e.strerror}); give the path of a YAML file") from e
    try:
        tree = yaml.safe_load(text)
    except yaml.YAMLError as e:
        place = getattr(e, "problem_mark", None)
        line = f" line {place.line + 1}" if place else ""
        raise InputError(f"run config '{path}'{line}: not valid YAML ({getattr(e, 'problem', e)})") from e
    if tree is None:
        tree = {}
    if not isinstance(tree, dict):
        raise InputError(f"run config '{path}': must hold a mapping of sections, found a {type(tree).__name__}")
    for override in overrides:
        _apply_override(tree, override)
    return parse_config(tree, f"run config '{path}'")


def parse_config(tree: Mapping[str, Any], where: str) -> Config:
    """The config of a plain mapping; `where` opens the error sentence."""
    try:
        return Config.model_validate(tree)
    except ValidationError as e:
        raise InputError(f"{where}: {_explain(e)}") from e


def _apply_override(tree: dict[str, Any], override: str) -> None:
    key, sign, text = override.partition("=")
    if not sign or not key:
        raise InputError(f"override '{override}': must have the form section.key=value, e.g. train.steps=100")
    *parents, last = key.strip().split(".")
    node = tree
    for depth, parent in enumerate(parents):
        child = node.setdefault(parent, {})
        if child is None:
            child = node[parent] = {}
        if not isinstance(child, dict):
            raise InputError(f"override '{override}': '{'.'.join(parents[: depth + 1])}' is a value, not a section")
        node = child
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as e:
        raise InputError(f"override '{override}': '{text}' is not a valid YAML value") from e
    # YAML 1.1 reads 1e-4 as text; a number is what was meant
    if isinstance(value, str):
        with contextlib.suppress(ValueError):
            value = float(value)
    node[last] = value


def _explain(error: ValidationError) -> str:
    """The first problem as one sentence part, with the nearest known key for an unknown one."""
    # a mistyped key is often also a missing one: the mistyping says more
    problem = min(error.errors(), key=lambda problem: problem["type"] != "extra_forbidden")
    place = _place(problem)
    key = ".".join(place)
    if problem["type"] == "extra_forbidden":
        section = _section_at(place[:-1])
        names = list(section.model_fields) if section else []
        near = _nearest(place[-1], place[:-1], names)
        allowed = f"; did you mean '{near}'?" if near else f"; allowed here: {', '.join(names)}"
        return f"unknown key '{key}'{allowed}"
    if problem["type"] == "value_error":  # raised by one of our own validators
        sentence = problem.get("ctx", {}).get("error")
        return f"{key}: {sentence}" if key else str(sentence)
    value = problem["input"]
    rule = problem["msg"][0].lower() + problem["msg"][1:]
    if problem["msg"].startswith(_SHOULD):
        # a value of several kinds fails each of them: all that is allowed is named
        same = [other["msg"] for other in error.errors() if _place(other) == place and other["msg"].startswith(_SHOULD)]
        if len(same) > 1:
            kinds = dict.fromkeys(message.removeprefix(_SHOULD).partition(", ")[0] for message in same)
            rule = f"input should be {' or '.join(kinds)}"
    return f"key '{key}': {rule}, found {value!r} ({type(value).__name__})"


def _place(problem: Any) -> list[str]:
    return [str(part) for part in problem["loc"] if not _is_union_tag(part)]


def _is_union_tag(part: Any) -> bool:
    return isinstance(part, str) and (part in ("str", "int", "float", "constrained-int") or "[" in part)


def _section_at(place: Sequence[str]) -> type[Section] | None:
    section: type[Section] | None = Config
    for part in (part for part in place if not part.isdigit()):
        if section is None or part not in section.model_fields:
            return None
        section = _section_type(section.model_fields[part].annotation)
    return section


def _section_type(annotation: Any) -> type[Section] | None:
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return annotation
    if isinstance(annotation, types.UnionType) or typing.get_origin(annotation) is tuple:
        return next((s for s in map(_section_type, typing.get_args(annotation)) if s), None)
    return None


def _nearest(name: str, parents: Sequence[str], names: Sequence[str]) -> str | None:
    """The likeliest meant key: the same name in another section, a near one in this section, a near one anywhere."""
    everywhere: dict[str, str] = {}
    for key, _ in fields():
        section = key.rpartition(".")[0]
        everywhere.setdefault(section.rpartition(".")[2], section)
        everywhere.setdefault(key.rpartition(".")[2], key)
    if name in everywhere:
        return everywhere[name]
    near = difflib.get_close_matches(name, names, 1, 0.6)
    if near:
        return ".".join([*parents, near[0]])
    near = difflib.get_close_matches(name, list(everywhere), 1, 0.8)
    return everywhere[near[0]] if near else None
