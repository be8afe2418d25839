"""The Python API: the page's code runs, and gives what the commands give."""

import contextlib
import dataclasses
import json
import re
from pathlib import Path

import numpy as np
import pytest

from flan_jax import Run
from flan_jax.config import Config
from flan_jax.data.prepare.encode import Encoder
from flan_jax.errors import InputError
from flan_jax.evaluate.results import read_evaluation
from flan_jax.runs.answer import Chat

PAGE = Path(__file__).parents[2] / "docs" / "python-api.md"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def code_of_the_page(words: str = "") -> list[str]:
    """The code of the page's blocks that are marked with these words."""
    return re.findall(rf"^```python{words}\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE)


def test_the_code_of_the_page_runs(here: Path, capsys: pytest.CaptureFixture[str]):
    names: dict = {}
    blocks = code_of_the_page()
    assert len(blocks) == 5
    for code in blocks:
        exec(code, names)
    assert names["report"].num_built == 4
    assert (names["trained"].step, names["trained"].stopped_early) == (10, False)
    logged = [json.loads(line) for line in (here / "runs/mine/metrics.jsonl").read_text().splitlines()]
    losses = [(entry["step"], entry["train/loss"]) for entry in logged if "train/loss" in entry]
    printed = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [(int(step), float(loss)) for step, loss in printed] == losses  # and nothing else is printed

    keys = {"seen/mean", "cluster/words", "task/plural_noun", "task/chemical_element"}
    assert set(names["scores"]) >= keys
    assert set(names["changes"]) >= keys
    assert names["before"].label == "untuned"
    written = read_evaluation(here / "runs/mine/evaluations/step-10")
    assert written.summary() == names["scores"]
    assert not (here / "runs/mine/evaluations/untuned").exists()
    assert len(names["answers"]) == 1
    assert (here / "exported" / "model.safetensors").is_file()
    assert names["leaked"] == {"chemical_element": 0, "plural_noun": 0}
    assert names["contamination"].subsets.is_file()
    assert set(names["epochs"]) == {"chemical_element", "plural_noun"}

    assert 0 < names["trained_on"] < names["tokens"] <= 4 * 256
    for name, array in names["second_batch"].items():
        np.testing.assert_array_equal(array, names["same_batch"][name])
    assert names["lines"][-1].split() == ["compare", "400/400"]

    pytest.importorskip("torch")
    for code in code_of_the_page(" torch"):
        exec(code, names)
    assert names["step"] == 2
    assert names["allowed"].shape == (8, 256, 256)
    assert names["torch_batch"]["weights"].dtype.is_floating_point


class Listening:
    """An encoder that keeps what it is asked to encode."""

    def __init__(self, encoder: Encoder):
        self._encoder = encoder
        self.conversations: list[list[str]] = []

    def __getattr__(self, name: str):
        return getattr(self._encoder, name)

    def prompt(self, conversations):
        self.conversations += [[turn.content for turn in conversation] for conversation in conversations]
        return self._encoder.prompt(conversations)


def test_a_chat_answers_as_all_at_once_and_remembers_what_was_said(here: Path):
    run = Run("toy_llama", **{"generation.max_tokens": 4})
    model = run.open("untuned")
    [answer] = run.generate(["Name a metal."], model)
    encoder = Listening(run.text.encoder)
    chat = Chat(run.config, dataclasses.replace(run.text, encoder=encoder), model)
    said = "".join(chat.say("Name a metal."))
    assert said.strip() == answer
    list(chat.say("And now?"))
    chat.forget()
    assert "".join(chat.say("Name a metal.")) == said
    assert encoder.conversations == [["Name a metal."], ["Name a metal.", said, "And now?"], ["Name a metal."]]


def test_a_run_goes_on_from_its_folder_and_refuses_as_the_commands_do(here: Path):
    first = Run("toy_llama", **{"run.dir": "runs/on", "train.steps": 2, "checkpoint.every_steps": 1})
    assert first.train().step == 2
    said: list[str] = []
    assert Run("runs/on", say=said.append).train().step == 2
    assert said == ["going on from step 2"]
    with pytest.raises(InputError, match="this run tuned every weight and has no adapter"):
        first.export("out")
    with pytest.raises(InputError, match=r"unknown key 'train.stepz'"):
        Run("toy_llama", **{"train.stepz": 1})
    assert Run(first.config).config == first.config
    with pytest.raises(InputError, match=r"setting 'train.steps': a Config is taken as it is"):
        Run(Config(), **{"train.steps": 1})


def test_every_long_work_is_shown_on_the_display_that_is_given(here: Path):
    shown: dict[str, list[tuple[int, str | None]]] = {}
    totals: dict[str, int] = {}

    @contextlib.contextmanager
    def display(what, total, /, *, done=0, passing=False):
        calls = shown.setdefault(what, [])
        totals[what] = total - done

        def advance(units=1, note=None, /):
            calls.append((units, note))

        yield advance

    settings = {"train.steps": 10, "data.validation_examples": 8, "evaluation.examples": 2}
    run = Run("toy_llama", progress=display, **settings)
    run.train()  # the store is built by another process, which says how far it is
    run.evaluate(run.open())
    run.contamination()
    assert list(shown) == ["prepare", "train", "evaluate step 10", "compare"]
    for what, calls in shown.items():
        assert sum(units for units, _ in calls) == totals[what], what
    assert totals == {"prepare": 4, "train": 10, "evaluate step 10": 4, "compare": 400}
    assert re.match(r"plural_noun validation  8 examples  [\d,]+ tokens/s$", shown["prepare"][-1][1] or "")
    assert re.match(r"loss [\d.]+  tokens/s [\d,.]+$", shown["train"][-1][1] or "")


def test_damages_are_named_by_part(here: Path):
    run = Run("toy_llama", progress=None)
    run.prepare()
    assert set(map(bool, run.damages().values())) == {False}
    [shard] = (here / "runs/toy_llama/store").glob("plural_noun*/validation/*.jsonl")
    shard.write_bytes(shard.read_bytes()[:-3])
    damaged = {part: sentences for part, sentences in run.damages().items() if sentences}
    [(part, [sentence])] = damaged.items()
    assert part.endswith("validation")
    assert shard.name in sentence
