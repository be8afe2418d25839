"""Hub names, against a hub on this machine: what is fetched, what is found again, and how each refusal is told."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hub_stand_in import TOKEN, Hub, Repository, commit_of, environment, folder_files, serving

from flan_jax.text.tokenizer import load_tokenizer
from flan_jax.weights.hub import hub_name, local_tokenizer, local_weights, pinned
from flan_jax.weights.safetensors import write_tensors

ASK = """
import json, sys
from flan_jax.errors import InputError
from flan_jax.weights import hub, tensors
answers = []
for function, name in json.loads(sys.argv[1]):
    try:
        answer = getattr(hub, function)(name) if function != "sum" else sum(
            float(tensors.open_tensors(name).read(tensor).sum()) for tensor in tensors.open_tensors(name).names())
        answers.append(answer if isinstance(answer, float) else str(answer))
    except InputError as e:
        answers.append(f"refused: {e}")
print(json.dumps(answers))
"""


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """A model in two shards, with a tokenizer, and with files that nobody should fetch."""
    folder = tmp_path_factory.mktemp("model")
    write_tensors(folder, [("a", np.ones(2000, np.float32)), ("b", np.ones(2000, np.float32))], max_shard_bytes=8000)
    load_tokenizer("bytes").save(folder)
    (folder / "config.json").write_text(json.dumps({"model_type": "llama", "auto_map": {"AutoConfig": "code.Config"}}))
    unwanted = {"pytorch_model.bin": b"cos\nsystem\n", "code.py": b"", "onnx/model.safetensors": b"", "README.md": b"#"}
    return folder_files(folder) | unwanted


@pytest.fixture
def hub(files: dict[str, bytes]) -> Iterator[Hub]:
    newer = files | {"README.md": b"# newer"}
    only = {
        name: {"config.json": b"{}", "x/model.safetensors": b"", name: b"x"} for name in ("m.bin", "m.gguf", "m.md")
    }
    repositories = {
        "org/tiny": Repository({"main": files, "next": newer}),
        "org/private": Repository({"main": files}, needs_token=True),
        "org/gated": Repository({"main": files}, is_gated=True),
        **{f"org/only-{name[2:]}": Repository({"main": one}) for name, one in only.items()},
    }
    with serving(Hub(repositories)) as hub:
        yield hub


@pytest.fixture
def ask(hub: Hub, tmp_path: Path):
    """What functions give for names, in a process of its own: huggingface_hub reads its settings when imported."""

    def ask(*questions: tuple[str, str], **variables: str) -> list[Any]:
        command = [sys.executable, "-c", ASK, json.dumps(questions)]
        settings = environment(hub, tmp_path / "home", **variables)
        done = subprocess.run(command, env=settings, cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return ask


def test_only_what_is_asked_for_is_fetched(ask, hub: Hub, files):
    [folder] = ask(("local_tokenizer", "org/tiny"))
    assert hub.downloads() == {"config.json", "tokenizer.json", "tokenizer_config.json"}
    [same, total] = ask(("local_weights", "org/tiny"), ("sum", "org/tiny"))
    assert same == folder
    assert Path(folder).name == commit_of(files)
    assert total == 4000.0
    shards = {name for name in files if name.startswith("model-")}
    assert len(shards) == 2
    assert hub.downloads() == {"config.json", "tokenizer.json", "tokenizer_config.json", *shards,
                               "model.safetensors.index.json"}  # fmt: skip
    assert sum("model-00001" in line for line in hub.asked) == 1, "fetched twice"


def test_a_second_use_needs_no_hub(ask, hub: Hub, files):
    ask(("sum", "org/tiny"))
    hub.asked.clear()
    commit = commit_of(files)
    questions = [("sum", "org/tiny"), ("pinned", "org/tiny"), ("sum", f"org/tiny@{commit}")]
    assert ask(*questions, HF_HUB_OFFLINE="1") == [4000.0, f"org/tiny@{commit}", 4000.0]
    assert ask(questions[2]) == [4000.0], "a commit is not asked for again"
    assert not hub.asked
    [missing] = ask(("local_weights", "org/private"), HF_HUB_OFFLINE="1")
    assert "not all in the cache" in missing
    assert "HF_HUB_OFFLINE is set" in missing
    # a part of it is not all of it
    ask(("local_tokenizer", "org/tiny@next"))
    [part] = ask(("local_weights", "org/tiny@next"), HF_HUB_OFFLINE="1")
    assert part.startswith("refused: 'org/tiny@")
    assert "HF_HUB_OFFLINE is set" in part


def test_a_revision_is_a_branch_or_a_commit(ask, files):
    newer = commit_of(files | {"README.md": b"# newer"})
    answers = ask(
        ("pinned", "org/tiny"), ("pinned", "org/tiny@next"), ("pinned", f"org/tiny@{newer}"), ("pinned", "org/tiny@v9")
    )
    assert answers[:3] == [f"org/tiny@{commit}" for commit in (commit_of(files), newer, newer)]
    assert "it has no revision 'v9'; give a branch, tag or commit of http" in answers[3]


def test_refusals_say_what_to_do(ask, hub: Hub):
    names = ("org/nowhere", "org/private", "org/gated", "org/only-bin", "org/only-gguf", "org/only-md", "org/a--b")
    answers = ask(*(("local_model", name) for name in names))
    told = dict(zip(names, answers, strict=True))
    assert all(answer.startswith("refused: ") and "\n" not in answer for answer in answers)
    assert (
        f"'org/nowhere': no file or folder here, and as a hub name no such repository on {hub.url}"
        in told["org/nowhere"]
    )
    for word in ("private", "`hf auth login` or set HF_TOKEN", f"{hub.url}/org/private"):
        assert word in told["org/private"]
    assert (
        f"it is gated; log in with `hf auth login` or set HF_TOKEN, and accept the terms at {hub.url}/org/gated"
        in (told["org/gated"])
    )
    assert "m.bin is a pickle file, which can run code when opened, and is refused" in told["org/only-bin"]
    assert "GGUF alone, such as m.gguf; download one of them and give the file itself" in told["org/only-gguf"]
    assert "no weights at all" in told["org/only-md"]
    assert "not well formed" in told["org/a--b"]
    assert "has none of tokenizer.json" in ask(("local_tokenizer", "org/only-md"))[0]
    with_token = ask(("sum", "org/private"), ("sum", "org/gated"), HF_TOKEN=TOKEN)
    assert with_token == [4000.0, 4000.0]


def test_a_hub_that_is_not_there_is_told(ask):
    [answer] = ask(("local_model", "org/tiny"), HF_ENDPOINT="http://127.0.0.1:9")
    assert "http://127.0.0.1:9 cannot be reached" in answer


@pytest.fixture
def large(hub: Hub, tmp_path: Path) -> str:
    """A file of several of the library's pieces of 10 MB, so that a transfer can be cut off within it."""
    write_tensors(tmp_path / "large", [("a", np.ones(6_000_000, np.float32))])
    hub.repositories["org/large"] = Repository({"main": folder_files(tmp_path / "large")})
    return "model.safetensors"


def test_a_transfer_that_is_cut_off_goes_on(ask, hub: Hub, large: str):
    hub.cuts[large] = 1
    assert ask(("sum", "org/large")) == [6e6]
    assert [line.partition(" from ")[2] for line in hub.asked if large in line] == ["", "10485760"]


def test_a_transfer_that_is_always_cut_off_is_refused_and_nothing_is_believed(
    ask, hub: Hub, tmp_path: Path, large: str
):
    hub.cuts[large] = 1000
    [answer] = ask(("sum", "org/large"))
    assert answer.startswith("refused: 'org/large@")
    assert "its download broke off each time (peer closed connection" in answer
    assert not list(tmp_path.rglob(f"snapshots/*/{large}"))
    [offline] = ask(("sum", "org/large"), HF_HUB_OFFLINE="1")
    assert "not all in the cache" in offline
    hub.cuts.clear()
    assert ask(("sum", "org/large")) == [6e6]


def test_what_lies_here_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    os.makedirs("org/tiny")
    for path in (
        "org/tiny",
        "./org/other",
        "/org/other",
        "~/other",
        "a/b/c",
        "bytes",
        "org/x.gguf",
        "org/t.json",
        "x@y/z",
    ):
        assert hub_name(path) is None
        assert str(local_tokenizer(path)) == path == pinned(path)
        assert local_weights(path) == Path(path)
    assert str(hub_name("org/other@refs/pr/3")) == "org/other@refs/pr/3"


def test_the_library_is_imported_for_a_hub_name_alone():
    script = (
        "import sys; from flan_jax.runs.configs import open_config; open_config('toy_llama', ['model.tokenizer=bytes'])"
        "; print([name for name in ('huggingface_hub', 'httpx2', 'transformers') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stdout + done.stderr
