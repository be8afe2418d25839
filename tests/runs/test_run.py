"""The Python API: the page's code runs, and gives what the commands give."""

import json
import re
from pathlib import Path

import pytest

from flan_jax import Run
from flan_jax.errors import InputError

PAGE = Path(__file__).parents[2] / "docs" / "python-api.md"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_code_of_the_page_runs(here: Path, capsys: pytest.CaptureFixture[str]):
    [code] = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    names: dict = {}
    exec(code, names)
    assert names["report"].num_built == 4
    assert names["step"] == 10
    logged = [json.loads(line) for line in (here / "runs/mine/metrics.jsonl").read_text().splitlines()]
    losses = [(entry["step"], entry["train/loss"]) for entry in logged if "train/loss" in entry]
    printed = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [(int(step), float(loss)) for step, loss in printed] == losses
    assert set(names["scores"]) >= {"seen/mean"}
    assert len(names["answers"]) == 1
    assert (here / "exported" / "model.safetensors").is_file()


def test_a_run_goes_on_from_its_folder_and_refuses_as_the_commands_do(here: Path):
    first = Run("toy_llama", **{"run.dir": "runs/on", "train.steps": 2, "checkpoint.every_steps": 1})
    assert first.train() == 2
    said: list[str] = []
    assert Run("runs/on", say=said.append).train() == 2
    assert said == ["going on from step 2"]
    with pytest.raises(InputError, match="this run tuned every weight and has no adapter"):
        first.export("out")
    with pytest.raises(InputError, match=r"unknown key 'train.stepz'"):
        Run("toy_llama", **{"train.stepz": 1})
