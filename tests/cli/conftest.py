"""A command line in a folder of its own, and a small mixture from a file."""

import json
from pathlib import Path

import pytest
from command import CommandLine

TASKS = """
from flan_jax.data.sources.files import FileSource
from flan_jax.data.registry import TaskSpec, Template, add_task

add_task(TaskSpec(
    name="user_{name}", cluster="user",
    source=FileSource({{"train": "{folder}/train.jsonl", "validation": "{folder}/validation.jsonl"}}),
    templates=(Template("{template}"),), inputs="{{question}}", metrics=("exact_match",),
))
"""


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path) -> CommandLine:
    """The command line, started in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return CommandLine(monkeypatch, capfd)


@pytest.fixture
def user_task(tmp_path: Path):
    """Writes a task module over JSONL files and gives its config words."""

    def make(*, name: str, train: str | None = None, template: str = "Say {question}.") -> list[str]:
        records = [json.dumps({"question": f"word {n}", "answer": f"word {n}"}) for n in range(40)]
        (tmp_path / "train.jsonl").write_text("\n".join(records) if train is None else train)
        (tmp_path / "validation.jsonl").write_text("\n".join(records[:4]))
        module = tmp_path / f"{name}.py"
        module.write_text(TASKS.format(name=name, folder=tmp_path, template=template))
        return [f"data.modules=[{module}]", f"data.mixture=user_{name}"]

    return make
