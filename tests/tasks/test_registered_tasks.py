"""Every registered task over a published data set, held to the same rules and rendered with its sample.

After a wanted change of a task, write the golden files anew with FLAN_JAX_WRITE_GOLDEN=1 and read the difference.
"""

from __future__ import annotations

import dataclasses
import os
import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from flan_jax.config import DataConfig
from flan_jax.data.check.task import check_task, ways
from flan_jax.data.registry import HubSource, Labels, Skip, TaskSpec, TfdsSource, get_task, task_names
from flan_jax.data.registry.resolve import resolve_mixture
from flan_jax.data.render.example import Example
from flan_jax.data.render.examples import renderer_for
from flan_jax.data.render.shots import any_shots
from flan_jax.data.sources.held_back import mapped_sources
from flan_jax.data.spec.fields import is_whole, record_fields
from flan_jax.data.spec.task import Fields

GOLDEN = Path(__file__).parent / "golden_samples"
SPECS = [spec for spec in map(get_task, task_names()) if not spec.source.name.startswith("starter/")]


def tasks_where(holds: Callable[[TaskSpec], bool]) -> pytest.MarkDecorator:
    found = [spec for spec in SPECS if holds(spec)]
    return pytest.mark.parametrize("spec", found, ids=[spec.name for spec in found])


def sample_fields(spec: TaskSpec) -> list[Fields]:
    return [fields for fields in record_fields(spec, spec.sample or {}) if not isinstance(fields, Skip)]


def shown(spec: TaskSpec, data: DataConfig, shots: int = 0) -> Iterator[Example]:
    """The first example of the sample in one way."""
    fields = sample_fields(spec)[0]
    yield from renderer_for(spec, data).render_all(
        fields, example_id=0, shots=any_shots([fields], shots) if shots and not is_whole(fields) else None
    )


every_task = tasks_where(lambda spec: True)
# others have records that come with their prompts, or are conversations
every_task_with_templates_of_its_own = tasks_where(lambda spec: len(spec.templates) > 1)
every_task_with_a_pattern = tasks_where(lambda spec: spec.answer_pattern is not None)


def test_there_is_breadth():
    assert len(SPECS) > 400
    phrased = {spec.name for spec in SPECS if len(spec.templates) > 1}
    assert len(phrased) > 110
    for mixture in ("flan2021", "cot", "dialog"):
        assert resolve_mixture(DataConfig(mixture=mixture)).specs.keys() <= phrased, mixture


@every_task_with_templates_of_its_own
def test_ten_templates_at_most_three_of_them_inverted(spec: TaskSpec):
    assert len(spec.templates) == 10
    assert sum(template.inverted for template in spec.templates) <= 3


@every_task_with_templates_of_its_own
def test_templates_differ_and_are_clean(spec: TaskSpec):
    assert len({template.prompt for template in spec.templates}) == len(spec.templates)
    for template in spec.templates:
        for text in (template.prompt, template.target or "x"):
            assert text == text.strip()
            assert not re.search(r" \n|\n{4}|\t", text), text
        assert not re.search(r"[^\s\d]  ", template.prompt), template.prompt


@every_task
def test_the_description_is_complete(spec: TaskSpec):
    for key in ("description", "license", "citation", "sample", "schema"):
        assert getattr(spec, key), f"'{key}' is empty"
    assert spec.description.endswith(".")
    assert re.search(r"\b(19|20)\d\d\b|arXiv", spec.citation), spec.citation
    if not is_whole(sample_fields(spec)[0]):
        assert spec.inputs
    if len(spec.templates) > 1:
        assert spec.dataset_name


@every_task
def test_the_metrics_fit_the_answer(spec: TaskSpec):
    ranks = spec.options is not None and not spec.reasoning
    assert ("accuracy" in spec.metrics) <= ranks
    if isinstance(spec.options, tuple) and not spec.reasoning:
        assert spec.metrics[0] == "accuracy"
    if spec.reasoning and "exact_match" in spec.metrics:
        assert spec.answer_pattern
    if isinstance(spec.schema.get(spec.answer), Labels):
        assert spec.label_words or spec.map is not None


@every_task
def test_the_sample_holds_what_the_schema_names_and_passes_the_check(spec: TaskSpec):
    # in every mode and form of the options, with each label, and with examples before it; TFDS is not asked
    check = check_task(dataclasses.replace(spec, source=HubSource("not/read")), num_records=1)
    assert check.problems == ()
    assert check.num_renderings


@every_task
def test_the_sample_is_plain_data(spec: TaskSpec):
    def walk(value: object) -> None:
        if isinstance(value, dict):
            for key, inner in value.items():
                assert isinstance(key, str)
                walk(inner)
        elif isinstance(value, (list, tuple)):
            for inner in value:
                walk(inner)
        else:
            assert value is None or isinstance(value, (str, int, float, bool)), value

    walk(dict(spec.sample or {}))


@every_task_with_templates_of_its_own
def test_prompts_of_the_sample_have_clean_edges(spec: TaskSpec):
    for data in ways(spec):
        for example in shown(spec, data):
            for turn in example.messages:
                assert turn.content == turn.content.strip(), (data.template_mode, example.template_id)


@every_task_with_templates_of_its_own
def test_examples_stand_before_a_question_in_its_own_form(spec: TaskSpec):
    for alone, example in zip(shown(spec, DataConfig()), shown(spec, DataConfig(), 2), strict=True):
        before = example.messages[0].content.removesuffix(alone.messages[0].content)
        assert example.shots == 2
        assert before.count(alone.target) >= 2
        assert before.endswith("\n")


@every_task_with_a_pattern
def test_an_answer_read_by_a_pattern_is_in_the_target(spec: TaskSpec):
    assert spec.answer_pattern
    for example in shown(spec, DataConfig(options="hidden")):
        if example.template_id < 0 or not spec.templates[example.template_id].inverted:
            assert re.findall(spec.answer_pattern, example.target), example.target


def golden_texts() -> dict[str, str]:
    """File → the renderings of the samples of its cluster's tasks; equal ones of many tasks stand there once."""
    blocks: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for spec in SPECS:
        parts = []
        for example in shown(spec, DataConfig()):
            turns = "\n".join(f"{turn.role}: {turn.content}" for turn in example.messages[:-1])
            parts.append(f"[{max(example.template_id, 0)}] {turns}\n=> {example.target}")
        file = "t0" if spec.name.startswith("t0_") else spec.cluster
        blocks[file]["\n\n".join(parts)].append(spec.name)
    return {
        file: "\n\n".join(f"#### {heading(names)}\n\n{text}" for text, names in texts.items()) + "\n"
        for file, texts in blocks.items()
    }


def heading(names: list[str]) -> str:
    return ", ".join(names) if len(names) < 4 else f"{names[0]} and {len(names) - 1} others"


def test_golden_texts():
    texts = golden_texts()
    if os.environ.get("FLAN_JAX_WRITE_GOLDEN"):
        GOLDEN.mkdir(exist_ok=True)
        for file, text in texts.items():
            (GOLDEN / f"{file}.txt").write_text(text, encoding="utf-8")
    assert sorted(file.stem for file in GOLDEN.glob("*.txt")) == sorted(texts)
    for file, text in texts.items():
        assert text == (GOLDEN / f"{file}.txt").read_text(encoding="utf-8"), file


@pytest.mark.slow
@pytest.mark.seqio
def test_every_task_passes_the_check_against_published_schemas():
    pytest.importorskip("tensorflow_datasets", reason="needs the extra 'full'")
    checks = [check_task(spec, num_records=20) for spec in SPECS]
    assert [problem for check in checks for problem in check.problems] == []
    from_tfds = [spec for spec in SPECS if any(isinstance(s, TfdsSource) for s in mapped_sources(spec.source))]
    assert len(from_tfds) >= 60
    assert sum(check.num_random_kept for check in checks) > 20 * len(from_tfds) / 2
