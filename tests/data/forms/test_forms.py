"""Forms: the files users have become tasks by name, with a held-back validation share; malformed talk is named."""

import dataclasses
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from flan_jax.config import DataConfig
from flan_jax.data import registry
from flan_jax.data.forms.forms import FORMS, form_task, task_in_form
from flan_jax.data.registry.placed import with_settings
from flan_jax.data.registry.resolve import resolve_mixture
from flan_jax.data.render.examples import examples
from flan_jax.data.sources.files import FileSource
from flan_jax.data.sources.held_back import HoldBack
from flan_jax.data.spec.fields import Dropped
from flan_jax.data.spec.schema import Skip
from flan_jax.data.spec.task import TaskSpec
from flan_jax.errors import InputError

ALL = DataConfig(max_examples=10**9, validation_examples=10**9)


def written(folder: Path, *records: Any) -> str:
    path = folder / "x.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return str(path)


def turns(form: str, record: Any, folder: Path) -> list[tuple[str, str]] | str:
    """The conversation a record becomes, or the reason why it is dropped."""
    path = written(folder, record)
    source = FORMS[form].source(path)
    [fields] = map(FORMS[form].map, source.records("train"))
    if isinstance(fields, Skip):
        return fields.reason
    [example] = examples(dataclasses.replace(form_task(form, path), source=source), "train", ALL)
    assert not isinstance(example, Dropped), example.reason
    return [(message.role, message.content) for message in example.messages]


def asked(task: TaskSpec, split: str) -> list[str]:
    """The first turn of every example."""
    return [item.messages[0].content for item in examples(task, split, ALL) if not isinstance(item, Dropped)]


def said(*texts: str) -> list[dict[str, str]]:
    return [{"role": ("user", "assistant")[i % 2], "content": text} for i, text in enumerate(texts)]


def shared(*sides: str) -> list[dict[str, str]]:
    return [{"from": side, "value": f"{side} {place}"} for place, side in enumerate(sides)]


@pytest.mark.parametrize(
    ("form", "record", "expected"),
    [
        ("alpaca", {"instruction": "Do.", "input": "", "output": "Done."}, [("user", "Do."), ("assistant", "Done.")]),
        (
            "alpaca",
            {"instruction": "Do.", "input": "It.", "response": "D"},
            [("user", "Do.\n\nIt."), ("assistant", "D")],
        ),
        (
            "alpaca",
            {"instruction": "c", "output": "d", "system": "s", "history": [["a", "b"]]},
            [("system", "s"), ("user", "a"), ("assistant", "b"), ("user", "c"), ("assistant", "d")],
        ),
        (
            "dolly",
            {"instruction": "Who?", "context": "Ann came.", "response": "Ann.", "category": "qa"},
            [("user", "Who?\n\nAnn came."), ("assistant", "Ann.")],
        ),
        ("self-instruct", {"prompt": "a", "completion": " b<|endoftext|>"}, [("user", "a"), ("assistant", "b")]),
        (
            "openorca",
            {"id": "1", "system_prompt": "s", "question": "a", "response": "b"},
            [("system", "s"), ("user", "a"), ("assistant", "b")],
        ),
        (
            "openorca",
            {"id": "1", "system_prompt": "", "question": "a", "response": "b"},
            [("user", "a"), ("assistant", "b")],
        ),
        ("prompt-completion", {"prompt": "a {b}", "completion": " c"}, [("user", "a {b}"), ("assistant", " c")]),
        (
            "prompt-completion",
            {"prompt": said("a"), "completion": said("-", "b")[1:]},
            [("user", "a"), ("assistant", "b")],
        ),
        ("messages", {"messages": said("a", "b", "c", "d")}, [*zip(["user", "assistant"] * 2, "abcd", strict=True)]),
        (
            "messages",
            {"messages": [{"role": "developer", "content": [{"type": "text", "text": "s"}]}, *said("a", "b")]},
            [("system", "s"), ("user", "a"), ("assistant", "b")],
        ),
        (
            "sharegpt",
            {"conversations": shared("gpt", "human", "gpt", "human"), "system": "s"},
            [("system", "s"), ("user", "human 1"), ("assistant", "gpt 2")],
        ),
        (
            "sharegpt",
            {"conversations": shared("system", "human", "gpt")},
            [("system", "system 0"), ("user", "human 1"), ("assistant", "gpt 2")],
        ),
        ("messages", {"conversations": said("a", "b")}, [("user", "a"), ("assistant", "b")]),
        ("p3", {"inputs_pretokenized": "a\n", "targets_pretokenized": "\nb"}, [("user", "a"), ("assistant", "b")]),
        ("p3", {"template": "t", "prompt": "a", "completion": "b<|endoftext|>"}, [("user", "a"), ("assistant", "b")]),
    ],
)
def test_records_become_conversations(form: str, record: Any, expected: Any, tmp_path: Path):
    assert turns(form, record, tmp_path) == expected


MALFORMED = [
    ("two user turns in a row", [*said("a"), *said("b", "c")]),
    ("two assistant turns in a row", [*said("a", "b"), said("-", "c")[1]]),
    ("empty answer", said("a", " ")),
    ("empty question", said("\n", "b")),
    ("no answer at the end", said("a", "b", "c")),
    ("answer before the first question", [said("-", "b")[1], *said("a", "b")]),
    ("turn of an unknown role", [*said("a"), {"role": "narrator", "content": "b"}]),
    ("turn of a tool or with a tool's call", [*said("a"), {"role": "tool", "content": "x"}, *said("b", "c")]),
    (
        "turn of a tool or with a tool's call",
        [*said("a"), {"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]}],
    ),
    ("turn without text", [*said("a"), {"role": "assistant", "content": None}]),
    ("turn without text", [{"role": "user", "content": [{"type": "image_url"}]}, *said("-", "b")[1:]]),
    ("system text after the first turn", [*said("a"), {"role": "system", "content": "s"}, *said("-", "b")[1:]]),
    ("conversation that is no list of turns", "a"),
    ("conversation without a turn", []),
    ("conversation without a turn", [{"role": "system", "content": "s"}]),
]


@pytest.mark.parametrize(("reason", "talk"), MALFORMED)
def test_malformed_talk_is_named(reason: str, talk: Any, tmp_path: Path):
    assert turns("messages", {"messages": talk}, tmp_path) == reason


@pytest.mark.parametrize(
    ("form", "record", "reason"),
    [
        ("sharegpt", {"conversations": shared("human", "human", "gpt")}, "two user turns in a row"),
        ("sharegpt", {"conversations": shared("human", "gpt", "gpt")}, "two assistant turns in a row"),
        (
            "sharegpt",
            {"conversations": shared("human", "function_call", "gpt")},
            "turn of a tool or with a tool's call",
        ),
        ("sharegpt", {"conversations": shared("human")}, "no answer at the end"),
        ("sharegpt", {"conversations": shared("human", "judge")}, "turn of an unknown role"),
        ("alpaca", {"instruction": "a", "output": ""}, "empty answer"),
        ("alpaca", {"instruction": " ", "output": "b"}, "empty question"),
        ("alpaca", {"instruction": "c", "output": "d", "history": [["a", ""]]}, "empty answer"),
        ("dolly", {"instruction": "a", "response": None}, "null where text is needed"),
        ("openorca", {"question": "a", "response": ""}, "empty answer"),
        ("prompt-completion", {"prompt": "a", "completion": ""}, "empty answer"),
        ("p3", {"prompt": "a", "completion": "<|endoftext|>"}, "empty answer"),
    ],
)
def test_malformed_records_are_named(form: str, record: Any, reason: str, tmp_path: Path):
    assert turns(form, record, tmp_path) == reason


def test_malformed_records_are_counted_and_never_held_back(tmp_path: Path):
    bad = [{"messages": said(f"a{i}", "b", "c")} for i in range(30)]
    good = [{"messages": said(f"a{i}", "b")} for i in range(10)]
    task = form_task("messages", written(tmp_path, *bad, *good))
    counts = {
        split: Counter(item.reason if isinstance(item, Dropped) else "kept" for item in examples(task, split, ALL))
        for split in ("train", "validation")
    }
    assert counts == {"train": {"no answer at the end": 30, "kept": 9}, "validation": {"kept": 1}}


def test_each_instance_of_an_instruction_is_an_example(tmp_path: Path):
    instances = [{"input": "x", "output": "1"}, {"input": "", "output": "2"}, {"input": "y", "output": ""}]
    path = written(tmp_path, *({"instruction": f"Do {n}.", "instances": instances} for n in range(2)))
    items = list(examples(form_task("self-instruct", path), "train", ALL))
    assert [item.reason if isinstance(item, Dropped) else item.messages[0].content[4:] for item in items] == [
        ".\n\nx",
        ".",
        "empty answer",
    ]


def test_one_template_of_a_prompted_file(tmp_path: Path):
    path = written(tmp_path, *({"template": "ab"[n % 2], "prompt": f"p{n}", "completion": "c"} for n in range(20)))
    task = form_task("p3", f"{path}#b")
    assert sorted(asked(task, "train") + asked(task, "validation")) == sorted(f"p{n}" for n in range(1, 20, 2))
    with pytest.raises(InputError, match="no record has the template 'c'; there are 'a', 'b'"):
        list(examples(form_task("p3", f"{path}#c"), "train", ALL))


@pytest.mark.parametrize(
    ("form", "problem"),
    [
        ("alpaca", r"example 0: its map asks for 'instruction', .* 'prompts', 'completions'"),
        ("p3", r"example 0: its map asks for 'inputs_pretokenized', .* 'prompts', 'completions'"),
        ("oasst", r"a record has prompts, completions; OpenAssistant's have 'prompt' \(trees\)"),
    ],
)
def test_a_record_of_another_form_is_told(form: str, problem: str, tmp_path: Path):
    path = written(tmp_path, {"prompts": "a", "completions": "b"}, {"prompts": "a", "completions": "c"})
    with pytest.raises(InputError, match=problem):
        list(examples(form_task(form, path), "train", DataConfig()))


@pytest.mark.usefixtures("own_registry")
def test_names_of_the_form_are_tasks_and_mix_with_others(tmp_path: Path):
    path = written(tmp_path, *({"prompt": f"a{i}", "completion": f"b{i}"} for i in range(200)))
    name = f"prompt-completion:{path}"
    resolved = resolve_mixture(DataConfig(mixture={name: 2.0, "capital_city": 1.0}))
    assert list(resolved.train.values()) == [2.0, 1.0]
    assert resolved.clusters[name] == "prompt-completion"
    counts = {
        split: len(list(examples(resolved.specs[name], split, DataConfig()))) for split in ("train", "validation")
    }
    assert counts == {"train": 196, "validation": 4}
    one, other = resolve_mixture(DataConfig(mixture=name)).specs[name], registry.get_task(name)
    assert one.identity(one.source.version) == other.identity(other.source.version)
    assert name not in registry.task_names()
    assert form_task("alpaca", path, name="mine", cluster="own").cluster == "own"
    with pytest.raises(InputError, match="data form 'alpacca': unknown; allowed: alpaca"):
        form_task("alpacca", path)


@pytest.mark.usefixtures("own_registry")
def test_the_validation_share_is_a_setting(tmp_path: Path):
    path = written(tmp_path, *({"prompt": f"a{i}", "completion": f"b{i}"} for i in range(200)))
    name = f"prompt-completion:{path}"

    def task(share: float) -> TaskSpec:
        return resolve_mixture(DataConfig(mixture=name, validation_share=share)).specs[name]

    quarter = task(0.25)
    counts = {split: len(list(examples(quarter, split, ALL))) for split in ("train", "validation")}
    assert counts == {"train": 150, "validation": 50}
    assert quarter.source.version != task(0.02).source.version
    none = task(0.0)
    assert list(none.splits) == ["train"]
    assert len(list(examples(none, "train", ALL))) == 200


def test_a_source_keeps_its_own_share_and_its_own_validation_split(tmp_path: Path):
    source = HoldBack(FileSource(written(tmp_path, *({"prompt": f"{n}", "completion": "b"} for n in range(20)))), 0.5)
    stated = task_in_form("prompt-completion", source, name="stated", cluster="c")
    assert len(asked(with_settings(stated, DataConfig(validation_share=0.1)), "validation")) == 10
    (tmp_path / "x.jsonl").unlink()
    for split in ("train", "validation"):
        (tmp_path / f"{split}.jsonl").write_text(json.dumps({"prompt": split, "completion": "b"}) + "\n")
    own = with_settings(form_task("prompt-completion", str(tmp_path)), DataConfig(validation_share=0))
    assert asked(own, "validation") == ["validation"]
