"""Sources: each file format read exactly, malformed input told by file and line, splits held back by content."""

import csv
import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest

from flan_jax.data.registry import (
    FileSource,
    HoldBack,
    HubSource,
    IterableSource,
    NaturalInstructionsSource,
    OwnSource,
    Source,
)
from flan_jax.errors import InputError

ROWS = [{"q": 'a "b", {c}', "answer": "é\n2"}, {"q": "x\\y", "answer": "1"}]


def written(folder: Path, name: str, rows: list[dict[str, str]] = ROWS) -> Path:
    path = folder / name
    if name.endswith(".parquet"):
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    elif name.endswith(".csv"):
        with path.open("w", newline="") as stream:
            writer = csv.DictWriter(stream, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    elif name.endswith(".tsv"):
        lines = ["\t".join(rows[0]), *("\t".join(row.values()) for row in rows)]
        escaped = [line.replace("\\", "\\\\").replace("\n", "\\n") for line in lines]
        path.write_text("\n".join(escaped) + "\n")
    else:
        lines = [json.dumps(row, ensure_ascii=False) for row in rows]
        text = "[" + ",".join(lines) + "]" if ".json" in name and ".jsonl" not in name else "\n".join(lines)
        path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else ("\ufeff" + text).encode())
    return path


@pytest.mark.parametrize(
    "name", ["a.jsonl", "a.ndjson", "a.json", "a.csv", "a.tsv", "a.parquet", "a.jsonl.gz", "[x].json"]
)
def test_every_format_gives_the_same_records(tmp_path: Path, name: str):
    path = written(tmp_path, name)
    source = FileSource(str(path), unescape=name.endswith(".tsv"))
    assert isinstance(source, Source)
    assert list(source.records("train")) == ROWS
    assert source.has_split("train")
    assert not source.has_split("validation")


def test_tables_without_a_header_take_named_columns(tmp_path: Path):
    path = tmp_path / "a.tsv"
    path.write_text('why "so"?\tyes\tline\\none\\tx\\\\\n')
    columns = ("q", "answer", "why")
    raw = list(FileSource(str(path), columns=columns).records("train"))
    assert raw == [{"q": 'why "so"?', "answer": "yes", "why": "line\\none\\tx\\\\"}]
    read = list(FileSource(str(path), columns=columns, unescape=True).records("train"))
    assert read[0]["why"] == "line\none\tx\\"


def test_splits_from_folder_mapping_glob_and_json_object(tmp_path: Path):
    for name in ("train-00000-of-00002.jsonl", "train-00001-of-00002.jsonl", "validation.json", "training.jsonl"):
        written(tmp_path, name)
    folder = FileSource(str(tmp_path))
    assert [folder.has_split(split) for split in ("train", "validation", "test")] == [True, True, False]
    assert list(folder.records("train")) == ROWS * 2
    assert list(folder.records("validation")) == ROWS
    assert list(FileSource(str(tmp_path / "train-*")).records("train")) == ROWS * 2
    named = FileSource({"train": str(tmp_path / "train-*"), "dev": str(tmp_path / "validation.json")})
    assert list(named.records("dev")) == ROWS
    path = tmp_path / "both.json"
    path.write_text(json.dumps({"train": ROWS, "validation": ROWS[:1]}))
    assert list(FileSource(str(path)).records("validation")) == ROWS[:1]
    with pytest.raises(InputError, match=r"both.json': has no split 'test'"):
        list(FileSource(str(path)).records("test"))


def test_the_version_is_the_content(tmp_path: Path):
    first, moved = written(tmp_path, "a.jsonl"), written(tmp_path, "b.jsonl")
    assert FileSource(str(first)).version == FileSource(str(moved)).version
    before = FileSource(str(first)).version
    first.write_text(first.read_text().replace("1", "3"))
    assert FileSource(str(first)).version != before
    table = str(written(tmp_path, "a.tsv"))
    assert FileSource(table).version != FileSource(table, unescape=True).version


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("a.jsonl", b'{"a": 1}\n{"a": \n', r"a.jsonl' line 2: no valid JSON .*found '{\"a\":'"),
        ("a.jsonl", b'{"a": 1}\n[1]\n', r"a.jsonl' line 2: must be a JSON object .*found a list: \[1\]"),
        ("a.jsonl", b'{"a": "\xff"}\n', r"a.jsonl' line 1: is no UTF-8 text"),
        ("a.jsonl", b"\n\n", r"a.jsonl': holds no records"),
        ("a.jsonl.gz", b'{"a": 1}', r"a.jsonl.gz': cannot be read"),
        ("a.json", b'[{"a": 1},\n {"a" 2}]', r"a.json' line 2: no valid JSON"),
        ("a.json", b'[{"a": 1}, 2]', r"a.json' entry 1: must be a JSON object"),
        ("a.json", b"3", r"a.json': must hold a list of objects"),
        ("a.csv", b"q,answer\na,b\na,b,c\n", r"a.csv' line 3: has 3 columns, and there are 2 \(q, answer\)"),
        ("a.csv", b'q,answer\na,"b', r"a.csv' line 2: malformed"),
        ("a.tsv", b"q\tanswer\na\n", r"a.tsv' line 2: has 1 columns"),
        ("a.csv", b"q,answer\n", r"a.csv': holds no records"),
        ("a.csv", b"q,answer\n\xff,b\n", r"a.csv' near line \d: is no UTF-8 text"),
        ("a.parquet", b"PAR1", r"a.parquet': no valid Parquet file"),
        ("a.txt", b"x", r"a.txt': unknown suffix '.txt'; allowed: "),
    ],
)
def test_malformed_files_are_told_by_file_and_line(tmp_path: Path, name: str, content: bytes, problem: str):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=problem):
        list(FileSource(str(tmp_path / name)).records("train"))


def test_missing_files_are_told(tmp_path: Path):
    for path in (tmp_path / "no.jsonl", tmp_path / "*.jsonl"):
        for read in (lambda s: list(s.records("train")), lambda s: s.version):
            with pytest.raises(InputError, match=r"jsonl': no such file"):
                read(FileSource(str(path)))
    with pytest.raises(InputError, match="has no split 'train'"):
        list(FileSource(str(tmp_path)).records("train"))


def test_addresses_with_a_scheme_open_through_fsspec(tmp_path: Path):
    fsspec = pytest.importorskip("fsspec", reason="needs the extra 'gcs'")
    with fsspec.open("memory://bucket/train.jsonl", "wb") as stream:
        stream.write(written(tmp_path, "a.jsonl").read_bytes())
    for path in ("memory://bucket/train.jsonl", "memory://bucket", "memory://bucket/*.jsonl"):
        source = FileSource(path)
        assert list(source.records("train")) == ROWS
        assert source.version == FileSource(str(tmp_path / "a.jsonl")).version
    with pytest.raises(InputError, match="unknown kind of address"):
        list(FileSource("nonsense://x/y.jsonl").records("train"))


def numbered(count: int) -> IterableSource:
    return IterableSource(lambda split: [{"n": i} for i in range(count)], "1")


class Given(OwnSource):
    """A source of given records with one split."""

    name = "given"
    version = "1"

    def __init__(self, records: list[Any]):
        self._records = records

    def has_split(self, split: str) -> bool:
        return split == "train"

    def records(self, split: str) -> Any:
        return iter(self._records)


@pytest.mark.parametrize(("count", "held"), [(2, 1), (10, 1), (49, 1), (100, 2), (1000, 20)])
def test_a_share_is_held_back_by_content(count: int, held: int):
    records = [{"n": i} for i in range(count)]
    parted = HoldBack(Given(records))
    train, validation = (list(parted.records(split)) for split in ("train", "validation"))
    assert len(validation) == held
    assert sorted([*train, *validation], key=lambda r: r["n"]) == records
    turned = HoldBack(Given(records[::-1]))
    assert list(turned.records("validation")) == validation[::-1]


def test_equal_records_stay_on_one_side_and_skipped_ones_are_not_held_back():
    records = [{"n": i % 7} for i in range(70)]
    parted = HoldBack(Given(records), usable=lambda r: None if r["n"] < 3 else r)
    train, validation = ({r["n"] for r in parted.records(split)} for split in ("train", "validation"))
    assert not train & validation
    assert train | validation == set(range(7))
    assert min(validation) >= 3


@pytest.mark.parametrize("records", [[], [{"n": 1}], [{"n": 1}] * 5])
def test_nothing_to_hold_back_is_told(records: list[Any]):
    with pytest.raises(InputError, match="at least two are needed"):
        list(HoldBack(Given(records)).records("validation"))


def test_a_split_of_its_own_is_kept(tmp_path: Path):
    written(tmp_path, "train.jsonl")
    written(tmp_path, "validation.jsonl", ROWS[:1])
    parted = HoldBack(FileSource(str(tmp_path)))
    assert list(parted.records("train")) == ROWS
    assert list(parted.records("validation")) == ROWS[:1]


def task_file(folder: Path, **changes: Any) -> Path:
    task = {
        "Definition": ["Say the number."],
        "Positive Examples": [{"input": "one", "output": "1", "explanation": ""}],
        "Instances": [{"id": f"i{n}", "input": f"in{n}", "output": [f"{n}", f"{n}."]} for n in range(3)],
    }
    path = folder / "task1_numbers.json"
    path.write_text(json.dumps({key: value for key, value in {**task, **changes}.items() if value is not None}))
    return path


def test_natural_instructions_give_one_record_an_instance(tmp_path: Path):
    path = task_file(tmp_path)
    for source in (NaturalInstructionsSource(str(path)), NaturalInstructionsSource(str(tmp_path))):
        records = list(source.records("train"))
        assert [record["outputs"] for record in records] == [[f"{n}", f"{n}."] for n in range(3)]
        assert records[0]["definition"] == "Say the number."
        assert records[0]["positive_examples"] == [{"input": "one", "output": "1"}]
        assert records[0]["task"] == "task1_numbers"
        assert len(source.version) == 64


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"Definition": None}, "must be an object with Definition and Instances"),
        ({"Instances": [{"input": "x"}]}, "instance 0: needs 'input' and 'output', found"),
    ],
)
def test_other_json_is_no_task_file(tmp_path: Path, changes: dict[str, Any], problem: str):
    path = task_file(tmp_path, **changes)
    with pytest.raises(InputError, match=f"natural instructions '{path}'.*{problem}"):
        list(NaturalInstructionsSource(str(path)).records("train"))


def test_hub_data_sets_are_read_from_a_folder_of_their_form(tmp_path: Path):
    pytest.importorskip("datasets", reason="needs the extra 'hub'")
    written(tmp_path, "train.jsonl")
    source = HubSource(str(tmp_path))
    assert list(source.records("train")) == ROWS
    assert source.has_split("train")
    assert not source.has_split("validation")
    assert source.version
    with pytest.raises(InputError, match="cannot be loaded"):
        list(source.records("nothing"))
    with pytest.raises(InputError, match="cannot be loaded"):
        list(HubSource(str(tmp_path / "no_such")).records("train"))


def test_an_iterable_names_its_function():
    assert numbered(3).name.endswith("numbered.<locals>.<lambda>")
    assert list(numbered(2).records("train")) == [{"n": 0}, {"n": 1}]
