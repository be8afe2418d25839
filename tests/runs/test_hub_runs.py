"""A run whose model, tokenizer and adapter are named by their hub names, through the command line."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from hub_stand_in import Hub, Repository, commit_of, environment, folder_files, serving

MODEL = ["model.architecture=null", "model.path=org/tiny", "model.tokenizer=null", "mesh.data=1"]


@pytest.fixture(scope="module")
def exports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `model`, a whole tiny model, and `adapter`, one for it."""
    folder = tmp_path_factory.mktemp("exports")

    def flan_jax(*words: str) -> None:
        subprocess.run([sys.executable, "-m", "flan_jax", *words], cwd=folder, check=True, stdout=subprocess.DEVNULL)

    flan_jax("train", "toy_llama", "train.steps=1", "run.dir=full")
    flan_jax("export", "full", "model", "--format", "huggingface")
    lora = ["model.architecture=null", "model.path=model", "model.tokenizer=null", "tuning.method=lora"]
    flan_jax("train", "toy_llama", "train.steps=1", "run.dir=lora", *lora)
    flan_jax("export", "lora", "adapter")
    return folder


@pytest.fixture
def hub(exports: Path) -> Iterator[Hub]:
    repositories = {f"org/{new}": Repository({"main": folder_files(exports / old)}) for new, old in
                    (("tiny", "model"), ("adapter", "adapter"))}  # fmt: skip
    with serving(Hub(repositories)) as hub:
        yield hub


@pytest.fixture
def flan_jax(hub: Hub, tmp_path: Path):
    """Runs a command in a process of its own, with a cache of its own."""

    def flan_jax(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        settings = environment(hub, tmp_path / "home", **variables)
        command = [sys.executable, "-m", "flan_jax", *words]
        return subprocess.run(command, cwd=tmp_path, env=settings, capture_output=True, text=True)

    return flan_jax


@pytest.mark.slow
def test_a_hub_model_trains_and_its_run_keeps_the_commit(flan_jax, hub: Hub, tmp_path: Path):
    words = ["toy_llama", *MODEL, "train.steps=2", "run.dir=mine"]
    first = flan_jax("train", *words)
    assert "is at step 2" in first.stdout, first.stderr
    commit = commit_of(hub.repositories["org/tiny"].branches["main"])
    assert yaml.safe_load((tmp_path / "mine" / "config.yaml").read_text())["model"]["path"] == f"org/tiny@{commit}"

    # the branch moves on; the run does not
    newer = dict(hub.repositories["org/tiny"].branches["main"]) | {"README.md": b"newer"}
    hub.repositories["org/tiny"].branches = {"main": newer, "old": hub.repositories["org/tiny"].branches["main"]}
    again = flan_jax("train", *words)
    assert "going on from step 2" in again.stdout, again.stderr
    elsewhere = flan_jax("train", *words, f"model.path=org/tiny@{commit_of(newer)}")
    assert elsewhere.returncode == 2
    assert f"model.path was 'org/tiny@{commit}' and is 'org/tiny@{commit_of(newer)}'" in elsewhere.stderr

    hub.asked.clear()
    answer = flan_jax("generate", "mine", "--prompt", "Say it.", "generation.max_tokens=4", HF_HUB_OFFLINE="1")
    assert "Say it." in answer.stdout, answer.stderr
    assert not hub.asked


@pytest.mark.slow
def test_an_adapter_and_a_tokenizer_of_the_hub_start_a_run(flan_jax, hub: Hub, tmp_path: Path):
    lora = ["tuning.method=lora", "tuning.lora.adapter=org/adapter", "model.tokenizer=org/tiny"]
    trained = flan_jax("train", "toy_llama", *MODEL, *lora, "train.steps=1", "run.dir=mine")
    assert "is at step 1" in trained.stdout, trained.stderr
    exported = flan_jax("export", "mine", "out", HF_HUB_OFFLINE="1")
    assert exported.returncode == 0, exported.stderr
    settings = json.loads((tmp_path / "out" / "adapter_config.json").read_text())
    commit = commit_of(hub.repositories["org/tiny"].branches["main"])
    assert (settings["base_model_name_or_path"], settings["revision"]) == ("org/tiny", commit)


@pytest.mark.parametrize("setting", ["model.path", "model.tokenizer", "tuning.lora.adapter"])
def test_a_refusal_is_one_sentence(tmp_path: Path, setting: str):
    words = ["train", "toy_llama", "model.architecture=null", f"{setting}=org/nowhere"]
    with serving(Hub()) as hub:
        settings = environment(hub, tmp_path / "home")
        command = [sys.executable, "-m", "flan_jax", *words]
        refused = subprocess.run(command, cwd=tmp_path, env=settings, capture_output=True, text=True)
    assert refused.returncode == 2
    assert refused.stderr.startswith("error: 'org/nowhere': no file or folder here, and as a hub name")
    assert len(refused.stderr.splitlines()) == 1
    assert {path.name for path in tmp_path.iterdir()} <= {"home"}
