"""Natural Instructions: the official lists make the splits, by name."""

import json
from pathlib import Path

import pytest

from flan_jax.data.forms.natural_instructions import EVALUATION_INSTANCES, NaturalInstructionsSource
from flan_jax.data.registry import HoldBack
from flan_jax.errors import InputError


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """The repository's layout: two training tasks, a test task, one that is excluded and one that no list has."""
    (tmp_path / "tasks").mkdir()
    lists = tmp_path / "splits" / "default"
    lists.mkdir(parents=True)
    for name, count in (("a", 3), ("b", 2), ("test", EVALUATION_INSTANCES + 20), ("excluded", 3), ("other", 3)):
        task = {
            "Definition": ["Do", "it."],
            "Positive Examples": [{"input": "i", "output": "o"}],
            "Instances": [{"id": f"{name}{n}", "input": f"{name} {n}", "output": ["x"]} for n in range(count)],
        }
        (tmp_path / "tasks" / f"{name}.json").write_text(json.dumps(task))
    (tmp_path / "tasks" / "README.md").write_text("tasks")
    (lists / "train_tasks.txt").write_text("b\na\nexcluded\n\n")
    (lists / "test_tasks.txt").write_text("test\n")
    (lists / "excluded_tasks.txt").write_text("excluded\n")
    return tmp_path


def tasks(source: NaturalInstructionsSource | HoldBack, split: str) -> list[str]:
    return [record["task"] for record in source.records(split)]


def test_the_official_lists_make_the_splits(repository: Path):
    source = NaturalInstructionsSource(str(repository))
    assert tasks(source, "train") == ["b"] * 2 + ["a"] * 3
    assert tasks(source, "validation") == ["test"] * EVALUATION_INSTANCES
    assert tasks(HoldBack(source), "validation") == ["test"] * EVALUATION_INSTANCES
    with pytest.raises(InputError, match="has no split 'test'; it has 'train' and 'validation'"):
        list(source.records("test"))


def test_without_a_list_of_test_tasks_records_are_held_back(repository: Path):
    (repository / "splits" / "default" / "test_tasks.txt").unlink()
    source = NaturalInstructionsSource(str(repository))
    assert not source.has_split("validation")
    held = HoldBack(source)
    assert len(tasks(held, "train")) + len(tasks(held, "validation")) == 5


def test_a_folder_of_tasks_is_all_training(repository: Path):
    assert set(tasks(NaturalInstructionsSource(str(repository / "tasks")), "train")) == {
        "a", "b", "test", "excluded", "other",
    }  # fmt: skip


def test_a_listed_task_that_is_missing_is_told(repository: Path):
    (repository / "tasks" / "a.json").unlink()
    with pytest.raises(InputError, match=r"tasks/a.json is not there, and .*train_tasks.txt lists it"):
        list(NaturalInstructionsSource(str(repository)).records("train"))


def test_the_version_follows_the_tasks_and_their_splits(repository: Path):
    before = NaturalInstructionsSource(str(repository)).version
    (repository / "splits" / "default" / "test_tasks.txt").write_text("test\nother\n")
    moved = NaturalInstructionsSource(str(repository)).version
    (repository / "splits" / "default" / "test_tasks.txt").write_text("test\n")
    assert moved != before == NaturalInstructionsSource(str(repository)).version
