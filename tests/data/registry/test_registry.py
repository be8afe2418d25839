"""The registry: filled on first use, duplicates and unknown names refused, mixtures worked out."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from flan_jax.config import DataConfig
from flan_jax.data.registry import (
    HoldBack,
    IterableSource,
    MixtureSpec,
    TaskSpec,
    Template,
    add_mixture,
    add_task,
    load_modules,
    task_names,
)
from flan_jax.data.registry.resolve import resolve_mixture
from flan_jax.data.render.examples import examples
from flan_jax.errors import InputError

MODULE = """
from flan_jax.data.registry import IterableSource, TaskSpec, Template, add_task

add_task(TaskSpec("{name}", "mine", IterableSource(lambda split: [{{"q": "x", "answer": "y"}}], "1"),
    templates=(Template("{{q}}"),), metrics=("exact_match",)))
"""


def made(name: str, cluster: str = "a", **changes: Any) -> TaskSpec:
    settings: dict[str, Any] = {"templates": (Template("{q}"),), "metrics": ("exact_match",)}
    source = IterableSource(lambda split: [{"q": "x", "answer": "y"}], "1")
    return TaskSpec(name, cluster, source, **{**settings, **changes})


@pytest.fixture(autouse=True)
def clean_registry(own_registry: None) -> None: ...


@pytest.fixture
def three() -> None:
    for name, cluster in (("one", "a"), ("two", "b"), ("three", "b")):
        add_task(made(name, cluster))
    add_mixture(MixtureSpec("all", ("one", "two", "three")))
    add_mixture(MixtureSpec("rated", {"one": 2.0, "two": 1.0}))
    add_mixture(MixtureSpec("round", ("one", "round")))


LIST = """
import json, sys
import flan_jax.data.registry as registry
early = "flan_jax.tasks.starter" in sys.modules
modules = sorted({name.partition(".")[0] for name in sys.modules})
print(json.dumps([early, registry.task_names(), registry.mixture_names(), modules]))
"""


@pytest.fixture(scope="module")
def listing() -> list[Any]:
    """What a fresh interpreter finds: whether tasks are there before the first use, tasks, mixtures, packages."""
    out = subprocess.run([sys.executable, "-c", LIST], capture_output=True, text=True, check=True).stdout
    return json.loads(out)


def test_listing_is_lazy_and_imports_nothing_heavy(listing: list[Any]):
    early, tasks, mixtures, modules = listing
    assert not early
    assert len(tasks) >= 400
    assert mixtures
    assert not {"jax", "tensorflow", "seqio", "transformers", "torch", "pyarrow", "tokenizers"} & set(modules)


def test_taken_names_are_refused(three: None):
    for add in (lambda: add_task(made("one")), lambda: add_mixture(MixtureSpec("one", ()))):
        with pytest.raises(InputError, match="'one' is registered twice; the name is taken by a task"):
            add()


@pytest.mark.parametrize("name", ["thre", "al"])
def test_unknown_names_are_refused_with_the_nearest(three: None, name: str):
    with pytest.raises(InputError, match=f"unknown mixture or task '{name}'; did you mean"):
        resolve_mixture(DataConfig(mixture=name))


def test_mixtures_resolve_by_name_list_and_rates(three: None):
    assert resolve_mixture(DataConfig(mixture="all")).train == dict.fromkeys(["one", "two", "three"])
    assert resolve_mixture(DataConfig(mixture="rated")).train == {"one": 2.0, "two": 1.0}
    assert resolve_mixture(DataConfig(mixture="one")).train == {"one": None}
    assert resolve_mixture(DataConfig(mixture=("two", "one"))).train == dict.fromkeys(["two", "one"])
    assert resolve_mixture(DataConfig(mixture={"two": 0.5})).train == {"two": 0.5}


def test_held_out_clusters_of_a_mixture_are_evaluated_only(three: None):
    resolved = resolve_mixture(DataConfig(mixture="all", hold_out=("b",)))
    assert list(resolved.train) == ["one"]
    assert resolved.held_out == ("two", "three")
    assert resolved.clusters == {"one": "a", "two": "b", "three": "b"}
    assert set(resolved.specs) == {"one", "two", "three"}
    assert resolve_mixture(DataConfig(mixture="one", hold_out=("b",))).held_out == ("three", "two")


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        ({"mixture": ("one", "two"), "hold_out": ("b",)}, "names 'two' for training, whose cluster 'b' is held out"),
        ({"mixture": "two", "hold_out": ("b",)}, "names 'two' for training"),
        ({"mixture": "all", "hold_out": ("a", "b")}, "no task is left to train on"),
        ({"mixture": "all", "hold_out": ("bb",)}, "data.hold_out: unknown cluster 'bb'"),
        ({"mixture": {"one": 1.0, "round": 1.0}}, "mixture 'round': contains itself \\(round in round\\)"),
        ({"mixture": ("one", "tow")}, "unknown task 'tow'; did you mean 'two'"),
        ({"mixture": "all", "sources": {"tow": "x"}}, "data.sources: unknown task 'tow'; did you mean 'two'"),
        ({"mixture": "all", "sources": {"two": "/no/such"}}, "data.sources 'two': no file or folder '/no/such'"),
        ({"mixture": "all", "modules": ("no_such_module",)}, "data.modules 'no_such_module': no such file or module"),
        ({"mixture": "all", "modules": ("no/such.py",)}, "data.modules 'no/such.py': no such file"),
        ({"mixture": "alpaca:/no/such.json"}, "data file '/no/such.json': no such file"),
        ({"mixture": "alpacca:/no/such.json"}, "unknown task 'alpacca:/no/such.json'"),
    ],
)
def test_bad_selections_are_refused(three: None, data: dict[str, Any], problem: str):
    with pytest.raises(InputError, match=problem):
        resolve_mixture(DataConfig(**data))


def test_user_modules_load_once_from_file_package_and_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "mine.py").write_text(MODULE.format(name="from_file"))
    for package in ("pack", "named_pack"):
        (tmp_path / package / "inner").mkdir(parents=True)
        (tmp_path / package / "__init__.py").write_text("")
        (tmp_path / package / "inner" / "__init__.py").write_text("")
        (tmp_path / package / "inner" / "tasks.py").write_text(MODULE.format(name=f"from_{package}"))
    monkeypatch.syspath_prepend(str(tmp_path))
    for _ in range(2):
        load_modules([str(tmp_path / "mine.py"), str(tmp_path / "pack"), "named_pack"])
    assert {"from_file", "from_pack", "from_named_pack"} <= set(task_names())


def test_a_module_that_is_no_python_is_refused_by_line(tmp_path: Path):
    (tmp_path / "bad.py").write_text("a = 1\nb = = 2\n")
    with pytest.raises(InputError, match=r"bad.py' line 2: no valid Python"):
        load_modules([str(tmp_path / "bad.py")])


def test_a_source_may_be_replaced_by_a_local_file(three: None, tmp_path: Path):
    path = tmp_path / "own.jsonl"
    path.write_text("".join(json.dumps({"q": f"q{i}", "answer": f"a{i}"}) + "\n" for i in range(100)))
    data = DataConfig(mixture="all", sources={"two": str(path)})
    spec = resolve_mixture(data).specs["two"]
    assert isinstance(spec.source, HoldBack)
    assert [len(list(examples(spec, split, data))) for split in ("train", "validation")] == [98, 2]


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"templates": (Template("{q"),)}, "template 0, prompt: .*double a brace"),
        ({"templates": (Template("{q}", "{a.b}"),)}, "template 0, target: placeholder"),
        ({"templates": (Template("{q} {options}"),)}, "template 0: asks for {options}, and the task has none"),
        ({"templates": (Template("{q} {answer}"),)}, "template 0: the prompt gives the answer away"),
        ({"templates": (Template("{label}"),), "answer": "label"}, "template 0: the prompt gives the answer away"),
        ({"templates": (Template("{answer}", "{q}", inverted=True),)}, "every template is inverted"),
        (
            {"templates": (Template("{q}"), Template("{answer}", inverted=True))},
            "template 1: is inverted and states no",
        ),
        ({"metrics": ("acuracy",)}, "unknown metric 'acuracy'; allowed: accuracy"),
        ({"metrics": ("accuracy",)}, "metric 'accuracy' ranks answer options, and the task has none"),
        ({"options": ("a", "a")}, "must be at least two different texts"),
        ({"options": ("a", "b"), "reasoning": True, "metrics": ("accuracy",)}, "the target holds a chain of thought"),
        ({"answer_pattern": "(a)(b)"}, "has 2 groups"),
        ({"answer_pattern": "(a"}, "is not valid"),
        ({"target": "{options}"}, "{options} stands in"),
        ({"cluster": ""}, "'cluster' is empty"),
    ],
)
def test_bad_specs_are_refused_when_they_are_made(changes: dict[str, Any], problem: str):
    with pytest.raises(InputError, match=f"task 'bad'.*{problem}"):
        made("bad", **changes)


def test_a_spec_states_what_decides_its_text_and_a_safe_folder():
    spec = made("alpaca:/data/x y.json")
    assert json.dumps(spec.identity("1"))
    assert "/" not in spec.folder
    assert spec.folder != made("alpaca:/data/x_y.json").folder
    assert made("plain_name").folder == "plain_name"
    changed = made("alpaca:/data/x y.json", templates=(Template("{q}!"),))
    assert changed.identity("1") != spec.identity("1")
