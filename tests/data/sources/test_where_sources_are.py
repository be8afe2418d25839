"""What sources know without a network, where wrapped ones lie, and what a finished store asks of them: nothing."""

import dataclasses
import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flan_jax.config_file import parse_config
from flan_jax.data import registry
from flan_jax.data.check.task import check_task
from flan_jax.data.forms.forms import form_task
from flan_jax.data.prepare.opened import open_prepared
from flan_jax.data.prepare.prepare import prepare
from flan_jax.data.registry import (
    FileSource,
    HoldBack,
    HubSource,
    IterableSource,
    JoinedSource,
    NaturalInstructionsSource,
    OwnSource,
    SeqioCacheSource,
    Source,
    TaskSpec,
    Template,
    TfdsSource,
    WebFileSource,
    add_task,
    natural_instructions_rows,
    prompted,
    trees,
)
from flan_jax.data.registry.placed import with_source
from flan_jax.data.registry.resolve import resolve_run
from flan_jax.data.sources.held_back import first_records
from flan_jax.data.sources.web import DOWNLOADS, cached_file
from flan_jax.errors import InputError
from flan_jax.files.cache import cache_folder
from flan_jax.report.task_view import shown_examples
from flan_jax.text.chat import make_encoder
from flan_jax.text.tokenizer import load_tokenizer

ENCODER = make_encoder("text", load_tokenizer("bytes"), "default", is_encoder_decoder=False)
NUMBERS = itertools.count()

TREE = {
    "message_id": "m1",
    "role": "prompter",
    "text": "How?",
    "lang": "en",
    "replies": [{"message_id": "m2", "role": "assistant", "text": "So.", "lang": "en", "replies": []}],
}
FLAT = [
    {"message_id": "m1", "parent_id": None, "role": "prompter", "text": "How?", "lang": "en"},
    {"message_id": "m2", "parent_id": "m1", "role": "assistant", "text": "So.", "lang": "en"},
]
PROMPTED = {"template": "ask", "prompt": "How?", "completion": "So."}
OFFICIAL = {"Definition": ["Answer."], "Instances": [{"id": "1", "input": "How?", "output": ["So."]}]}


def lines(path: Path, *records: Any) -> str:
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return str(path)


def official(folder: Path) -> str:
    folder.mkdir()
    (folder / "task1_x.json").write_text(json.dumps(OFFICIAL))
    return str(folder)


@pytest.mark.parametrize("name", ["oasst1", "t0_trec_pick_the_best_descriptor", "natural_instructions"])
def test_a_hub_data_set_of_another_form_is_read_from_local_files(name: str, tmp_path: Path):
    """Message trees, prompted records, Natural Instructions: seen wherever files are."""
    spec = registry.get_task(name)
    path = {
        "oasst1": lambda: lines(tmp_path / "x.jsonl", *FLAT),
        "natural_instructions": lambda: official(tmp_path / "tasks"),
    }.get(name, lambda: lines(tmp_path / "x.jsonl", {**PROMPTED, "template": spec.name.removeprefix("t0_")}))()
    assert first_records(spec, 3) == []  # of the hub alone
    placed = with_source(spec, path)
    [record] = first_records(placed, 3)
    assert "So." in json.dumps(record)
    origin, fields = shown_examples(placed)
    assert origin.startswith("a record of")
    assert fields
    assert not check_task(placed, num_records=5).problems


def test_a_cached_task_of_seqio_is_read_as_what_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    cache = tmp_path / "cache"
    cache.mkdir()
    for name in ("info.train.json", "train.tfrecord-00000-of-00001", "COMPLETED"):
        (cache / name).write_text("{}")
    plain = TaskSpec(
        "plain",
        "n",
        IterableSource(lambda split: [], "1"),
        templates=(Template("{prompt}"),),
        inputs="{prompt}",
        metrics=("exact_match",),
    )
    placed = with_source(plain, str(cache)).source
    assert isinstance(placed, HoldBack)
    assert placed.source == SeqioCacheSource(str(cache))
    phrased = dataclasses.replace(plain, templates=(Template("{question}"),), inputs="{question}")
    with pytest.raises(InputError, match=rf"data.sources 'plain'.*cached.*seqio-cache:{cache}"):
        with_source(phrased, str(cache))
    files = lines(tmp_path / "x.jsonl", {"prompt": "a", "answer": "b"})
    other = with_source(plain, files).source
    assert isinstance(other, HoldBack)
    assert other.source == FileSource(files)


def sources(folder: Path) -> list[tuple[Source, bool]]:
    """Sources of every kind, and whether they are here."""
    here = lines(folder / "here.jsonl", {"a": 1}, {"a": 2})
    gone = str(folder / "gone.jsonl")
    return [
        (FileSource(here), True),
        (FileSource(gone), False),
        (FileSource({"train": here, "validation": gone}), False),
        (HoldBack(FileSource(here)), True),
        (HoldBack(FileSource(gone)), False),
        (JoinedSource((FileSource(here), FileSource(here))), True),
        (JoinedSource((FileSource(here), FileSource(gone))), False),
        (trees(FileSource(here)), True),
        (prompted(FileSource(gone), "ask"), False),
        (natural_instructions_rows(HubSource("no/such")), False),
        (NaturalInstructionsSource(gone), False),
        (HubSource("no/such"), False),
        (TfdsSource("no_such/config:1.0.0", data_dir=str(folder)), False),
        (WebFileSource("https://no.such/file.jsonl"), False),
        (SeqioCacheSource(gone), False),
        (IterableSource(lambda split: [], "7", "made"), True),
    ]


def test_what_is_not_here_has_no_version_here_and_nothing_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("FLAN_JAX_CACHE", str(tmp_path / "cache"))
    for source, is_here in sources(tmp_path):
        assert source.is_here() == is_here, source
        assert source.version_here() == (source.version if is_here else None), source
    assert HubSource("no/such", revision="abc").version_here() == "abc"
    file = cached_file("https://no.such/file.jsonl", cache_folder(DOWNLOADS))
    file.parent.mkdir(parents=True)
    lines(file, {"a": 1})
    downloaded = WebFileSource("https://no.such/file.jsonl")
    assert downloaded.is_here()
    assert downloaded.version_here() == downloaded.version


class Guarded(OwnSource):
    """Records whose version costs: asking is counted."""

    name = "guarded"

    def __init__(self) -> None:
        self.asked = 0

    @property
    def version(self) -> str:
        self.asked += 1
        return "1"

    def version_here(self) -> str | None:
        return None

    def has_split(self, split: str) -> bool:
        return True

    def records(self, split: str) -> Iterator[dict[str, str]]:
        return iter([{"q": f"{split}{number}", "answer": "a"} for number in range(8)])


@pytest.mark.usefixtures("own_registry")
def test_a_finished_store_asks_no_source_for_its_version(tmp_path: Path):
    source = Guarded()
    task = add_task(
        TaskSpec(
            f"guarded{next(NUMBERS)}",
            "n",
            source,
            templates=(Template("{q}"),),
            inputs="{q}",
            metrics=("exact_match",),
        )
    )
    config = parse_config(
        {
            "run": {"dir": str(tmp_path)},
            "batch": {"rows": 2, "length": 64, "window_batches": 2},
            "data": {"mixture": [task.name]},
        },
        "test",
    )
    resolved = resolve_run(config)
    prepare(config, ENCODER, resolved)
    assert source.asked
    source.asked = 0
    assert not prepare(config, ENCODER, resolved).num_built
    assert open_prepared(config, ENCODER, resolved).train
    assert not source.asked


def test_a_source_without_these_answers_is_refused_with_the_class_that_has_them():
    class Bare:
        name = "bare"
        version = "1"

        def records(self, split: str) -> Any:
            return iter(())

    bare: Any = Bare()
    with pytest.raises(InputError, match=r"task 'x': its source, a Bare, has no 'version_here'.*OwnSource"):
        TaskSpec("x", "n", bare, templates=(Template("{q}"),), inputs="{q}", metrics=("exact_match",))


def test_forms_of_files_are_read_where_the_files_are(tmp_path: Path):
    task = form_task("oasst", lines(tmp_path / "x.jsonl", TREE))
    assert first_records(task, 1) == [{"prompt": TREE}]
