import dataclasses
import json

import numpy as np
import pytest

from flan_jax.errors import InputError
from flan_jax.evaluate.compare import compare
from flan_jax.evaluate.protocol import OptionLikelihoods, evaluate_tasks
from flan_jax.evaluate.questions import EvaluationItem, read_items
from flan_jax.evaluate.results import PREDICTIONS, RESULTS, read_evaluation, write_evaluation
from flan_jax.evaluate.tasks import EvaluationTask


def make_item(task: str, number: int, **changes) -> EvaluationItem:
    item = EvaluationItem(
        task=task,
        example_id=number,
        template_id=0,
        prompt=f"question {number}\u2028of {task}",
        prompt_ids=(1, 2, 3),
        options=("yes", "no"),
        option_ids=((4, 9), (5, 9)),
        answer_index=number % 2,
        references=(("yes", "no")[number % 2],),
    )
    return dataclasses.replace(item, **changes)


def make_task(name: str, *, count: int = 4, seen: bool = True, cluster: str = "c", **changes) -> EvaluationTask:
    task = EvaluationTask(
        name=name,
        cluster=cluster,
        seen=seen,
        metrics=("accuracy",),
        answer_pattern=None,
        reasoning=False,
        items=tuple(make_item(name, number) for number in range(count)),
    )
    return dataclasses.replace(task, **changes)


def rank_first(items):
    return [OptionLikelihoods((-1.0, -2.0), (1, 4)) for _ in items]


def rank_right(items):
    return [OptionLikelihoods(tuple(-float(i != item.answer_index) for i in range(2)), (2, 2)) for item in items]


def say_yes(items, *, reasoning):
    return ["I think so. The answer is yes." if reasoning else "Yes!" for _ in items]


TASKS = (
    make_task("ranked", cluster="a"),
    make_task("spoken", cluster="a", metrics=("exact_match", "bleu"), count=6),
    make_task("held", cluster="b", seen=False, metrics=("accuracy", "token_f1")),
)


def test_scores_and_groups():
    evaluation = evaluate_tasks(TASKS, rank=rank_first, generate=say_yes, label="before")
    scores = {result.task: (result.metric, result.score, result.count, result.seen) for result in evaluation.results}
    assert scores == {
        "ranked": ("accuracy", 50.0, 4, True),
        "spoken": ("exact_match", 50.0, 6, True),
        "held": ("accuracy", 50.0, 4, False),
    }
    assert evaluation.results[0].scores["accuracy_per_token"] == 50.0
    summary = evaluation.summary()
    assert set(summary) == {
        *(
            "seen/mean",
            "held_out/mean",
            "seen/accuracy",
            "held_out/accuracy",
            "cluster/a",
            "cluster/b",
            "task/ranked",
            "task/spoken",
            "task/held",
        )
    }


def test_questions_of_all_tasks_are_asked_at_once():
    calls = []

    def rank(items):
        calls.append([item.task for item in items])
        return rank_right(items)

    evaluation = evaluate_tasks(TASKS, rank=rank, generate=say_yes, label="x")
    assert calls == [["ranked"] * 4 + ["held"] * 4]
    assert evaluation.summary()["held_out/mean"] == 100.0


def test_answers_are_read_from_a_chain_of_thought():
    items = tuple(make_item("math", n, references=(f"So. The answer is {n}.",)) for n in range(3))
    task = make_task("math", metrics=("exact_match",), reasoning=True, answer_pattern=r"answer is (\S+)\.", items=items)

    def generate(asked, *, reasoning):
        assert reasoning
        return ["Hm. The answer is 0. Or: the answer is 7.", "The answer is 1.", "2"]

    (result,) = evaluate_tasks([task], rank=rank_first, generate=generate, label="x").results
    assert [p.answer for p in result.per_example] == ["7", "1", None]
    assert [p.values["exact_match"] for p in result.per_example] == [0.0, 100.0, 0.0]
    assert result.unread == 1


def test_written_evaluation_reads_back(tmp_path):
    evaluation = evaluate_tasks(TASKS, rank=rank_first, generate=say_yes, label="step 3")
    path = write_evaluation(tmp_path / "new" / "step3", evaluation, about={"step": 3})
    assert json.loads(path.read_text())["about"] == {"step": 3}
    assert sorted(p.name for p in path.parent.iterdir()) == [PREDICTIONS, RESULTS]
    back = read_evaluation(path.parent)
    assert back.summary() == evaluation.summary()
    assert back.results[1].per_example[0].text == "Yes!"
    changes = compare(evaluation, back, seed=0)
    assert all((change.difference, change.low, change.high) == (0, 0, 0) for change in changes.values())


def test_tampered_missing_and_unwritable_results_are_refused(tmp_path):
    evaluation = evaluate_tasks(TASKS[:1], rank=rank_first, generate=say_yes, label="x")
    folder = write_evaluation(tmp_path / "e", evaluation, about={}).parent
    predictions = (folder / PREDICTIONS).read_bytes()
    (folder / PREDICTIONS).write_bytes(predictions[:-10])
    with pytest.raises(InputError, match=r"is not the file results\.json was written with"):
        read_evaluation(folder)
    with pytest.raises(InputError, match="cannot be read"):
        read_evaluation(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        write_evaluation(tmp_path / "file", evaluation, about={})


def test_interval_covers_the_true_difference():
    """Over many draws of questions from a known population, about 95% of the intervals hold the true difference."""
    rng = np.random.default_rng(0)
    covered = 0
    for trial in range(100):
        tasks = [make_task(name, count=60) for name in ("t", "u")]
        right = {
            (item.task, item.example_id): rng.random(2) < (0.4, 0.7) for task in tasks for item in task.items
        }  # before and after: right with probability 0.4 and 0.7

        def rank(items, side, right=right):
            chosen = [(i.answer_index if right[i.task, i.example_id][side] else 1 - i.answer_index) for i in items]
            return [OptionLikelihoods(tuple(-float(o != c) for o in range(2)), (1, 1)) for c in chosen]

        before, after = (
            evaluate_tasks(tasks, rank=lambda items, s=side: rank(items, s), generate=say_yes, label=str(side))
            for side in (0, 1)
        )
        change = compare(before, after, seed=trial)["seen/mean"]
        covered += change.low <= 30 <= change.high
    assert 88 <= covered <= 100


def test_interval_of_bleu_is_of_the_corpus_score():
    task = make_task(
        "t", metrics=("bleu",), items=tuple(make_item("t", n, references=("a b c d e",)) for n in range(5))
    )
    before, after = (
        evaluate_tasks([task], rank=rank_first, generate=lambda items, reasoning, t=text: [t] * len(items), label=text)
        for text in ("a b c d x", "a b c d e")
    )
    change = compare(before, after, seed=0)["task/t"]
    assert change.low == pytest.approx(change.difference)  # equal examples: every resample gives the same corpus score
    assert change.high == pytest.approx(change.difference)
    assert change.after == pytest.approx(100)


def test_evaluations_of_other_questions_are_not_compared():
    tasks = [make_task("t", count=3), make_task("t", count=4), make_task("u", count=3)]
    made = [evaluate_tasks([task], rank=rank_first, generate=say_yes, label="x") for task in tasks]
    for other in made[1:]:
        with pytest.raises(InputError, match="task 't' differs"):
            compare(made[0], other, seed=0)


LINE = {
    "example_id": 7,
    "template_id": 2,
    "prompt": "is\u2028it?",
    "prompt_ids": [1, 2],
    "option_ids": [[3], [4]],
    "options": ["yes", "no"],
    "answer_index": 0,
    "references": ["yes"],
}


def test_items_are_read_at_even_distances(tmp_path):
    path = tmp_path / "evaluation.jsonl"
    path.write_text("".join(json.dumps(LINE | {"example_id": n}, ensure_ascii=False) + "\n" for n in range(10)))
    assert [item.example_id for item in read_items(path, "t", most=4)] == [0, 2, 5, 7]
    items = read_items(path, "t", most=None)
    assert len(items) == 10
    assert items[0].option_ids == ((3,), (4,))


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ('{"a": ', "line 2: not valid JSON"),
        ("[]", "line 2: not an evaluation example"),
        (json.dumps({k: v for k, v in LINE.items() if k != "prompt_ids"}), "KeyError: 'prompt_ids'"),
        (json.dumps(LINE | {"prompt_ids": []}), "at least one token"),
        (json.dumps(LINE | {"options": ["yes"]}), "1 option texts, 2 lists"),
    ],
)
def test_bad_lines_are_refused_by_number(tmp_path, line, found):
    path = tmp_path / "evaluation.jsonl"
    path.write_text(json.dumps(LINE) + "\n" + line + "\n")
    with pytest.raises(InputError, match=found):
        read_items(path, "t", most=None)


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"items": ()}, "no examples"),
        ({"metrics": ("f7",)}, "metric 'f7' is unknown; allowed: accuracy, exact_match"),
        ({"metrics": ()}, "no metric is named"),
        ({"items": (make_item("t", 0, option_ids=()),)}, "at least two answer options, found 0"),
        ({"items": (make_item("t", 0, answer_index=2),)}, "answer_index is 2"),
        ({"metrics": ("bleu",), "items": (make_item("t", 0, references=()),)}, "no reference answer"),
        ({"metrics": ("bleu",), "answer_pattern": "is (.*)"}, "matches no reference"),
        ({"metrics": ("bleu",), "answer_pattern": "is"}, "0 groups"),
    ],
)
def test_tasks_that_cannot_be_evaluated_are_refused(changes, found):
    with pytest.raises(InputError, match=found):
        make_task("t", **changes)
