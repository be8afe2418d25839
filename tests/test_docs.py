"""The pages under docs/: what they name exists, and what they tell to run runs.

A code block whose opening line names a file (```yaml support.yaml) is written to that file in an empty folder; a block
of `console` is run there, in order.
"""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer.main

from flan_jax.cli.app import app
from flan_jax.config import Config, fields
from flan_jax.config_file import load_config
from flan_jax.data import registry

DOCS = Path(__file__).parent.parent / "docs"
PAGES = sorted(DOCS.glob("*.md"))
WALKED = "add-a-task.md"

_BLOCK = re.compile(r"^```(\w*)[ \t]*([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"`([^`\n]+)`")
_SECTIONS = "|".join(Config.model_fields)
_SETTING = re.compile(rf"(?:{_SECTIONS})(?:\.\w+)+(?=$|[:=\s])")
_COMMAND = re.compile(r"flan-jax((?: [a-z]+)+)")


def ids(page: Path) -> str:
    return page.stem


def blocks(page: Path) -> list[tuple[str, str, str]]:
    """(language, file name, content) of every code block."""
    return [(match[1], match[2].strip(), match[3]) for match in _BLOCK.finditer(page.read_text())]


def write_files(page: Path, folder: Path) -> None:
    for _, name, content in blocks(page):
        if name:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(content)


def commands(page: Path) -> list[list[str]]:
    """The commands of the page's console blocks."""
    lines = "".join(content for language, _, content in blocks(page) if language == "console").splitlines()
    return [shlex.split(line) for line in lines]


def run(command: list[str], folder: Path) -> str:
    assert command[0] == "flan-jax"
    environment = {**os.environ, "JAX_PLATFORMS": "cpu", "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(
        [sys.executable, "-m", "flan_jax", *command[1:]], cwd=folder, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, f"{shlex.join(command)}: {done.stdout}\n{done.stderr}"
    return done.stdout


def named_commands(page: Path) -> Iterator[list[str]]:
    """Every `flan-jax COMMAND …` of a page, as far as its words are lower case."""
    for match in _COMMAND.finditer(page.read_text()):
        yield match[1].split()


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_every_setting_that_is_named_exists(page: Path):
    known = {key for key, _ in fields()}
    text = _BLOCK.sub("", page.read_text())
    named = {match[0] for code in _CODE.findall(text) if (match := _SETTING.match(code))}
    assert named
    mappings = ("data.sources", "model.architecture")  # their keys are the user's
    unknown = {key for key in named - known if not key.startswith(tuple(f"{mapping}." for mapping in mappings))}
    assert not unknown


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_every_command_that_is_named_exists(page: Path):
    root = typer.main.get_command(app)
    for words in named_commands(page):
        command = getattr(root, "commands", {}).get(words[0])
        assert command is not None, f"{page.name}: flan-jax {' '.join(words)}"
        if hasattr(command, "commands"):
            assert words[1:2], f"{page.name}: flan-jax {words[0]} names no command of the group"
            assert words[1] in command.commands, f"{page.name}: flan-jax {' '.join(words)}"


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_every_config_loads(page: Path, tmp_path: Path):
    write_files(page, tmp_path)
    for language, name, _ in blocks(page):
        if language == "yaml" and name:
            assert load_config(tmp_path / name)


def test_flan_s_names_are_ours():
    page = (DOCS / "from-flan-seqio-t5x.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| (`\w+`(?:, `\w+`)*) \|$", page, re.MULTILINE)
    listed = {cluster: set(_CODE.findall(tasks)) for cluster, _, tasks in rows}
    assert sum(map(len, listed.values())) == 70
    for cluster, paper, _ in rows:
        assert registry.get_cluster(cluster).paper == paper
        for task in listed[cluster]:
            assert registry.get_task(task).cluster == cluster
    for name in set(
        re.findall(r"`((?:flan|flan2021|flan2022|t0|cot|dialog|niv2)_(?:zs|fs|submix|code|paper)\w*)`", page)
    ):
        if name != "cot_zsnoopt":  # theirs alone, as the page says
            assert registry.get_mixture(name)


def test_the_cached_task_of_the_page_registers(tmp_path: Path, own_registry: None):
    write_files(DOCS / "from-flan-seqio-t5x.md", tmp_path)
    registry.load_modules([str(tmp_path / "cached_tasks.py")])
    assert registry.get_task("my_cached_task").cluster == "mine"


def test_the_task_of_the_page_is_shown_checked_and_prepared(tmp_path: Path):
    page = DOCS / WALKED
    write_files(page, tmp_path)
    cheap = [command for command in commands(page) if command[1] in ("tasks", "prepare")]
    assert [command[2] for command in cheap[:4]] == ["show", "check", "list", "page"]
    shown, checked, listed, _, prepared = (run(command, tmp_path) for command in cheap)
    example = next(content for language, _, content in blocks(page) if content.startswith("example 0"))
    for line in example.splitlines()[1:]:
        assert line.strip() in shown
    assert "passed" in checked
    assert "ticket_urgency" in listed
    assert "<html" in (tmp_path / "support.html").read_text().lower()
    table = next(content for language, _, content in blocks(page) if content.startswith("Token store"))
    for line in table.splitlines():
        if re.match(r"  \w+ +\d", line):  # task, and its numbers
            assert line.split() in [found.split() for found in prepared.splitlines()]


COMMANDED = [page for page in PAGES if page.stem != "contamination" and commands(page)]


@pytest.mark.slow
@pytest.mark.parametrize("page", COMMANDED, ids=ids)
def test_every_command_of_the_page_runs(page: Path, tmp_path: Path):
    if "seqio" in page.stem:
        pytest.importorskip("seqio", reason="needs the extra 'full'")
    write_files(page, tmp_path)
    outputs = [run(command, tmp_path) for command in commands(page)]
    assert outputs
    if page.name == WALKED:
        assert "ticket_urgency" in outputs[-1]
        assert "held out" in outputs[-1]
    if "seqio" in page.stem:
        assert "agreement" in outputs[-1]
