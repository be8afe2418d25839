"""The process that prepares for another one gets its tasks as they are there: nothing is found again by name."""

import os
import threading
from pathlib import Path
from typing import Any

import pytest

from flan_jax import Run
from flan_jax.data.registry import IterableSource, TaskSpec, Template, add_task
from flan_jax.errors import InputError

pytestmark = pytest.mark.usefixtures("own_registry")


def run_on(folder: Path, mixture: str, **settings: Any) -> Run:
    return Run(
        "toy_llama",
        **{"run.dir": str(folder), "data.mixture": mixture, "data.hold_out": [], "evaluation.tasks": [], **settings},
    )


def add(name: str, answer: Any) -> None:
    source = IterableSource(lambda split: [{"n": n} for n in range(40)], version="1")
    add_task(
        TaskSpec(
            name,
            "made",
            source,
            templates=(Template("What is {n}?"),),
            map=lambda record: {**record, "answer": answer(record["n"])},
            metrics=("exact_match",),
        )
    )


def content(run: Run) -> dict[str, str]:
    return {name: store.manifest.content for name, store in run.prepared.train.items()}


def test_a_task_of_a_notebook_is_prepared_by_the_other_process(tmp_path: Path):
    add("noted", lambda n: str(n * n))
    here = run_on(tmp_path / "here", "noted")
    here.prepare()
    assert content(run_on(tmp_path / "there", "noted")) == content(here)


def test_functions_that_cannot_travel_are_refused_with_their_task(tmp_path: Path):
    lock = threading.Lock()

    def answer(n: int) -> str:
        with lock:
            return str(n)

    add("locked", answer)
    run = run_on(tmp_path / "run", "locked")
    with pytest.raises(InputError, match=r"task 'locked': its functions cannot be handed.*lock"):
        _ = run.prepared
    assert not list((tmp_path / "run").rglob("*.*"))
    run.prepare()  # in this process
    assert content(run)


def test_files_of_one_name_are_not_taken_for_each_other(tmp_path: Path):
    """The other process loads the module that this one has under its name, whatever else it would be called there."""
    for folder, answer in (("first", "one"), ("second", "two")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "mine.py").write_text(
            f"""
from flan_jax.data.registry import IterableSource, TaskSpec, Template, add_task

def records(split):
    return [{{"n": n}} for n in range(40)]

def fields(record):
    return {{**record, "answer": "{answer}"}}

add_task(TaskSpec("{folder}_task", "made", IterableSource(records, version="1"), templates=(Template("{{n}}?"),),
                  map=fields, metrics=("exact_match",)))
"""
        )
    modules = {folder: str(tmp_path / folder / "mine.py") for folder in ("first", "second")}
    here = {}
    for folder in ("first", "second"):
        run = run_on(tmp_path / f"here-{folder}", f"{folder}_task", **{"data.modules": [modules[folder]]})
        run.prepare()
        here[folder] = content(run)
    both = [modules["second"], modules["first"]]
    for folder in ("first", "second"):
        there = run_on(tmp_path / f"there-{folder}", f"{folder}_task", **{"data.modules": both})
        assert content(there) == here[folder]


def test_the_other_process_prints_nothing_and_what_tasks_print_is_no_answer(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    def answer(n: int) -> str:
        print("looking at", n)
        return str(n)

    add("talking", answer)
    assert content(run_on(tmp_path / "run", "talking"))
    out, err = capfd.readouterr()
    assert out == ""
    assert "looking at 39" in err


def test_what_the_other_process_refuses_is_refused_here_in_its_words(tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    add("empty", lambda n: "")
    run = run_on(tmp_path / "run", "empty")
    with pytest.raises(InputError, match=r"task 'empty', split 'train': no example is left \(40 empty target\)"):
        _ = run.prepared
    assert capfd.readouterr() == ("", "")


def test_a_process_that_dies_is_told_by_its_exit_code(tmp_path: Path):
    add("deadly", lambda n: os._exit(7))
    with pytest.raises(InputError, match=r"preparing the store '.*' ended with exit code 7; see above"):
        _ = run_on(tmp_path / "run", "deadly").prepared
