"""Files that are damaged or are no files: one sentence with file and line, and never a wait without end."""

import gzip
import json
import os
from pathlib import Path

import pytest

from flan_jax.data.registry import FileSource
from flan_jax.errors import InputError


def read(path: Path) -> list:
    return list(FileSource(str(path)).records("train"))


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b'{"a": 1}\n' + b"[" * 100_000 + b"]" * 100_000 + b"\n", "line 2: lists or objects are nested too deep"),
        (b'{"a": ' + b"9" * 5_000 + b"}\n", "line 1: holds a number that is too long"),
        (b'{"a": 1}\n["b"]\n', "line 2: must be a JSON object"),
        (b'{"a": "\xff"}\n', "line 1: is no UTF-8 text"),
    ],
)
def test_lines_that_cannot_be_read_are_told(tmp_path: Path, content: bytes, problem: str):
    path = tmp_path / "x.jsonl"
    path.write_bytes(content)
    with pytest.raises(InputError, match=rf"data file '{path}' {problem}"):
        read(path)


def test_a_flipped_byte_in_a_packed_file_is_told(tmp_path: Path):
    path = tmp_path / "x.jsonl.gz"
    packed = bytearray(gzip.compress("".join(json.dumps({"a": str(n)}) + "\n" for n in range(5_000)).encode()))
    for place in range(20, len(packed), 97):
        harmed = bytearray(packed)
        harmed[place] ^= 0x10
        path.write_bytes(harmed)
        with pytest.raises(InputError, match=rf"data file '{path}'"):
            read(path)


def test_a_fifo_is_refused_and_not_waited_for(tmp_path: Path):
    path = tmp_path / "x.jsonl"
    os.mkfifo(path)
    with pytest.raises(InputError, match=rf"data file '{path}': is a FIFO and no regular file"):
        read(path)


def test_columns_of_one_name_are_refused(tmp_path: Path):
    path = tmp_path / "x.csv"
    path.write_text("a,b,a\n1,2,3\n")
    with pytest.raises(InputError, match=r"line 1: names the column 'a' twice"):
        read(path)
