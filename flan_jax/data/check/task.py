"""Holds tasks against what their data sets publish and renders them in every way there is, without a network.

    published fields and splits ──► the schema the task states
    random records in that form ┐
    the task's own sample       ├──► map ──► every template × mode × options × shots ──► what every rendering must be
    records of local files      ┘

Nothing is raised for a task that fails: its problems are sentences, all of them told at once.
"""

from __future__ import annotations

import itertools
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from flan_jax.config import TEMPLATE_MODES, DataConfig
from flan_jax.data.check.drift import schema_problems
from flan_jax.data.check.published import Published, mock_records, published
from flan_jax.data.render.example import Example
from flan_jax.data.render.examples import renderer_for
from flan_jax.data.render.options import STYLES
from flan_jax.data.render.renderer import Renderer
from flan_jax.data.render.shots import Shots, any_shots
from flan_jax.data.sources.held_back import HoldBack, first_records, mapped_sources
from flan_jax.data.sources.tfds import TfdsSource
from flan_jax.data.spec.fields import SKIPPED, check_fields, is_whole, record_fields
from flan_jax.data.spec.schema import Kind, Labels, Skip
from flan_jax.data.spec.source import VALIDATION, Record
from flan_jax.data.spec.task import Fields, TaskSpec
from flan_jax.errors import InputError

Origin = Literal["random", "sample", "records"]

# what stands in a text where a value was turned into text that is none; random records hold no such thing
_LEAKS = re.compile(r"\bNone\b|\bnan\b|\['|\{'|\{\w*\}")
_SHOTS = 2  # examples before the question, in the few-shot renderings
_SHOWN_PROBLEMS = 3  # of one kind of records: a task that fails on one record mostly fails on all


@dataclass(frozen=True)
class TaskCheck:
    """What became of one task.

    Attributes:
        name: its name.
        cluster: its cluster.
        num_templates: templates it has.
        num_fields: fields of its schema.
        num_renderings: texts that were made.
        num_random: random records that were tried; 0 where its data set publishes no form of its own.
        num_random_kept: those of them that the task's map took.
        skipped: reason → records that its map left out.
        problems: what is wrong, a sentence each.
    """

    name: str
    cluster: str
    num_templates: int
    num_fields: int
    num_renderings: int
    num_random: int
    num_random_kept: int
    skipped: Mapping[str, int]
    problems: tuple[str, ...]


def check_task(spec: TaskSpec, *, num_records: int) -> TaskCheck:
    """Checks one task against the published form of its data set, or against its local records.

    Args:
        spec: the task; a source of local files has been put in place already, where there is one.
        num_records: random records that are made up, or local records that are read.
    """
    problems: list[str] = []
    batches: list[tuple[Origin, Sequence[Record]]] = []
    try:
        for source in mapped_sources(spec.source):
            if isinstance(source, TfdsSource):
                form = published(source, offline=True)
                differences = [*schema_problems(spec.schema, form.fields), *_split_problems(spec, form)]
                problems += differences
                if not differences:
                    records = mock_records(source, num_records)
                    batches.append(("random", _labelled(spec.schema, form.fields, records)))
        if not batches and not problems and (records := first_records(spec, num_records)):
            batches.append(("records", records))
    except InputError as e:
        problems.append(str(e))
    if spec.sample is not None:
        batches.append(("sample", [spec.sample, *_relabelled(spec.schema, spec.sample)]))
    elif not batches:
        problems.append("has no 'sample' and no records that can be read here; give it a sample")
    if not spec.schema and spec.sample is not None:
        problems.append("states no 'schema'; name the fields it reads")
    trials = [_Trial(spec, origin, records) for origin, records in batches]
    for trial in trials:
        trial.run()
        problems += trial.problems
    random = [trial for trial in trials if trial.origin == "random"]
    return TaskCheck(
        name=spec.name,
        cluster=spec.cluster,
        num_templates=len(spec.templates),
        num_fields=len(spec.schema),
        num_renderings=sum(trial.num_renderings for trial in trials),
        num_random=sum(len(trial.records) for trial in random),
        num_random_kept=sum(trial.num_kept for trial in random),
        skipped=sum((trial.skipped for trial in trials), Counter()),
        problems=tuple(f"task '{spec.name}': {problem}" for problem in problems),
    )


def _split_problems(spec: TaskSpec, form: Published) -> list[str]:
    if form.splits is None:
        return []
    # a source that parts its training records has a `validation` of its own making
    parted = {VALIDATION} if isinstance(spec.source, HoldBack) else set()
    problems = []
    for name in spec.splits.values():
        parts = {part.strip().partition("[")[0] for part in name.split("+")}
        missing = sorted(parts - {*form.splits, *parted})
        if missing:
            known = ", ".join(repr(split) for split in form.splits)
            problems.append(f"its data set has no split '{missing[0]}'; it has {known}")
    return problems


class _Trial:
    """One task rendered in every way on some records."""

    def __init__(self, spec: TaskSpec, origin: Origin, records: Sequence[Record]):
        self.spec, self.origin, self.records = spec, origin, records
        self.problems: list[str] = []
        self.skipped: Counter[str] = Counter()
        self.num_renderings = self.num_kept = 0

    def run(self) -> None:
        """Maps and renders all records, and notes what is wrong; one record that cannot be mapped ends it."""
        kept: list[tuple[int, Fields, str]] = []
        for number, record in enumerate(self.records):
            stated = json.dumps(record, ensure_ascii=False, default=str)
            kept += [(number, fields, stated) for fields in self._fields(number, record)]
            if self.problems:
                return
        self.num_kept = len({number for number, _, _ in kept})
        if self.records and not kept and not self.problems:
            self._note_none_kept()
        shots = any_shots([fields for _, fields, _ in kept if not is_whole(fields)], _SHOTS)
        for data, shown in itertools.product(ways(self.spec), (None, shots)):
            if not self._render(renderer_for(self.spec, data), shown, data, kept):
                return

    def _fields(self, number: int, record: Record) -> Iterator[Fields]:
        try:
            for fields in record_fields(self.spec, record, example_id=number):
                if isinstance(fields, Skip):
                    self.skipped[fields.reason] += 1
                else:
                    check_fields(self.spec, fields)
                    yield fields
        except InputError as e:
            self._note(f"{self._name_of(number)}: {self._bare(e)}")

    def _note_none_kept(self) -> None:
        reasons = ", ".join(self.skipped)
        if self.origin == "sample":
            self._note(f"its map skips the sample ({reasons}); give a sample that it takes")
        elif SKIPPED in self.skipped:
            self._note(
                f"its map gives None for all of {len(self.records)} {self.origin} records; let it give a Skip with the "
                "reason"
            )

    def _render(
        self, renderer: Renderer, shots: Shots | None, data: DataConfig, kept: Sequence[tuple[int, Fields, str]]
    ) -> bool:
        """Renders all in one way; whether to go on."""
        # an example before the question brings the text of another record
        of_all = "\n".join(stated for _, _, stated in kept) if shots is not None else ""
        for number, fields, stated in kept:
            if not renderer.phrasings and not is_whole(fields):
                self._note("has no 'inputs', so the modes name and none have nothing to ask; give it its bare input")
                return False
            try:
                for example in renderer.render_all(fields, example_id=number, shots=shots):
                    self.num_renderings += 1
                    self._look_at(example, data, of_all or stated)
            except InputError as e:
                self._note(f"{self._name_of(number)}, mode {data.template_mode}: {self._bare(e)}")
            if len(self.problems) >= _SHOWN_PROBLEMS:
                return False
        return True

    def _look_at(self, example: Example, data: DataConfig, stated: str) -> None:
        place = "" if example.template_id < 0 else f", template {example.template_id}"
        where = f"{self._name_of(example.example_id)}{place}, mode {data.template_mode}"
        for turn in example.messages:
            if not turn.content.strip():
                self._note(f"{where}: the {turn.role}'s text is empty")
            for leak in set(_LEAKS.findall(turn.content)):
                if leak not in stated and leak not in self._wording:
                    self._note(f"{where}: the {turn.role}'s text holds {leak!r}, which is in no record and no template")
        if example.answer_index is not None and len(set(example.options)) < len(example.options):
            self._note(f"{where}: two options are the same: {', '.join(map(repr, example.options))}")

    def _name_of(self, number: int) -> str:
        if self.origin == "sample":
            return "the sample" if number == 0 else f"the sample with another label ({number})"
        return f"{'random ' * (self.origin == 'random')}record {number}"

    def _bare(self, error: InputError) -> str:
        """The sentence without the names that are told already."""
        task = re.escape(f"task '{self.spec.name}'")
        return re.sub(rf"^{task}, (split '\w+', example \d+[:,] )?", "", str(error))

    @property
    def _wording(self) -> str:
        """All text of the task that is no record's."""
        spec = self.spec
        patterns = [spec.inputs_pattern, spec.target_pattern, *itertools.chain.from_iterable(spec.patterns)]
        options = spec.options if isinstance(spec.options, tuple) else ()
        return "\n".join([*(text for pattern in patterns for text, _ in pattern.pieces), *options])

    def _note(self, problem: str) -> None:
        if problem not in self.problems and len(self.problems) < _SHOWN_PROBLEMS:
            self.problems.append(problem)


def ways(spec: TaskSpec) -> list[DataConfig]:
    """Every way to phrase a task's examples: modes, options shown in each style and hidden."""
    options: list[dict[str, Any]] = [{"options": "shown", "option_style": style} for style in STYLES]
    options += [{"options": "hidden"}]
    return [
        DataConfig(template_mode=mode, **chosen)
        for mode in TEMPLATE_MODES
        for chosen in (options if spec.options is not None else options[:1])
    ]


def _labelled(schema: Mapping[str, Kind], fields: Mapping[str, Kind], records: Iterable[Record]) -> list[Record]:
    """Random records with their labels set so that each label of the schema comes in turn."""
    labelled = []
    for number, record in enumerate(records):
        for path, names in _labels(schema):
            kind = fields.get(path)
            if kind is not None:
                values: Sequence[Any] = names if kind in ("text", "texts") else range(len(names))
                record = _replaced(record, path, _turned(_value(record, path), values, number))
        labelled.append(record)
    return labelled


def _turned(old: Any, values: Sequence[Any], number: int) -> Any:
    if isinstance(old, list):
        return [values[place % len(values)] for place in range(len(old))]
    return values[number % len(values)]


def _relabelled(schema: Mapping[str, Kind], sample: Record) -> Iterator[Record]:
    """The sample with each other label of each of its label fields."""
    for path, names in _labels(schema):
        old = _value(sample, path)
        if old is not None and not isinstance(old, list):
            yield from (_replaced(sample, path, number) for number in range(len(names)))


def _labels(schema: Mapping[str, Kind]) -> list[tuple[str, Labels]]:
    return [(path, kind) for path, kind in schema.items() if isinstance(kind, Labels)]


def _value(record: Record, path: str) -> Any:
    """The value of a field, nested or not; none where there is none."""
    if path in record:
        return record[path]
    head, _, rest = path.partition(".")
    inner = record.get(head)
    return _value(inner, rest) if rest and isinstance(inner, Mapping) else None


def _replaced(record: Record, path: str, value: Any) -> Record:
    if path in record:
        return {**record, path: value}
    head, _, rest = path.partition(".")
    return {**record, head: _replaced(record[head], rest, value)}
