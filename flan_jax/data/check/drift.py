"""Whether a data set still has the form that its tasks were written for: asked before anything is read or written.

Data sets drift under their names: fields are renamed, labels are added or change their order. What a data set states of
itself is compared with what the task states it reads (`schema.py`); every record is checked again when it is read.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping

from flan_jax.data.check.published import published
from flan_jax.data.sources.held_back import mapped_sources
from flan_jax.data.sources.plain import IterableSource
from flan_jax.data.sources.tfds import TfdsSource
from flan_jax.data.spec.fields import record_fields
from flan_jax.data.spec.schema import Kind, Labels
from flan_jax.data.spec.source import TRAIN
from flan_jax.data.spec.task import TaskSpec
from flan_jax.errors import InputError

# kind that a task asks for → kinds of a data set that hold it
_FITTING: Mapping[str, tuple[str, ...]] = {
    "text": ("text",),
    "number": ("number", "int"),
    "int": ("int",),
    "flag": ("flag", "int"),
    "texts": ("texts",),
    "ints": ("ints",),
    "list": ("list", "texts", "ints"),
}


def check_sources(specs: Iterable[TaskSpec]) -> None:
    """Refuses data sets whose form is not what their tasks read: of TFDS data sets all that they state, of what is
    on this machine the first record.

    What only a later record shows (an unknown label, for one) is refused where that record is read.

    Raises:
        InputError: a field is missing or of another kind, or the labels have changed.
    """
    for spec in specs:
        for source in mapped_sources(spec.source) if spec.schema else ():
            if isinstance(source, TfdsSource):
                for problem in schema_problems(spec.schema, published(source).fields):
                    raise InputError(
                        f"task '{spec.name}', source {source.name}: {problem}; read the version that the task names, "
                        "or change the task's schema"
                    )
            elif source.is_here() and not isinstance(source, IterableSource):  # which may take long to begin
                split = spec.splits.get(TRAIN) or next(iter(spec.splits.values()))
                for record in itertools.islice(source.records(split), 1):
                    record_fields(spec, record, split=split)


def schema_problems(schema: Mapping[str, Kind], fields: Mapping[str, Kind]) -> list[str]:
    """How a task's schema differs from the fields that its data set states; empty where all is there as it should be.

    Args:
        schema: what the task reads.
        fields: all that the data set has.
    """
    problems = []
    for path, kind in schema.items():
        published = fields.get(path)
        if published is None:
            known = ", ".join(f"'{name}'" for name in sorted(fields))
            problems.append(f"field '{path}' is missing; the data set has {known}")
        elif isinstance(kind, Labels) and isinstance(published, Labels):
            problems += _label_problems(path, kind, published)
        elif isinstance(kind, Labels):
            # names that the data set keeps as text, or numbers without names: each record's own is checked
            if published not in ("text", "texts", "int", "ints", "flag"):
                problems.append(f"field '{path}' must be a class label, and the data set states {published}")
        elif not isinstance(published, Labels) and published not in _FITTING[kind]:
            problems.append(f"field '{path}' must be of the kind {kind}, and the data set states {published}")
        elif isinstance(published, Labels) and kind not in ("int", "number", "ints", "list"):
            listed = ", ".join(repr(name) for name in published)
            problems.append(f"field '{path}' must be of the kind {kind}, and is a class label of {listed}")
    return problems


def _label_problems(path: str, stated: Labels, published: Labels) -> list[str]:
    if stated == published:
        return []
    new, gone = (
        [name for name in one if name not in other] for one, other in ((published, stated), (stated, published))
    )
    what = [f"{name!r} is new" for name in new] + [f"{name!r} is gone" for name in gone]
    listed = ", ".join(repr(name) for name in published)
    changed = " and ".join(what) or "their order is another"
    return [f"the labels of field '{path}' have changed ({changed}); the data set has {listed}, in this order"]
