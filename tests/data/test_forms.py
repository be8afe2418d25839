"""Forms: the files users have become tasks by name, with a held-back validation share."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from flan_jax.config import DataConfig
from flan_jax.data import registry
from flan_jax.data.forms import FORMS, form_task
from flan_jax.data.registry import FileSource, resolve_mixture
from flan_jax.data.render import SKIPPED, Dropped, Example, examples
from flan_jax.errors import InputError

SHARED = Path(__file__).parents[2].parent / "shared" / "data"


@pytest.fixture(autouse=True)
def own_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tasks of a test are gone after it."""
    registry.task_names()
    for table in ("_tasks", "_mixtures"):
        monkeypatch.setattr(registry, table, getattr(registry, table).copy())


def turns(form: str, record: Any, folder: Path) -> list[tuple[str, str]] | str:
    """The conversation a record becomes, or the reason why it is dropped."""
    path = folder / "x.jsonl"
    path.write_text("".join(json.dumps(r) + "\n" for r in (record, {**record, "id": "another"})))
    task = form_task(form, str(path))
    item = next(iter(examples(task, "train", DataConfig(max_examples=None))))
    if isinstance(item, Dropped):
        return item.reason
    return [(message.role, message.content) for message in item.messages]


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
        ("sharegpt", {"conversations": shared("system", "human", "gpt")}, None),
    ],
)
def test_records_become_conversations(form: str, record: Any, expected: Any, tmp_path: Path):
    if expected is None:
        expected = [("system", "system 0"), ("user", "human 1"), ("assistant", "gpt 2")]
    assert turns(form, record, tmp_path) == expected


@pytest.mark.parametrize(
    ("form", "bad", "good"),
    [
        ("sharegpt", shared("human", "function_call", "gpt"), shared("human", "gpt")),
        ("sharegpt", shared("human", "human", "gpt"), shared("human", "gpt")),
        ("messages", [*said("a"), {"role": "tool", "content": "x"}, *said("b", "c")], said("a", "b")),
        ("messages", [*said("a"), {"role": "assistant", "content": None}], said("a", "b")),
    ],
)
def test_talk_with_tools_is_counted_out(form: str, bad: Any, good: Any, tmp_path: Path):
    path = tmp_path / "x.json"
    path.write_text(json.dumps([{"conversations": talk, "id": n} for n, talk in enumerate([bad, good, good])]))
    task = form_task(form, str(path))
    items = list(examples(task, "train", DataConfig()))
    assert Counter(item.reason if isinstance(item, Dropped) else "kept" for item in items) == {SKIPPED: 1, "kept": 1}
    assert len(list(examples(task, "validation", DataConfig()))) == 1


def test_a_record_of_another_form_is_told(tmp_path: Path):
    path = tmp_path / "x.jsonl"
    path.write_text('{"prompt": "a", "completion": "b"}\n{"prompt": "a", "completion": "c"}\n')
    with pytest.raises(InputError, match=r"example 0: its map asks for 'instruction', .* 'prompt', 'completion'"):
        list(examples(form_task("alpaca", str(path)), "train", DataConfig()))


def test_names_of_the_form_register_tasks_and_mix_with_others(tmp_path: Path):
    path = tmp_path / "x.jsonl"
    path.write_text("".join(json.dumps({"prompt": f"a{i}", "completion": f"b{i}"}) + "\n" for i in range(200)))
    name = f"prompt-completion:{path}"
    resolved = resolve_mixture(DataConfig(mixture={name: 2.0, registry.task_names()[0]: 1.0}))
    assert list(resolved.train.values()) == [2.0, 1.0]
    assert resolved.clusters[name] == "prompt-completion"
    counts = {
        split: len(list(examples(resolved.specs[name], split, DataConfig()))) for split in ("train", "validation")
    }
    assert counts == {"train": 196, "validation": 4}
    assert resolve_mixture(DataConfig(mixture=name)).specs[name] is registry.get_task(name)
    assert form_task("alpaca", str(path), name="mine", cluster="own").cluster == "own"
    with pytest.raises(InputError, match="data form 'alpacca': unknown; allowed: alpaca"):
        form_task("alpacca", str(path))


REAL = [
    ("alpaca", "gpteacher/roleplay_600.json", 600),
    ("alpaca", "gpteacher/codegen_600.json", 600),
    ("alpaca", "llamafactory_demo/identity.json", 91),
    ("sharegpt", "fastchat/dummy_conversation.json", 500),
    ("sharegpt", "llamafactory_demo/glaive_toolcall_en_demo.json", 300),
    ("prompt-completion", "t0_p3/t0_train_40_per_template.jsonl", None),
    ("natural-instructions", "natural_instructions/tasks/task1425_country_iso_numeric.json", None),
    ("natural-instructions", "natural_instructions/tasks/task745*.json", None),
]


@pytest.mark.parametrize(("form", "path", "count"), REAL)
def test_real_files_parse_and_nothing_is_lost(form: str, path: str, count: int | None):
    if not SHARED.is_dir():
        pytest.skip(f"real data set {path} is not at {SHARED}")
    assert form in FORMS
    task = registry.get_task(f"{form}:{SHARED / path}")
    data = DataConfig(max_examples=None, validation_examples=10**9)
    items = [item for split in ("train", "validation") for item in examples(task, split, data)]
    assert sum(isinstance(item, Example) for item in items) > 50
    if count is not None:
        assert len(items) == count


def test_real_tables_parse():
    if not SHARED.is_dir():
        pytest.skip(f"real data sets are not at {SHARED}")
    columns = ("question", "answer", "thought")
    counts = {"gsm8k": 7473, "ecqa": 7112, "creak": 6915, "aqua": 2728, "strategyqa": 2061, "qasc": 1084}
    for name, count in counts.items():
        source = FileSource(str(SHARED / f"flan_cot/{name}_train.tsv"), columns=columns, unescape=True)
        assert sum(all(record.values()) for record in source.records("train")) == count
    assert len(list(FileSource(str(SHARED / "gsm8k/train.jsonl")).records("train"))) == 7473
    assert len(list(FileSource(str(SHARED / "e2e/devset.csv")).records("train"))) == 4672
    assert len(list(FileSource(str(SHARED / "gap/gap-development.tsv")).records("train"))) == 2000
