"""Metrics that a task brings along: computed by its own functions, shown without an interval, in no mean."""

import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from flan_jax.data import registry
from flan_jax.data.sources.held_back import HoldBack
from flan_jax.data.spec.own_metrics import ExampleRecord
from flan_jax.data.spec.source import OwnSource
from flan_jax.data.spec.task import TaskSpec
from flan_jax.data.spec.template import Template
from flan_jax.errors import InputError
from flan_jax.evaluate.compare import compare
from flan_jax.evaluate.own_metrics import NOT_A_NUMBER, own_metrics
from flan_jax.evaluate.protocol import Evaluation, evaluate_tasks
from flan_jax.evaluate.questions import EvaluationItem
from flan_jax.evaluate.results import RESULTS, read_evaluation, write_evaluation
from flan_jax.evaluate.tasks import EvaluationTask
from flan_jax.report.console import OWN_METRICS
from flan_jax.report.scores import results_table


@dataclasses.dataclass(frozen=True)
class Functions:
    """Counts how often a prediction is the example's number, whatever the target says."""

    left_out: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def target(self, example: Mapping[str, Any]) -> Any:
        return example["number"]

    def prediction(self, text: str, example: Mapping[str, Any]) -> Any:
        return int(text) if text.isdigit() else -1

    def compute(self, targets: Sequence[Any], predictions: Sequence[Any]) -> Mapping[str, Any]:
        right = sum(one == other for one, other in zip(targets, predictions, strict=True))
        return {"right": right / len(targets), "nan": float("nan"), "picture": [[1]], "count": len(targets)}


@dataclasses.dataclass(frozen=True)
class Numbers(OwnSource):
    """Thirty numbers to repeat, with functions of their own."""

    functions: Functions | None = Functions()
    splits: tuple[str, ...] = ("train", "validation")
    count: int = 30
    carries: bool = False
    name: str = "numbers"
    version: str = "1"

    def has_split(self, split: str) -> bool:
        return split in self.splits

    def records(self, split: str) -> Iterator[Mapping[str, Any]]:
        for number in range(self.count):
            record = {"prompt": f"repeat {number}", "answer": str(number)}
            yield ExampleRecord(record, {"number": number}) if self.carries else record

    def metric_functions(self) -> Functions | None:
        return self.functions

    def with_examples(self) -> "Numbers":
        return dataclasses.replace(self, carries=True)


def spec_of(source: Any) -> TaskSpec:
    return TaskSpec(
        "numbers", "n", source, templates=(Template("{prompt}"),), inputs="{prompt}", metrics=("exact_match",)
    )


def items_of(ids: Sequence[int], numbers: Sequence[int] | None = None) -> tuple[EvaluationItem, ...]:
    return tuple(
        EvaluationItem("numbers", i, 0, f"repeat {n}", (1, 2), (), (), None, (str(n),))
        for i, n in zip(ids, numbers or ids, strict=True)
    )


def evaluated(source: Any, texts: Sequence[str], ids: Sequence[int], label: str = "x") -> Evaluation:
    items = items_of(ids)
    own = own_metrics(spec_of(source), items)
    task = EvaluationTask("numbers", "n", True, ("exact_match",), None, False, items, own)
    return evaluate_tasks([task], rank=lambda items: [], generate=lambda items, reasoning: list(texts), label=label)


def test_own_functions_see_the_examples_of_the_questions():
    [result] = evaluated(Numbers(), ["3", "no", "9"], [3, 7, 9]).results
    assert result.own_scores == {"right": pytest.approx(2 / 3), "count": 3.0}
    assert result.own_left_out == {"nan": NOT_A_NUMBER, "picture": NOT_A_NUMBER}
    assert result.scores == {"exact_match": pytest.approx(200 / 3)}  # ours are there as ever


def test_examples_are_found_again_on_the_held_back_side():
    source = HoldBack(Numbers(splits=("train",)), share=0.2)
    held = [record["answer"] for record in source.records("validation")]
    assert len(held) == 6
    assert held != [str(number) for number in range(6)]
    items = items_of(range(6), [int(answer) for answer in held])
    own = own_metrics(spec_of(source), items)
    assert own is not None
    assert own(held).scores["right"] == 1.0


def test_a_task_without_functions_has_none():
    assert own_metrics(spec_of(Numbers(functions=None)), items_of([1])) is None
    plain = registry.get_task("spelling")
    assert own_metrics(plain, items_of([1])) is None
    [result] = evaluated(Numbers(functions=None), ["1"], [1]).results
    assert (result.own_scores, result.own_left_out) == ({}, {})


def test_an_example_that_is_gone_is_refused():
    with pytest.raises(
        InputError, match="task 'numbers': the store has a question of example 30, which source numbers"
    ):
        own_metrics(spec_of(Numbers()), items_of([3, 30]))


def test_own_scores_are_written_and_read_back(tmp_path: Path):
    evaluation = evaluated(Numbers(Functions({"f": "takes the scores of targets"})), ["3", "no"], [3, 7])
    path = write_evaluation(tmp_path, evaluation, about={})
    [task] = json.loads(path.read_text())["tasks"]
    assert task["own_scores"] == {"right": 0.5, "count": 2.0}
    assert task["own_left_out"]["f"] == "takes the scores of targets"
    back = read_evaluation(tmp_path)
    assert back.results[0].own_scores == evaluation.results[0].own_scores
    assert back.own_summary() == {"own/numbers/right": 0.5, "own/numbers/count": 2.0}
    # results of before there were any
    results = json.loads(path.read_text())
    for field in ("own_scores", "own_left_out"):
        del results["tasks"][0][field]
    (tmp_path / RESULTS).write_text(json.dumps(results))
    assert read_evaluation(tmp_path).results[0].own_scores == {}


def test_the_table_shows_own_scores_without_an_interval(capsys: pytest.CaptureFixture[str]):
    from rich.console import Console

    functions = Functions({"rank": "takes the scores of targets"})
    before = evaluated(Numbers(functions), ["0", "no", "no"], [3, 7, 9], "before")
    after = evaluated(Numbers(functions), ["3", "7", "no"], [3, 7, 9], "after")
    changes = compare(before, after, seed=0)
    assert not any("right" in key for key in changes)
    table = results_table(after, before=before, changes=changes, title="t")
    Console(width=120, no_color=True).print(table)
    shown = capsys.readouterr().out
    [line] = [line for line in shown.splitlines() if " right " in line]
    assert line.split() == ["own", "right", "3", "0", "0.6667", "+0.6667", "none"]
    assert OWN_METRICS.split(";")[0] in shown
    assert "own metric 'rank' is not computed, since it takes the scores of targets" in " ".join(shown.split())
    assert after.summary()["seen/mean"] == pytest.approx(200 / 3)  # exact match alone
