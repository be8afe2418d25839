"""Every bundled task, held to the same rules: counts, splits, templates, options, modes, golden text.

After a wanted change of a task, write the golden files anew with FLAN_JAX_WRITE_GOLDEN=1 and read the difference.
"""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import pytest
from rendering import render

from flan_jax.config import DataConfig, TemplateMode
from flan_jax.data.registry import TaskSpec, get_mixture, get_task, task_names
from flan_jax.data.render.example import Example
from flan_jax.data.render.examples import describe, examples
from flan_jax.data.spec.fields import Dropped, fields_of
from flan_jax.data.spec.task import Fields

GOLDEN = Path(__file__).parent / "golden"
OWN = [name for name in task_names() if get_task(name).source.name.startswith("starter/")]
LONGEST_PROMPT = 320  # characters; the mixture is meant to fit a small machine
LONGEST_TARGET = 100


def tasks_where(holds: Callable[[TaskSpec], bool]) -> pytest.MarkDecorator:
    found = [name for name in OWN if holds(get_task(name))]
    return pytest.mark.parametrize("spec", [get_task(name) for name in found], ids=found)


every_task = tasks_where(lambda spec: True)
every_task_with_options = tasks_where(lambda spec: spec.options is not None)
every_task_with_reasoning = tasks_where(lambda spec: spec.answer_pattern is not None)


def rendered(spec: TaskSpec, split: str, data: DataConfig) -> list[Example]:
    found = [example for example in examples(spec, split, data) if isinstance(example, Example)]
    assert found
    return found


def all_fields(spec: TaskSpec, split: str) -> list[Fields]:
    items = list(fields_of(spec, split))
    assert not any(isinstance(item, Dropped) for item in items), f"{spec.name} drops records"
    return [item[1] for item in items if not isinstance(item, Dropped)]


def questions(spec: TaskSpec, split: str) -> list[str]:
    return [spec.inputs_pattern.fill(fields) for fields in all_fields(spec, split)]


def golden_text(spec: TaskSpec) -> str:
    shown = [(example.template_id, example.messages[0].content, example.target) for example in describe(spec, 1)]
    blocks = [f"[{number}] {prompt}\n=> {target}" for number, prompt, target in shown]
    return "\n\n".join(blocks) + "\n"


DIGEST = """
import hashlib, json
from flan_jax.data.registry import get_task, task_names
digest = hashlib.sha256()
for name in task_names():
    if not get_task(name).source.name.startswith("starter/"):
        continue
    for split in ("train", "validation"):
        for record in get_task(name).source.records(split):
            digest.update(json.dumps(record).encode())
print(digest.hexdigest())
"""


def test_there_is_breadth():
    assert len(OWN) >= 14
    assert len({get_task(name).cluster for name in OWN}) >= 7


@every_task
def test_counts(spec: TaskSpec):
    assert len(list(spec.source.records("train"))) >= 200
    assert len(list(spec.source.records("validation"))) >= 50


@every_task
def test_no_question_is_in_both_splits(spec: TaskSpec):
    train, validation = (set(questions(spec, split)) for split in ("train", "validation"))
    assert not train & validation


@every_task
def test_no_question_is_asked_twice(spec: TaskSpec):
    for split in ("train", "validation"):
        assert len(questions(spec, split)) == len(set(questions(spec, split)))


@every_task
def test_templates(spec: TaskSpec):
    assert len(spec.templates) == 10
    assert len({template.prompt for template in spec.templates}) == 10
    assert sum(template.inverted for template in spec.templates) <= 3


@every_task
def test_the_description_is_complete(spec: TaskSpec):
    for key in ("cluster", "inputs", "dataset_name", "version", "license", "citation", "description"):
        assert getattr(spec, key), f"{spec.name}: '{key}' is empty"
    assert spec.license in ("Apache-2.0", "Unicode-3.0")
    assert spec.cluster == spec.cluster.lower().replace(" ", "_")


@every_task
def test_the_metric_fits_the_answer(spec: TaskSpec):
    assert (spec.options is not None) == (spec.metrics[0] == "accuracy")


@every_task
@pytest.mark.parametrize("mode", ["instruction", "name", "none"])
@pytest.mark.parametrize("options", ["shown", "hidden"])
def test_every_mode_renders(spec: TaskSpec, mode: TemplateMode, options: Literal["shown", "hidden"]):
    data = DataConfig(template_mode=mode, options=options, max_examples=30, validation_examples=20)
    for split in ("train", "validation"):
        for example in rendered(spec, split, data):
            prompt = example.messages[0].content
            assert prompt.strip() == prompt
            assert example.target.strip() == example.target
            assert "{" not in prompt + example.target
            assert ("OPTIONS:" in prompt) <= (options == "shown")


@every_task_with_options
def test_options_hold_the_answer_and_answers_are_balanced(spec: TaskSpec):
    places = []
    for example in rendered(spec, "validation", DataConfig()):
        assert example.answer_index is not None
        assert example.options[example.answer_index] == example.target
        assert len(set(example.options)) == len(example.options) >= 2
        places.append(example.answer_index)
    # neither a place nor, where the options are fixed, a label wins by being named always
    most = max(places.count(place) for place in set(places))
    assert most / len(places) < 0.72


@every_task
def test_prompts_and_targets_are_short(spec: TaskSpec):
    for example in rendered(spec, "train", DataConfig()):
        assert len(example.messages[0].content) <= LONGEST_PROMPT
        assert len(example.target) <= LONGEST_TARGET


@every_task_with_reasoning
def test_a_chain_of_thought_gives_its_answer(spec: TaskSpec):
    assert spec.reasoning
    assert spec.answer_pattern
    for fields in all_fields(spec, "validation"):
        example = render(
            spec, fields, example_id=0, rendering=0, mode="none", options_shown=True, option_style="dash", seed=0
        )
        assert re.findall(spec.answer_pattern, example.target) == [fields["answer"]]


@every_task
def test_golden_text(spec: TaskSpec):
    file = GOLDEN / f"{spec.name}.txt"
    if os.environ.get("FLAN_JAX_WRITE_GOLDEN"):
        file.write_text(golden_text(spec), encoding="utf-8")
    assert golden_text(spec) == file.read_text(encoding="utf-8")


def test_no_golden_file_is_left_over():
    assert sorted(file.stem for file in GOLDEN.glob("*.txt")) == OWN


@pytest.mark.parametrize("name", ["starter", "starter_small"])
def test_mixtures_name_known_tasks(name: str):
    mixture = get_mixture(name)
    assert mixture.description
    for task in mixture.tasks:
        get_task(task)


def test_starter_holds_every_bundled_task():
    assert sorted(get_mixture("starter").tasks) == OWN


def test_records_are_the_same_in_every_process():
    digests = {
        subprocess.run(
            [sys.executable, "-c", DIGEST],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for hash_seed in ("0", "12345")
    }
    assert len(digests) == 1


def test_listing_is_quick_and_light():
    code = """
import sys, time
from flan_jax.data import registry
assert registry.task_names() and registry.mixture_names()
assert time.process_time() < 1, "start and listing took a second of processor time"
for heavy in ("jax", "tensorflow", "transformers", "torch", "seqio", "numpy"):
    assert heavy not in sys.modules, heavy
"""
    subprocess.run([sys.executable, "-c", code], check=True)
