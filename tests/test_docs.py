"""The README and the pages under docs/: what they name and link exists, and what they tell to run runs.

A code block whose opening line names a file (```yaml support.yaml) is written to that file in an empty folder; a block
of `console` is run there, in order. `make docs` checks the links of docs/ too, as its site has them.
"""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import typer.main

from flan_jax.cli.app import app
from flan_jax.config import Config, fields
from flan_jax.config_file import load_config
from flan_jax.data import registry

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
README = ROOT / "README.md"
PAGES = [README, *sorted(DOCS.glob("*.md"))]
LINKED = [*PAGES, *sorted(DOCS.glob("reference/*.md")), ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]
WALKED = "add-a-task.md"

_BLOCK = re.compile(r"^```(\w*)[ \t]*([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"`([^`\n]+)`")
_SECTIONS = "|".join(Config.model_fields)
_SETTING = re.compile(rf"(?:{_SECTIONS})(?:\.\w+)+(?=$|[:=\s])")
_COMMAND = re.compile(r"flan-jax((?: [a-z]+)+)")
_LINK = re.compile(r"(?<!!)\[[^\]]+\]\(([^()\s]+)\)")
_BARE_LINK = re.compile(r"<(\w+://[^>]*)>")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


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


def table_rows(text: str) -> list[list[str]]:
    """A task's name and its numbers, from each row of a printed table that has them."""
    return [row.split() for row in re.findall(r"^  [\w:.]+(?: +[\d,]+)+", text, re.MULTILINE)]


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings: in lower case, without punctuation, hyphens for blanks."""
    headings = _HEADING.findall(_BLOCK.sub("", page.read_text()))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_anchors_are_those_of_the_headings(tmp_path: Path):
    page = tmp_path / "page.md"
    page.write_text("# From FLAN, SeqIO and t5x\n\n```console\n# no heading\n```\n\n### `datasets:`\n")
    assert anchors(page) == {"from-flan-seqio-and-t5x", "datasets"}


@pytest.mark.parametrize("page", LINKED, ids=ids)
def test_every_link_leads_somewhere(page: Path):
    text = _BLOCK.sub("", page.read_text())
    for link in [*_LINK.findall(text), *_BARE_LINK.findall(text)]:
        address = urlsplit(link)
        if address.scheme:  # not asked for: tests have no network
            assert address.scheme == "https", link
            assert "." in address.netloc, link
            continue
        target = page.parent / address.path if address.path else page
        assert target.exists(), link
        if address.fragment:
            assert address.fragment in anchors(target), link


def test_every_page_is_in_the_index_and_the_readme_leads_there():
    linked = set(_LINK.findall((DOCS / "index.md").read_text()))
    pages = {str(page.relative_to(DOCS)) for page in DOCS.rglob("*") if page.suffix in (".md", ".rst")}
    assert pages - {"index.md"} <= {link.partition("#")[0] for link in linked}
    assert "docs/index.md" in _LINK.findall(README.read_text())


def test_the_measurements_of_the_readme_are_those_of_the_page():
    rows = [line for line in README.read_text().partition("## Measured")[2].splitlines() if "tokens/s" in line]
    assert len(rows) >= 5
    assert set(rows) <= set((DOCS / "measured.md").read_text().splitlines())


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
    table = next(content for _, _, content in blocks(page) if content.startswith("Token store"))
    assert table_rows(table)
    for row in table_rows(table):
        assert row in table_rows(prepared)


@pytest.mark.slow
def test_the_code_of_the_readme_runs(tmp_path: Path):
    [code] = [content for language, _, content in blocks(README) if language == "python"]
    environment = {**os.environ, "JAX_PLATFORMS": "cpu"}
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert "seen/mean" in done.stdout
    assert (tmp_path / "exported" / "config.json").is_file()


COMMANDED = [page for page in PAGES if page.stem != "contamination" and commands(page)]


@pytest.mark.slow
@pytest.mark.parametrize("page", COMMANDED, ids=ids)
def test_every_command_of_the_page_runs(page: Path, tmp_path: Path):
    if "seqio" in page.stem:
        pytest.importorskip("seqio", reason="needs the extra 'full'")
    write_files(page, tmp_path)
    outputs = [run(command, tmp_path) for command in commands(page)]
    assert outputs
    for _, _, content in blocks(page):
        if content.startswith("Token store"):
            printed = [row for output in outputs for row in table_rows(output)]
            assert all(row in printed for row in table_rows(content))
    if page.name == WALKED:
        assert "ticket_urgency" in outputs[-1]
        assert "held out" in outputs[-1]
    if "seqio" in page.stem:
        assert "agreement" in outputs[-1]
