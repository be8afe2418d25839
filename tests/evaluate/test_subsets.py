"""Scores on subsets are those of an evaluation of the subset alone, by every metric."""

import dataclasses
import json

import pytest

from flan_jax.errors import InputError
from flan_jax.evaluate.protocol import OptionLikelihoods, evaluate_tasks
from flan_jax.evaluate.questions import EvaluationItem
from flan_jax.evaluate.subsets import StoreContents, read_subsets, subset_scores, subsets_text
from flan_jax.evaluate.tasks import EvaluationTask
from flan_jax.report.contamination import SubsetLine, subset_notes

CONTENTS = StoreContents({"a": "1", "b": "2"}, {"t": "3", "u": "4"})
DIRTY, CLEAN = {"t": [1, 5], "u": []}, {"t": [0], "u": [7]}


def make_task(count: int) -> EvaluationTask:
    items = tuple(
        EvaluationItem(
            task="t",
            example_id=10 * number,
            template_id=0,
            prompt="",
            prompt_ids=(1,),
            options=("yes", "no"),
            option_ids=((2,), (3,)),
            answer_index=number % 2,
            references=(f"the answer of question number {number} is here",),
        )
        for number in range(count)
    )
    metrics = ("accuracy", "exact_match", "token_f1", "bleu", "rouge_1", "rouge_2", "rouge_l")
    return EvaluationTask("t", "c", True, metrics, None, False, items)


def rank(items):
    return [OptionLikelihoods((-1.0, -2.0 + item.example_id % 3), (1, 1)) for item in items]


def generate(items, *, reasoning):
    return [f"the answer of question {item.example_id} number {item.example_id // 10} is it" for item in items]


def test_scores_of_a_subset_are_those_of_an_evaluation_of_it_alone():
    task = make_task(12)
    evaluation = evaluate_tasks([task], rank=rank, generate=generate, label="all")
    dirty = {0, 30, 40, 110}
    (found,) = subset_scores(evaluation, {"t": frozenset(dirty)})
    for score, is_dirty in ((found.dirty, True), (found.clean, False)):
        items = tuple(item for item in task.items if (item.example_id in dirty) == is_dirty)
        alone = evaluate_tasks([dataclasses.replace(task, items=items)], rank=rank, generate=generate, label="some")
        assert score.count == len(items)
        assert score.scores == pytest.approx(dict(alone.results[0].scores))


def test_an_empty_subset_has_no_score():
    evaluation = evaluate_tasks([make_task(3)], rank=rank, generate=generate, label="all")
    (found,) = subset_scores(evaluation, {"t": frozenset({0, 10, 20})})
    assert (found.clean.count, found.clean.scores, found.dirty.count) == (0, {}, 3)


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "subsets.json"
    path.write_text(subsets_text(DIRTY, CLEAN, contents=CONTENTS, settings={"overlap": 0.0}))
    return path


def test_subsets_read_back(path):
    assert read_subsets(path, contents=CONTENTS, tasks=["u", "t"]) == {"u": frozenset(), "t": frozenset({1, 5})}


@pytest.mark.parametrize(
    ("training", "evaluation", "found"),
    [
        ({"a": "9", "b": "2"}, {}, "task 'a' has other training examples now"),
        ({"a": "1"}, {}, "task 'b' is trained on in only one of the two"),
        ({"a": "1", "b": "2", "c": "3"}, {}, "task 'c' is trained on in only one"),
        ({"a": "1", "b": "2"}, {"t": "9"}, "task 't' has other questions now"),
    ],
)
def test_stale_subsets_are_refused_by_task(path, training, evaluation, found):
    with pytest.raises(InputError, match=found):
        read_subsets(path, contents=StoreContents(training, {**CONTENTS.evaluation, **evaluation}), tasks=["t"])


def test_a_task_without_subsets_is_refused(path):
    with pytest.raises(InputError, match="no subsets of task 'v'"):
        read_subsets(path, contents=CONTENTS, tasks=["v"])


@pytest.mark.parametrize("text", ["", "{", "[]", json.dumps({"format": 1}), json.dumps({"format": 2})])
def test_other_files_are_refused(tmp_path, text):
    path = tmp_path / "other.json"
    path.write_text(text)
    with pytest.raises(InputError, match=r"not (valid JSON|a subsets\.json of format 1)"):
        read_subsets(path, contents=CONTENTS, tasks=[])


def test_notes_name_empty_and_small_subsets():
    lines = [
        SubsetLine("none", "bleu", 9, 1.0, (0, None), (9, 1.0)),
        SubsetLine("few", "bleu", 9, 1.0, (7, 1.0), (2, 1.0)),
        SubsetLine("many", "bleu", 90, 1.0, (88, 1.0), (2, 1.0)),
    ]
    empty, few = subset_notes(lines)
    assert empty.endswith(": none")
    assert few.endswith(": few (7)")
