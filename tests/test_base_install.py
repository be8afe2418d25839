"""The base install, in an environment of its own: no TensorFlow, no SeqIO, an empty folder, and all of the way."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ABSENT = ("tensorflow", "tensorflow_datasets", "seqio", "torch")
PACKAGED = ("pyproject.toml", "README.md", "flan_jax", "tasks", "configs")
TASKS = """
from flan_jax.data.registry import FileSource, HubSource, TaskSpec, Template, add_task

for name, source in (
    ("from_file", FileSource({"train": "data/train.jsonl", "validation": "data/train.jsonl"})),
    ("from_hub", HubSource("data")),
):
    add_task(TaskSpec(name=name, cluster="user", source=source, templates=(Template("Say {question}."),),
                      inputs="{question}", metrics=("exact_match",), splits={"train": "train", "validation": "train"}))
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bin folder of an environment with the wheel, its base dependencies and the hub's library."""
    folder = tmp_path_factory.mktemp("install")
    source = folder / "source"
    source.mkdir()
    for name in PACKAGED:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, source / name)
    subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
    binaries = folder / "venv" / "bin"
    subprocess.run([binaries / "python", "-m", "pip", "install", "--quiet", f"{source}[hub]"], check=True)
    return binaries


@pytest.fixture
def run(installed: Path, tmp_path: Path):
    """Runs a command of the environment in an empty folder."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "VIRTUAL_ENV"))}

    def run(*words: str) -> str:
        done = subprocess.run(
            [installed / words[0], *words[1:]], cwd=tmp_path, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout

    return run


@pytest.mark.slow
def test_prepare_train_evaluate_generate_export_without_tensorflow(run, tmp_path: Path) -> None:
    found = f"import importlib.util as u; print([name for name in {ABSENT} if u.find_spec(name)])"
    assert run("python", "-c", found).strip() == "[]"
    assert "flan2021" in run("flan-jax", "tasks", "list")
    assert "pip install 'flan-jax[full]'" in run("flan-jax", "doctor")

    (tmp_path / "data").mkdir()
    records = [json.dumps({"question": f"word {n}", "answer": f"word {n}"}) for n in range(40)]
    (tmp_path / "data" / "train.jsonl").write_text("\n".join(records))
    (tmp_path / "user.py").write_text(TASKS)
    mixture = ["data.modules=[user.py]", "data.mixture=[from_file, from_hub, plural_noun]", "train.steps=4"]
    assert "from_hub" in run("flan-jax", "prepare", "toy_llama", *mixture)
    assert "is at step 4" in run("flan-jax", "train", "toy_llama", *mixture)
    assert "from_file" in run("flan-jax", "evaluate", "runs/toy_llama", "evaluation.examples=2")
    run("flan-jax", "generate", "runs/toy_llama", "--prompt", "Say word 1.", "generation.max_tokens=4")
    run("flan-jax", "export", "runs/toy_llama", "--format", "huggingface", "out")
    assert (tmp_path / "out" / "model.safetensors").exists()
