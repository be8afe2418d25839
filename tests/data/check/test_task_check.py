"""`tasks check`: what is told of a task that does not fit its data set, and data sets that drifted are refused."""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from flan_jax.config_file import parse_config
from flan_jax.data.check.drift import check_sources, schema_problems
from flan_jax.data.check.task import TaskCheck, check_task
from flan_jax.data.prepare.prepare import prepare
from flan_jax.data.registry import (
    FileSource,
    HoldBack,
    HubSource,
    IterableSource,
    Labels,
    Skip,
    Source,
    TaskSpec,
    Template,
    TfdsSource,
    add_task,
)
from flan_jax.data.registry.resolve import resolve_run
from flan_jax.data.render.options import STYLES
from flan_jax.errors import InputError
from flan_jax.text.chat import make_encoder
from flan_jax.text.tokenizer import load_tokenizer

TEXT = make_encoder("text", load_tokenizer("bytes"), "default", is_encoder_decoder=False)
LABELS = Labels("entailment", "not_entailment")
RTE = TfdsSource("glue/rte:2.0.0")
SAMPLE = {"sentence1": "The cat sat on a mat.", "sentence2": "A cat sat.", "label": 0, "idx": 0}
NUMBERS = itertools.count()


def rte(**changes: Any) -> TaskSpec:
    """A task over GLUE's RTE, as it should be but for the changes."""
    fields: dict[str, Any] = {
        "name": "some_rte",
        "cluster": "some",
        "source": RTE,
        "schema": {"sentence1": "text", "sentence2": "text", "label": LABELS},
        "label_words": {"entailment": "yes", "not_entailment": "no"},
        "answer": "label",
        "templates": (Template("{sentence1}\nDoes it follow that {sentence2}?"), Template("{sentence1}/{sentence2}:")),
        "inputs": "{sentence1} {sentence2}",
        "sample": SAMPLE,
    }
    return TaskSpec(**fields | changes)


def on_the_hub(**changes: Any) -> TaskSpec:
    """The same, where no form is published: its sample alone is checked."""
    return rte(source=HubSource("some/rte"), **changes)


def problems(spec: TaskSpec) -> str:
    check = check_task(spec, num_records=6)
    assert check.problems
    assert all(problem.startswith(f"task '{spec.name}': ") for problem in check.problems)
    return "\n".join(check.problems)


def passed(spec: TaskSpec) -> TaskCheck:
    check = check_task(spec, num_records=6)
    assert check.problems == ()
    return check


FIELDS = {"text": "text", "score": "number", "count": "int", "flag": "flag", "parts": "texts", "label": LABELS}


@pytest.mark.parametrize(
    ("schema", "told"),
    [
        ({"text": "text", "score": "number", "count": "number", "parts": "list", "label": LABELS}, None),
        ({"label": "int", "flag": "flag", "text": Labels("a", "b"), "count": Labels("a", "b")}, None),
        (
            {"txt": "text"},
            "field 'txt' is missing; the data set has 'count', 'flag', 'label', 'parts', 'score', 'text'",
        ),
        ({"text": "texts"}, "field 'text' must be of the kind texts, and the data set states text"),
        ({"score": "int"}, "field 'score' must be of the kind int, and the data set states number"),
        ({"label": "text"}, "field 'label' must be of the kind text, and is a class label of 'entailment'"),
        ({"score": LABELS}, "field 'score' must be a class label, and the data set states number"),
        ({"label": Labels("entailment", "neutral", "not_entailment")}, "have changed ('neutral' is gone)"),
        ({"label": Labels("entailment", "no")}, "('not_entailment' is new and 'no' is gone)"),
        ({"label": Labels("not_entailment", "entailment")}, "(their order is another); the data set has 'entailment'"),
    ],
)
def test_a_schema_is_held_against_the_published_fields(schema: Mapping[str, Any], told: str | None):
    found = schema_problems(schema, FIELDS)
    assert found == [] if told is None else told in found[0]


def test_each_label_and_each_way_is_rendered():
    check = passed(on_the_hub())
    # the sample and the sample with each label; 3 modes (2 + 1 + 1 templates), each style and hidden, 0 and 2 shots
    assert check.num_renderings == (1 + 2) * (2 + 1 + 1) * (len(STYLES) + 1) * 2
    assert (check.num_templates, check.num_fields, check.num_random) == (2, 3, 0)


def give(value: Any):
    """A map that puts a value in the place of the first sentence."""
    return lambda record: {**record, "sentence1": value}


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"map": give(str(None))}, "the sample, template 0, mode instruction: the user's text holds 'None'"),
        ({"map": give(str(["a"]))}, 'holds "[\'", which is in no record and no template'),
        ({"map": give("{sentence1}")}, "holds '{sentence1}'"),
        ({"map": give(None)}, "the sample, mode instruction: field 'sentence1' holds nothing"),
        ({"map": lambda record: {**record, "x": record["nope"]}}, "the sample: its map asks for 'nope'"),
        ({"map": lambda record: int(record["sentence1"])}, "the sample: its map fails: ValueError at "),
        ({"map": lambda record: None}, "its map skips the sample (skipped by the task's map)"),
        ({"map": lambda record: Skip("too short")}, "its map skips the sample (too short)"),
        ({"map": lambda record: {**record, "label": "maybe"}}, "the task has words for 'entailment', 'not_entailment'"),
        ({"templates": (Template("{sentence3}?"),)}, "the sample: template 0: unknown field 'sentence3'"),
        ({"templates": (Template("{sentence1}?", " "),)}, "mode instruction: the assistant's text is empty"),
        ({"inputs": ""}, "has no 'inputs', so the modes name and none have nothing to ask"),
        ({"sample": {**SAMPLE, "sentence1": 3}}, "the sample: field 'sentence1' must hold text, found int '3'"),
        ({"sample": {**SAMPLE, "label": 7}}, "the sample: field 'label' holds the label 7, which is not known"),
        ({"sample": None}, "has no 'sample' and no records that can be read here"),
        ({"schema": {}}, "states no 'schema'"),
    ],
)
def test_what_is_wrong_with_a_task_is_told(changes: dict[str, Any], told: str):
    assert told in problems(on_the_hub(**changes))


def test_options_that_are_the_same_are_told():
    spec = on_the_hub(label_words={}, options="words", map=lambda record: {**record, "words": ["a", "a"], "label": "a"})
    assert "two options are the same: 'a', 'a'" in problems(spec)


def test_a_text_that_the_record_holds_is_no_leak():
    passed(on_the_hub(sample={**SAMPLE, "sentence1": "None of the ['cats'] sat in {braces}."}))


def test_a_text_that_another_record_brings_as_an_example_is_no_leak():
    records = [{**SAMPLE, "sentence1": f"None but {number} cats sat."} for number in range(2)]
    records += [{**SAMPLE, "sentence1": f"{number} dogs sat."} for number in range(2)]
    passed(rte(source=IterableSource(lambda split: records, "1"), sample=None))


def test_local_records_are_checked_as_they_are(tmp_path: Path):
    (tmp_path / "train.jsonl").write_text("\n".join(map(json.dumps, [SAMPLE, {**SAMPLE, "label": "no idea"}])))
    told = problems(rte(source=FileSource(str(tmp_path)), sample=None))
    assert "record 1: field 'label' holds the label 'no idea', which is not known; labels are 0 'entailment'" in told


def test_records_of_python_are_checked():
    check = passed(rte(source=IterableSource(lambda split: [SAMPLE] * 3, "1"), sample=None))
    assert check.num_renderings == 3 * (2 + 1 + 1) * (len(STYLES) + 1) * 2


tfds_only = pytest.mark.seqio


@pytest.fixture(scope="module")
def tfds() -> Any:
    return pytest.importorskip("tensorflow_datasets", reason="needs the extra 'full'")


@tfds_only
def test_a_task_over_tfds_passes_on_random_records_of_every_label(tfds: Any):
    seen = set()

    def spy(record: Mapping[str, Any]) -> Mapping[str, Any]:
        seen.add((record["label"], record["sentence1"]))
        return record

    check = passed(rte(map=spy))
    assert (check.num_random, check.num_random_kept) == (6, 6)
    assert {label for label, _ in seen} == set(LABELS)
    assert len(seen) == 6 + 2  # random ones, and the sample with both labels


@tfds_only
def test_nested_fields_and_a_source_held_back(tfds: Any):
    passed(
        TaskSpec(
            name="some_squad",
            cluster="some",
            source=HoldBack(TfdsSource("squad/v1.1:3.0.0")),
            schema={"context": "text", "question": "text", "answers.text": "texts", "answers.answer_start": "ints"},
            # lists of one record are of one length
            map=lambda record: {**record, "answer": [t for t, _ in zip(*record["answers"].values(), strict=True)]},
            templates=(Template("{context}\n{question}"),),
            inputs="{context} {question}",
            metrics=("exact_match",),
            sample={"context": "a b", "question": "?", "answers": {"text": ["a", "b"], "answer_start": [0, 2]}},
        )
    )


@tfds_only
@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (
            {"schema": {"premise": "text", "label": LABELS}},
            "field 'premise' is missing; the data set has 'idx', 'label', 'sentence1'",
        ),
        (
            {"schema": {"label": Labels("not_entailment", "entailment")}, "sample": {"label": 1}},
            "the labels of field 'label' have changed (their order is another)",
        ),
        (
            {"splits": {"train": "train", "validation": "dev"}},
            "has no split 'dev'; it has 'train', 'validation', 'test'",
        ),
        ({"splits": {"train": "train[:50%]+development[:1%]"}}, "has no split 'development'"),
        ({"source": TfdsSource("glue/rte:7.0.0")}, "TFDS knows no such data set (Dataset glue cannot be loaded at"),
        ({"map": lambda record: None}, "its map gives None for all of 6 random records"),
        (
            {"map": lambda record: {**record, "sentence1": record["sentence1"].split("mat")[1]}},
            "random record 0: its map fails: IndexError at ",
        ),
    ],
)
def test_what_does_not_fit_a_data_set_of_tfds_is_told(tfds: Any, changes: dict[str, Any], told: str):
    assert told in problems(rte(**changes))


@tfds_only
def test_a_map_that_skips_random_records_with_a_reason_passes(tfds: Any):
    check = passed(rte(map=lambda record: record if record["sentence1"].startswith("The") else Skip("no sentence")))
    assert (check.num_random, check.num_random_kept) == (6, 0)
    assert check.skipped == {"no sentence": 6}


# ---- drift: refused before anything is written


def made(folder: Path, features: Mapping[str, Any], record: Mapping[str, Any]) -> None:
    """Prepares a TFDS data set `made_rte` in a folder."""
    import tensorflow_datasets as tfds

    class MadeRte(tfds.core.GeneratorBasedBuilder, skip_registration=True):  # found by its files alone
        VERSION = tfds.core.Version("1.0.0")

        def _info(self) -> Any:
            return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(features))

        def _split_generators(self, dl_manager: Any) -> Any:
            return {"train": self._generate_examples(), "validation": self._generate_examples()}

        def _generate_examples(self) -> Any:
            for number in range(3):
                yield number, record

    MadeRte(data_dir=str(folder)).download_and_prepare()


def run_config(tmp_path: Path, *specs: TaskSpec, **sources: str) -> Any:
    data = {"mixture": [spec.name for spec in specs], "sources": sources, "store": str(tmp_path / "store")}
    return parse_config({"run": {"dir": str(tmp_path / "run")}, "data": data, "batch": {"length": 256}}, "test")


def added(source: Source) -> TaskSpec:
    return add_task(dataclasses.replace(rte(), name=f"drift{next(NUMBERS)}", source=source))


def stored(tmp_path: Path) -> list[Path]:
    return [path for path in (tmp_path / "store").rglob("*") if path.is_file()]


@tfds_only
@pytest.mark.parametrize(
    ("names", "labels", "told"),
    [
        (("sentence1", "sentence2", "label"), LABELS, None),
        (
            ("premise", "sentence2", "label"),
            LABELS,
            "field 'sentence1' is missing; the data set has 'label', 'premise'",
        ),
        (("sentence1", "label"), LABELS, "field 'sentence2' is missing; the data set has 'label', 'sentence1'"),
        (("sentence1", "sentence2", "label"), (*LABELS, "unknown"), "field 'label' have changed ('unknown' is new)"),
        (("sentence1", "sentence2", "label"), LABELS[::-1], "have changed (their order is another)"),
    ],
)
def test_a_drifted_tfds_data_set_is_refused(
    tfds: Any, tmp_path: Path, names: tuple[str, ...], labels: tuple[str, ...], told: str | None
):
    features = {name: tfds.features.Text() for name in names[:-1]}
    features[names[-1]] = tfds.features.ClassLabel(names=list(labels))
    made(tmp_path / "tfds", features, {**dict.fromkeys(names[:-1], "A cat sat."), names[-1]: 0})
    sound = added(IterableSource(lambda split: [SAMPLE], "1"))
    drifted = added(TfdsSource("made_rte:1.0.0", data_dir=str(tmp_path / "tfds")))
    config = run_config(tmp_path, sound, drifted)
    if told is None:
        assert prepare(config, TEXT, resolve_run(config)).num_built == 4
        return
    with pytest.raises(InputError) as refused:
        prepare(config, TEXT, resolve_run(config))
    assert str(refused.value).startswith(f"task '{drifted.name}', source tfds:made_rte:1.0.0: ")
    assert told in str(refused.value)
    assert stored(tmp_path) == []


GOOD = {"sentence1": "A cat sat.", "sentence2": "It sat.", "label": "entailment"}


@pytest.mark.parametrize(
    ("record", "told"),
    [
        ({"premise": "A cat.", "sentence2": "It sat.", "label": 0}, "field 'sentence1' is missing"),
        ({"sentence1": "A cat sat.", "label": 1}, "field 'sentence2' is missing"),
        ({**GOOD, "label": "neutral"}, "field 'label' holds the label 'neutral', which is not known"),
        ({**GOOD, "label": 2}, "field 'label' holds the label 2, which is not known; labels are 0 'entailment', 1"),
        ({**GOOD, "sentence1": 4}, "field 'sentence1' must hold text, found int '4'"),
    ],
)
@pytest.mark.parametrize("place", [0, 2])
def test_a_drifted_local_file_is_refused(tmp_path: Path, record: dict[str, Any], told: str, place: int):
    records = [{**GOOD, "sentence2": f"It sat {number} times."} for number in range(4)]
    records[place] = record
    spec = added(HubSource("some/rte"))
    for split in ("train", "validation"):
        (tmp_path / f"{split}.jsonl").write_text("\n".join(map(json.dumps, records)))
    with pytest.raises(InputError) as refused:
        prepare(run := run_config(tmp_path, spec, **{spec.name: str(tmp_path)}), TEXT, resolve_run(run))
    assert str(refused.value).startswith(f"task '{spec.name}', split 'train', example {place}: {told}")
    assert stored(tmp_path) == []


def test_a_file_whose_first_record_drifted_is_refused_before_other_tasks_are_written(tmp_path: Path):
    (tmp_path / "train.jsonl").write_text(json.dumps({"premise": "A cat.", **GOOD} | {"label": 9}))
    sound, drifted = added(IterableSource(lambda split: [SAMPLE], "1")), added(HubSource("some/rte"))
    with pytest.raises(InputError, match="label 9"):
        prepare(run := run_config(tmp_path, sound, drifted, **{drifted.name: str(tmp_path)}), TEXT, resolve_run(run))
    assert stored(tmp_path) == []


def test_sources_that_state_nothing_are_left_to_their_records():
    check_sources([on_the_hub(), rte(schema={}, source=TfdsSource("no/such:1.0.0"))])
