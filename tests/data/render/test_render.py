"""Rendering: every example once, choices keyed, options and targets in step, errors that name task, split and field."""

import itertools
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import pytest
from rendering import render

from flan_jax.config import DataConfig
from flan_jax.data.registry import IterableSource, TaskSpec, Template
from flan_jax.data.render import examples as rendering
from flan_jax.data.render.example import Example
from flan_jax.data.render.examples import describe, examples
from flan_jax.data.spec.fields import Dropped
from flan_jax.errors import InputError

LABELS = ("yes", "no", "maybe")


def pairs(count: int) -> list[dict[str, Any]]:
    return [{"premise": f"p{i} {{x}}", "hypothesis": f"h{i}", "label": LABELS[i % 3]} for i in range(count)]


def source(records: Iterable[Mapping[str, Any]]) -> IterableSource:
    records = list(records)
    return IterableSource(lambda split: records, "1", "given")


def inference(count: int = 30, **changes: Any) -> TaskSpec:
    templates = [Template(f"{i}: {{premise}} So {{hypothesis}}?") for i in range(4)]
    templates.append(Template("Turn a {answer} into a premise for {hypothesis}.", "{premise}", inverted=True))
    settings: dict[str, Any] = {
        "source": source(pairs(count)),
        "templates": tuple(templates),
        "inputs": "{premise}\n{hypothesis}",
        "options": LABELS,
        "answer": "label",
        "dataset_name": "Made pairs",
    }
    return TaskSpec("inference", "nli", **{**settings, **changes})


def one(spec: TaskSpec, fields: Mapping[str, Any], **changes: Any) -> Example:
    settings: dict[str, Any] = {
        "example_id": 0,
        "rendering": 0,
        "mode": "instruction",
        "options_shown": True,
        "option_style": "dash",
        "seed": 0,
    }
    return render(spec, fields, **{**settings, **changes})


def rendered(spec: TaskSpec, split: str = "train", **data: Any) -> list[Example]:
    items = list(examples(spec, split, DataConfig(**data)))
    assert all(isinstance(item, Example) for item in items)
    return [item for item in items if isinstance(item, Example)]


def test_golden_texts_of_modes_and_styles():
    spec = inference(templates=(Template("{premise}? {hypothesis}"),))
    fields = {"premise": "All {x} are wet.", "hypothesis": "One is.", "label": "yes"}
    shown = one(spec, fields)
    assert shown.messages[0].content == "All {x} are wet.? One is.\n\nOPTIONS:\n- no\n- yes\n- maybe"
    assert (shown.target, shown.options, shown.answer_index) == ("yes", ("no", "yes", "maybe"), 1)
    letters = one(spec, fields, option_style="letters")
    assert letters.messages[0].content.endswith("OPTIONS:\nA. no\nB. yes\nC. maybe")
    assert (letters.target, letters.options, letters.references) == ("B", ("A", "B", "C"), ("B",))
    assert one(spec, fields, option_style="numbers").target == "2"
    hidden = one(spec, fields, options_shown=False)
    assert hidden.messages[0].content == "All {x} are wet.? One is."
    assert (hidden.options, hidden.answer_index) == (LABELS, 0)
    named = one(spec, fields, mode="name", options_shown=False)
    assert named.messages[0].content == "[Made pairs] All {x} are wet.\nOne is."
    assert named.template_id == rendering.NO_TEMPLATE
    assert one(spec, fields, mode="none", options_shown=False).messages[0].content == "All {x} are wet.\nOne is."


@pytest.mark.parametrize("style", ["dash", "letters", "numbers"])
@pytest.mark.parametrize("mode", ["instruction", "name", "none"])
def test_target_is_never_a_mark_where_options_are_hidden(style: Any, mode: Any):
    for example in rendered(inference(), options="hidden", option_style=style, template_mode=mode, renderings=5):
        straight = example.template_id != 4
        assert "OPTIONS" not in example.messages[0].content
        assert (example.target in LABELS) == straight
        assert example.options == (LABELS if straight else ())


@pytest.mark.parametrize("style", ["dash", "letters", "numbers"])
def test_the_target_is_the_option_that_the_prompt_shows(style: Any):
    for example in rendered(inference(), option_style=style, renderings=5):
        if example.template_id == 4:
            assert example.answer_index is None
            continue
        lines = example.messages[0].content.partition("OPTIONS:\n")[2].splitlines()
        assert example.answer_index is not None
        label = LABELS[example.example_id % 3]
        mark = "- " if style == "dash" else f"{example.target}. "
        assert lines[example.answer_index] == mark + label
        assert example.options[example.answer_index] == example.target
        assert example.references == (example.target,)


def test_every_example_is_rendered_and_renderings_differ_in_template():
    items = rendered(inference(101), renderings=7)
    assert Counter(item.example_id for item in items) == dict.fromkeys(range(101), 7)
    for _, group in itertools.groupby(items, key=lambda item: item.example_id):
        templates = [item.template_id for item in group]
        assert sorted(templates[:5]) == [0, 1, 2, 3, 4]
    first = Counter(item.template_id for item in items if item.rendering == 0)
    assert min(first.values()) > 5


def test_choices_follow_from_the_key_alone():
    items = rendered(inference(50))
    again = {item.example_id: item for item in rendered(inference(80))}
    assert all(again[item.example_id] == item for item in items)
    other = rendered(inference(50), render_seed=1)
    assert sum(a.messages != b.messages for a, b in zip(items, other, strict=True)) > 25
    orders = Counter(item.options for item in rendered(inference(600)) if item.options)
    assert len(orders) == 6
    assert max(orders.values()) < 2 * min(orders.values())


def test_evaluation_leaves_inverted_templates_out():
    items = rendered(inference(60), "validation", renderings=3)
    assert len(items) == 60
    assert {item.template_id for item in items} == {0, 1, 2, 3}
    assert items == rendered(inference(60), "validation")


def test_over_the_cap_a_keyed_sample_stays_and_the_rest_is_counted():
    records = sorted(pairs(300), key=lambda record: record["label"])
    items = list(examples(inference(source=source(records)), "validation", DataConfig(validation_examples=60)))
    kept = [item for item in items if isinstance(item, Example)]
    dropped = [item for item in items if isinstance(item, Dropped)]
    assert sorted(item.example_id for item in items) == list(range(300))
    assert len(kept) == 60
    assert [item.example_id for item in kept] == sorted(item.example_id for item in kept)
    assert {item.reason for item in dropped} == {rendering.OVER_CAP}
    assert min(Counter(item.target for item in kept).values()) > 8


def test_map_may_skip_and_multiply_and_ids_stay_put():
    def split_up(record: Mapping[str, Any]) -> Any:
        number = record["n"]
        return (
            None if number == 1 else [{"q": f"{number}.{k}", "answer": ""} for k in range(2)] if number == 2 else record
        )

    spec = TaskSpec(
        "numbers",
        "c",
        source({"n": n, "q": str(n), "answer": "a"} for n in range(4)),
        templates=(Template("{q}"),),
        map=split_up,
        metrics=("exact_match",),
    )
    items = sorted(examples(spec, "train", DataConfig()), key=lambda item: item.example_id)
    assert [item.example_id for item in items] == [0, 1, 2, 3, 4]
    assert [item.reason if isinstance(item, Dropped) else item.messages[0].content for item in items] == [
        "0",
        rendering.SKIPPED,
        rendering.EMPTY_TARGET,
        rendering.EMPTY_TARGET,
        "3",
    ]


def test_accepted_answers_are_all_references_and_one_is_the_target():
    spec = TaskSpec(
        "names",
        "c",
        source([{"q": "x", "names": ["a", "b", "a"]}]),
        templates=(Template("{q}"),),
        target="It is {answer}.",
        answer="names",
        metrics=("exact_match",),
    )
    targets = {one(spec, {"q": "x", "names": ["a", "b"]}, rendering=r).target for r in range(20)}
    assert targets == {"It is a.", "It is b."}
    shown = one(spec, {"q": "x", "names": ["a", "b", "a"]}, evaluation=True)
    assert (shown.target, shown.references) == ("It is a.", ("It is a.", "It is b."))


def test_a_chain_of_thought_has_no_ranked_options():
    spec = inference(
        templates=(Template("{premise}"),),
        target="Think. So {answer}.",
        reasoning=True,
        metrics=("exact_match",),
        answer_pattern=r"So (.+)\.",
    )
    example = one(spec, pairs(1)[0], option_style="letters")
    assert "OPTIONS:" in example.messages[0].content
    assert (example.target, example.options, example.answer_index) == ("Think. So B.", (), None)


def test_options_of_the_record_and_more_than_26_of_them():
    spec = inference(options="choices", templates=(Template("{premise}"),))
    choices = [f"o{i}" for i in range(150)]
    example = one(spec, {"premise": "x", "choices": choices, "label": "o7"}, option_style="letters")
    lines = example.messages[0].content.splitlines()
    assert f"{example.target}. o7" in lines
    assert len(set(example.options)) == 150
    assert lines[-1].startswith("ET. ")


def test_conversations_take_no_template():
    turns = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}] * 2
    spec = TaskSpec("talk", "chat", source([{"messages": turns}, {"messages": turns[:3]}]), metrics=("exact_match",))
    kept, dropped = examples(spec, "train", DataConfig())
    assert isinstance(kept, Example)
    assert [message.content for message in kept.messages] == ["a", "b", "a", "b"]
    assert (kept.template_id, kept.references) == (rendering.NO_TEMPLATE, ("b",))
    assert dropped == Dropped(rendering.UNANSWERED, 1)


def test_describe_shows_every_template_of_the_first_examples():
    shown = describe(inference(), 2)
    assert [(item.example_id, item.template_id) for item in shown] == [(e, t) for e in range(2) for t in range(5)]


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        (
            {"templates": (Template("{premise}"), Template("{nothing}"))},
            "template 1: unknown field 'nothing'; .* 'premise'",
        ),
        ({"inputs": "{other}"}, "inputs: unknown field 'other'"),
        ({"map": lambda record: {"x": record["missing"]}}, "split 'train', example 0: .* 'missing'.* 'premise'"),
        ({"map": lambda record: None}, "split 'train': all 30 records were skipped"),
        ({"source": source([])}, "split 'train': is empty"),
        ({"splits": {"test": "test"}}, "no split 'train'; it has 'test'"),
    ],
)
def test_bad_tasks_are_told_before_anything_is_rendered(changes: dict[str, Any], problem: str):
    with pytest.raises(InputError, match=f"task 'inference'.*{problem}"):
        list(examples(inference(**changes), "train", DataConfig()))


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"premise": None}, "field 'premise' holds nothing"),
        ({"label": "perhaps"}, "answer 'perhaps' is none of the options"),
        ({"label": None}, "field 'label' is missing"),
        ({"label": {}}, "field 'label' holds a dict"),
    ],
)
def test_a_bad_example_is_told_with_task_split_and_number(change: dict[str, Any], problem: str):
    records = pairs(8)
    records[5] |= change
    spec = inference(source=source(records), templates=(Template("{premise}"),))
    with pytest.raises(InputError, match=f"task 'inference', split 'validation', example 5: .*{problem}"):
        list(examples(spec, "validation", DataConfig()))


def test_a_later_record_without_a_field_is_told_by_number():
    records: list[dict[str, Any]] = pairs(8)
    del records[5]["premise"]
    with pytest.raises(InputError, match=r"task 'inference', split 'train', example 5: .*'premise', which is missing"):
        list(examples(inference(source=source(records)), "train", DataConfig(max_examples=None, renderings=5)))


@pytest.mark.parametrize("turn", ["text", {"role": "robot", "content": "a"}, {"role": "user", "content": 3}, {}])
def test_a_bad_turn_is_told(turn: Any):
    spec = TaskSpec("talk", "chat", source([{"messages": [turn]}]), metrics=("exact_match",))
    with pytest.raises(InputError, match="task 'talk', split 'train', example 0: turn 0"):
        list(examples(spec, "train", DataConfig()))


def test_all_renderings_are_one_in_every_template():
    spec = inference(4)
    found = rendered(spec, renderings="all")
    for example_id in range(4):
        assert sorted(e.template_id for e in found if e.example_id == example_id) == list(range(len(spec.templates)))
    assert len(rendered(spec, renderings="all", template_mode="none")) == 4


def test_where_others_are_only_accepted_the_first_answer_is_trained_on():
    records = [{"q": str(number), "answer": ["first", "second", "third"]} for number in range(30)]
    for trains_on, targets in (("any", {"first", "second", "third"}), ("first", {"first"})):
        spec = TaskSpec(
            "aliases", "c", source(records), (Template("{q}"),), metrics=("exact_match",), trains_on=trains_on
        )
        found = rendered(spec)
        assert {example.target for example in found} == targets
        assert {example.references for example in found} == {("first", "second", "third")}
