"""Code of the user's own that fails: a sentence with module, task, record and the user's own line; never a success."""

import sys
from pathlib import Path

import pytest

from flan_jax.config import DataConfig
from flan_jax.data.registry import IterableSource, TaskSpec, Template, task_names
from flan_jax.data.registry.loading import load_modules
from flan_jax.data.render.examples import examples
from flan_jax.errors import InputError

pytestmark = pytest.mark.usefixtures("own_registry")


def task(**changes) -> TaskSpec:
    settings = {
        "source": IterableSource(lambda split: [{"q": "a", "answer": "b"}], "1"),
        "templates": (Template("{q}"),),
        "inputs": "{q}",
        "metrics": ("exact_match",),
    }
    return TaskSpec("mine", "n", **(settings | changes))


def fails(record):
    return 1 / 0


@pytest.mark.parametrize(
    ("read", "problem"),
    [
        (fails, rf"ZeroDivisionError at {__file__} line \d+ \(division by zero\)"),
        (lambda record: sys.exit(0), "SystemExit at"),
        (lambda record: record["q"].nope, "AttributeError at"),
        (lambda record: 3, "TypeError"),
    ],
)
def test_a_map_that_fails_names_task_record_and_line(read, problem: str):
    with pytest.raises(InputError, match=rf"task 'mine', split 'train', example 0: its map fails: {problem}") as caught:
        list(examples(task(map=read), "train", DataConfig()))
    assert "Traceback" in Path(str(caught.value).rpartition(" ")[2]).read_text()


def test_a_generator_that_fails_names_its_source_and_line():
    def records(split):
        yield {"q": "a", "answer": "b"}
        raise RuntimeError("no more\nlines")

    failing = task(source=IterableSource(records, "1", name="numbers"))
    with pytest.raises(InputError, match=r"source numbers, split 'train': fails: RuntimeError at .* \(no more lines\)"):
        list(examples(failing, "train", DataConfig()))


@pytest.mark.parametrize(
    ("code", "problem"),
    [
        ("import no_such_library\n", r"its import fails: ModuleNotFoundError at .*mine.py line 1"),
        ("\n\nraise SystemExit(0)\n", r"its import fails: SystemExit at .*mine.py line 3"),
        ("def f(:\n", r"file '.*mine.py' line 1: no valid Python"),
        ("x = 1\0\n", r"no valid Python \(source code .*null bytes"),
        ("# -*- coding: nonsense -*-\n", r"no valid Python"),
    ],
)
def test_a_module_that_fails_is_told_and_may_be_mended(tmp_path: Path, code: str, problem: str):
    file = tmp_path / "mine.py"
    file.write_text(code)
    with pytest.raises(InputError, match=rf"data.modules '{file}'.*{problem}"):
        load_modules([str(file)])
    file.write_text("mended = True\n")
    load_modules([str(file)])


def test_a_module_of_two_names_is_loaded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "twice_named.py").write_text(
        "from flan_jax.data.registry import IterableSource, TaskSpec, Template, add_task\n"
        "add_task(TaskSpec('once', 'n', IterableSource(lambda s: [], '1'), templates=(Template('{q}'),),"
        " inputs='{q}', metrics=('exact_match',)))\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    load_modules(["twice_named", str(tmp_path / "twice_named.py")])
    assert "once" in task_names()
    (tmp_path / "other_named.py").write_text((tmp_path / "twice_named.py").read_text().replace("once", "one"))
    load_modules([str(tmp_path / "other_named.py"), "other_named"])
    assert "one" in task_names()
