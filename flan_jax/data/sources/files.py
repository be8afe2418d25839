"""Records from files: JSONL, JSON, CSV, TSV and Parquet, local or on `gs://`.

    path given as        split 'train'             another split
    one file or glob     all of it                 none; but a JSON file may be {"train": [...], "test": [...]}
    a folder             train.*, train-*.*        likewise, by the split's name
    {split: path}        its file or glob          likewise

What is malformed is told with file and line. The version is a hash of content: moving a file changes nothing.
"""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import io
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Literal, get_args

from flan_jax.errors import InputError
from flan_jax.files.addresses import content_hash, find_files, is_folder, list_folder, open_bytes
from flan_jax.files.json_text import parse_json

Format = Literal["jsonl", "json", "csv", "tsv", "parquet"]
FORMATS: tuple[str, ...] = get_args(Format)
TRAIN = "train"

_SUFFIXES = {".ndjson": "jsonl", **{f".{name}": name for name in FORMATS}}
_ESCAPE = re.compile(r"\\([ntr\\])")
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\"}
_LONGEST_CELL = 2**31 - 1  # characters; the csv module stops at 131,072 by itself
_SHOWN_CHARACTERS = 60


@dataclass(frozen=True)
class FileSource:
    """Records of files.

    Attributes:
        path: a file, a glob, a folder with files named by split, or these by split.
        format: of the files; none: by their suffix, with `.gz` after it or not.
        columns: names of the columns of a CSV or TSV file that has no header line, or of JSON rows that are lists.
        unescape: reads `\\n`, `\\t`, `\\r` and `\\\\` in CSV and TSV cells as the characters they stand for.
    """

    path: str | Mapping[str, str]
    format: Format | None = None
    columns: tuple[str, ...] | None = None
    unescape: bool = False

    @property
    def name(self) -> str:
        """The last part of the path."""
        paths = [self.path] if isinstance(self.path, str) else self.path.values()
        return ", ".join(PurePosixPath(path).name for path in paths)

    @property
    def version(self) -> str:
        """SHA-256 over the content of all files, and over how they are read where that is stated."""
        if isinstance(self.path, str):
            files = self._in_folder(".+?") if is_folder(self.path) else self._found(self.path)
        else:
            files = [file for path in self.path.values() for file in self._found(path)]
        parts = [content_hash(file) for file in files]
        parts += [repr(self.columns)] if self.columns else []
        parts += ["unescape"] if self.unescape else []
        return parts[0] if len(parts) == 1 else hashlib.sha256("\n".join(parts).encode()).hexdigest()

    def is_here(self) -> bool:
        """Whether all files are there; an address is asked."""
        paths = [self.path] if isinstance(self.path, str) else self.path.values()
        return all(is_folder(path) or bool(find_files(path)) for path in paths)

    def version_here(self) -> str | None:
        """The version; none where files are missing, as beside a store that was copied without them."""
        return self.version if self.is_here() else None

    def local(self, path: str) -> FileSource:
        """A source that reads a file or folder of one's own in the way these files are read."""
        return dataclasses.replace(self, path=path, format=None)

    def has_split(self, split: str) -> bool:
        """Whether there are files, or a part of a JSON file, for this split."""
        if not isinstance(self.path, str):
            return split in self.path
        if is_folder(self.path):
            return bool(self._in_folder(re.escape(split)))
        files = find_files(self.path)
        if len(files) == 1 and self._format_of(files[0]) == "json" and _opens_mapping(files[0]):
            return split in _load_json(files[0])
        return split == TRAIN

    def records(self, split: str) -> Iterator[Mapping[str, Any]]:
        """The records of a split: files in the order of their names, records in theirs.

        Raises:
            InputError: a file is missing, empty, of no known format, or malformed; there is no such split.
        """
        if isinstance(self.path, str) and is_folder(self.path):
            files = self._in_folder(re.escape(split))
        elif isinstance(self.path, str):
            files = self._found(self.path)
        else:
            files = self._found(self.path[split]) if split in self.path else []
        if not files or not self.has_split(split):
            raise InputError(
                f"data file '{self.path}': has no split '{split}'; give a folder with {split}.jsonl (or .json, .csv, "
                ".tsv, .parquet) in it, or a path for each split"
            )
        for file in files:
            count = 0
            for record in self._read(file, split):
                count += 1
                yield record
            if not count:
                raise InputError(f"data file '{file}': holds no records; give it some, or leave it out")

    def _found(self, path: str) -> list[str]:
        files = find_files(path)
        if not files:
            raise InputError(f"data file '{path}': no such file; give the path of a file, a glob or a folder")
        return files

    def _in_folder(self, split: str) -> list[str]:
        """The folder's data files for a split, whole or in shards such as train-00000-of-00002.parquet."""
        pattern = re.compile(rf"{split}(-\d[\w-]*)?")
        files = [file for file in list_folder(str(self.path)) if _suffix(file) in _SUFFIXES]
        return [file for file in files if pattern.fullmatch(PurePosixPath(file.removesuffix(".gz")).stem)]

    def _format_of(self, file: str) -> str:
        if self.format is not None:
            return self.format
        suffix = _suffix(file)
        if suffix not in _SUFFIXES:
            raise InputError(f"data file '{file}': unknown suffix '{suffix}'; allowed: {', '.join(_SUFFIXES)}")
        return _SUFFIXES[suffix]

    def _read(self, file: str, split: str) -> Iterator[Mapping[str, Any]]:
        kind = self._format_of(file)
        if kind == "jsonl":
            return _read_jsonl(file)
        if kind == "json":
            return _read_json(file, split, self.columns)
        if kind == "parquet":
            return _read_parquet(file)
        return _read_table(file, self.columns, self.unescape, is_csv=kind == "csv")


def _suffix(file: str) -> str:
    return PurePosixPath(file.removesuffix(".gz")).suffix.lower()


def _read_jsonl(file: str) -> Iterator[Mapping[str, Any]]:
    with open_bytes(file) as stream:
        for number, line in enumerate(stream, 1):
            if line.isspace():
                continue
            where = f"data file '{file}' line {number}"
            yield _object(parse_json(line, where, "each line is one object", is_first=number == 1), where)


def _object(record: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(record, Mapping):
        start = repr(record)[:_SHOWN_CHARACTERS]
        raise InputError(f"{where}: must be a JSON object with named fields, found a {type(record).__name__}: {start}")
    return record


def _read_json(file: str, split: str, columns: tuple[str, ...] | None) -> Iterator[Mapping[str, Any]]:
    tree = _load_json(file)
    records = tree[split] if isinstance(tree, Mapping) else tree
    if not isinstance(records, list):
        raise InputError(
            f"data file '{file}': must hold a list of objects, or one by split; found {type(records).__name__}"
        )
    for number, record in enumerate(records):
        if columns and isinstance(record, list) and len(record) == len(columns):
            record = dict(zip(columns, record, strict=True))
        yield _object(record, f"data file '{file}' entry {number}")


def _load_json(file: str) -> Any:
    with open_bytes(file) as stream:
        return parse_json(stream.read(), f"data file '{file}'", "correct the file", is_first=True)


def _opens_mapping(file: str) -> bool:
    with open_bytes(file) as stream:
        return stream.read(1024).decode("utf-8-sig", errors="ignore").lstrip().startswith("{")


def _read_table(
    file: str, columns: tuple[str, ...] | None, unescape: bool, *, is_csv: bool
) -> Iterator[Mapping[str, Any]]:
    """Rows of a CSV file (quoted cells) or of a TSV file (cells as they are, quotes and all)."""
    csv.field_size_limit(_LONGEST_CELL)
    with open_bytes(file) as stream:
        text = io.TextIOWrapper(stream, encoding="utf-8-sig", newline="")
        rows = csv.reader(text, strict=True) if is_csv else csv.reader(text, delimiter="\t", quoting=csv.QUOTE_NONE)
        names = columns
        try:
            for row in rows:
                if not row:
                    continue
                if names is None:
                    names = tuple(row)
                    _refuse_twice(names, f"data file '{file}' line {rows.line_num}")
                    continue
                if len(row) != len(names):
                    remedy = "quote a cell that holds commas" if is_csv else "write a tab in a cell as \\t"
                    raise InputError(
                        f"data file '{file}' line {rows.line_num}: has {len(row)} columns, and there are {len(names)} "
                        f"({', '.join(names)}); {remedy}"
                    )
                cells = [_ESCAPE.sub(_unescaped, cell) for cell in row] if unescape else row
                yield dict(zip(names, cells, strict=True))
        except csv.Error as e:
            raise InputError(f"data file '{file}' line {rows.line_num}: malformed ({e})") from e
        except UnicodeDecodeError as e:
            raise InputError(f"data file '{file}' near line {rows.line_num}: is no UTF-8 text ({e.reason})") from e


def _refuse_twice(names: Sequence[str], where: str) -> None:
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise InputError(f"{where}: names the column '{twice[0]}' twice; give each column a name of its own")


def _unescaped(match: re.Match[str]) -> str:
    return _ESCAPED[match[1]]


def _read_parquet(file: str) -> Iterator[Mapping[str, Any]]:
    import pyarrow
    import pyarrow.parquet

    with open_bytes(file) as stream:
        try:
            for batch in pyarrow.parquet.ParquetFile(stream).iter_batches():
                yield from batch.to_pylist()
        except pyarrow.ArrowInvalid as e:
            problem = str(e).splitlines()[0]
            raise InputError(f"data file '{file}': no valid Parquet file ({problem})") from e
