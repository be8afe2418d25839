"""Records from a folder that SeqIO's `seqio_cache_tasks` wrote, without SeqIO and without TensorFlow.

    COMPLETED                              written last: the folder is whole
    info.{split}.json                      number of shards; shape and type of every feature
    stats.{split}.json                     number of examples
    {split}.tfrecord-00000-of-00002, …     tf.Examples

A folder holds what a task's preprocessors gave up to the cache; what the task does after it (end tokens, as a rule) is
in its code, and so is its vocabulary. Text is taken where the folder has it. Where it has ids alone, their vocabulary
has to be stated, and the end tokens that SeqIO adds after the cache are added here.

What reads files and vocabularies is imported with the first record: task files may name such a source, and listing
tasks needs none of it.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from flan_jax.data.spec.task import TOKEN_IDS
from flan_jax.errors import InputError
from flan_jax.files.addresses import content_hash, is_folder, list_folder, open_bytes
from flan_jax.files.json_text import parse_json

if TYPE_CHECKING:
    from flan_jax.data.sources.tfrecord import Values
    from flan_jax.text.tokenizer import Tokenizer

INPUTS, TARGETS = "inputs", "targets"
COMPLETED = "COMPLETED"

_TEXT_PAIRS = (
    ("inputs_pretokenized", "targets_pretokenized"),
    ("inputs_plaintext", "targets_plaintext"),  # the same in old caches
    (INPUTS, TARGETS),
)
_SHARD = re.compile(r"(.+)\.tfrecord-(\d+)-of-(\d+)")
_VOCABULARY_FILES = ("tokenizer.json", "spiece.model", "tokenizer.model", "sentencepiece.model")


@dataclass(frozen=True)
class SeqioCacheSource:
    """The examples of one task that SeqIO cached.

    A record is {prompt, answer} where the folder keeps text, else the token ids.

    Attributes:
        path: the task's folder in SeqIO's cache folder.
        vocabulary: the vocabulary of the ids, as tokenizer file or folder; none: a tokenizer.json or SentencePiece
            .model file in the task's folder. Not needed where the folder keeps text.
        end_tokens: features whose ids get the vocabulary's end token where they lack it.
    """

    path: str
    vocabulary: str | None = None
    end_tokens: tuple[str, ...] = (INPUTS, TARGETS)

    @property
    def name(self) -> str:
        """The last part of the path."""
        return PurePosixPath(self.path).name

    @property
    def version(self) -> str:
        """SHA-256 over the content of all files, and over how ids are read where that is stated."""
        parts = [content_hash(file) for name, file in sorted(self._files.items()) if _is_part(name)]
        parts += [] if self.vocabulary is None else [self._vocabulary[2]]
        parts += [] if self.end_tokens == (INPUTS, TARGETS) else [repr(self.end_tokens)]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    def is_here(self) -> bool:
        """Whether the folder is there; an address is asked."""
        return is_folder(self.path)

    def version_here(self) -> str | None:
        """The version; none where the folder is missing."""
        return self.version if self.is_here() else None

    def local(self, path: str) -> SeqioCacheSource:
        """The same from another folder."""
        return dataclasses.replace(self, path=path)

    def has_split(self, split: str) -> bool:
        """Whether the folder has this split."""
        return f"info.{split}.json" in self._files

    def records(self, split: str) -> Iterator[Mapping[str, Any]]:
        """The examples of a split: shards in the order of their numbers, examples in theirs.

        Raises:
            InputError: the folder is not whole, has no such split, is damaged, or gives ids of an unknown vocabulary.
        """
        from flan_jax.data.sources.tfrecord import read_records

        info = self._info(split)
        shards = self._shards(split, int(info["num_shards"]))
        texts = next((pair for pair in _TEXT_PAIRS if _are_text(info["features"], pair)), None)
        if texts is None:
            self._check_ids(info["features"], split)
        count = 0
        for file in shards:
            with open_bytes(file) as stream:
                where = f"{self._where}, '{PurePosixPath(file).name}'"
                for number, data in enumerate(read_records(stream, where)):
                    yield self._record(data, texts, f"{where} record {number}")
                    count += 1
        stated = self._json(f"stats.{split}.json").get("examples", count)
        if count != stated:
            raise InputError(
                f"{self._where}: split '{split}' holds {count} examples and stats.{split}.json says {stated}; copy the "
                "folder again"
            )

    @property
    def _where(self) -> str:
        return f"SeqIO cache '{self.path}'"

    @functools.cached_property
    def _files(self) -> dict[str, str]:
        """The folder's files by name."""
        if not is_folder(self.path):
            raise InputError(f"{self._where}: no such folder; give a task's folder in a SeqIO cache")
        files = {PurePosixPath(file).name: file for file in list_folder(self.path)}
        if not any(name.startswith("info.") for name in files):
            raise InputError(
                f"{self._where}: holds no info.SPLIT.json; give the folder of one task, which is OUTPUT_CACHE_DIR/TASK "
                "of seqio_cache_tasks (a ':' in the task's name parts folders)"
            )
        if COMPLETED not in files:
            raise InputError(
                f"{self._where}: holds no file {COMPLETED}, so seqio_cache_tasks did not end or it was not copied "
                "whole; cache the task again, or copy it again"
            )
        return files

    def _json(self, name: str) -> dict[str, Any]:
        where = f"{self._where}, '{name}'"
        if name not in self._files:
            raise InputError(f"{where}: is missing; copy the folder again")
        with open_bytes(self._files[name]) as stream:
            tree = parse_json(stream.read(), where, "copy it again")
        if not isinstance(tree, dict):
            raise InputError(f"{where}: must hold an object, found {type(tree).__name__}; copy it again")
        return tree

    def _info(self, split: str) -> dict[str, Any]:
        if not self.has_split(split):
            splits = ", ".join(sorted(name[5:-5] for name in self._files if re.fullmatch(r"info\..+\.json", name)))
            raise InputError(f"{self._where}: has no split '{split}'; it has {splits}")
        info = self._json(f"info.{split}.json")
        if not {"num_shards", "features"} <= info.keys():
            raise InputError(
                f"{self._where}: info.{split}.json states no num_shards and features, so the split is empty or was "
                "written by another tool; cache the task again"
            )
        return info

    def _shards(self, split: str, count: int) -> list[str]:
        shards = {}
        for name, file in self._files.items():
            match = _SHARD.fullmatch(name)
            if match and match[1] == split and int(match[3]) == count:
                shards[int(match[2])] = file
        missing = [number for number in range(count) if number not in shards]
        if missing:
            raise InputError(
                f"{self._where}: {len(missing)} of {count} shards of split '{split}' are missing, the first is "
                f"{split}.tfrecord-{missing[0]:05d}-of-{count:05d}; copy the folder again"
            )
        return [shards[number] for number in range(count)]

    def _check_ids(self, features: Mapping[str, Any], split: str) -> None:
        for name in (INPUTS, TARGETS):
            if name not in features:
                raise InputError(
                    f"{self._where}: split '{split}' has no feature '{name}'; inputs and targets are needed, it has "
                    f"{', '.join(features)}"
                )
            if not str(features[name]["dtype"]).startswith("int") or len(features[name]["shape"]) != 1:
                raise InputError(
                    f"{self._where}: feature '{name}' is {features[name]['dtype']} of shape {features[name]['shape']}; "
                    "it must be one text or one list of token ids"
                )
        self._tokenizer  # noqa: B018 (refused before a record is read)

    def _record(self, data: bytes, texts: tuple[str, str] | None, where: str) -> Mapping[str, Any]:
        from flan_jax.data.sources.tfrecord import parse_example
        from flan_jax.data.spec.token_ids import TokenIds

        names = texts or (INPUTS, TARGETS)
        values = parse_example(data, names, where)
        if texts is not None:
            prompt, answer = (_text(values, name, where) for name in names)
            return {"prompt": prompt, "answer": answer}
        inputs, targets = (self._ids(values, name) for name in names)
        return {TOKEN_IDS: TokenIds(inputs, targets, *self._vocabulary)}

    def _ids(self, values: Mapping[str, Values], name: str) -> tuple[int, ...]:
        ids = [int(token) for token in values.get(name, ())]  # an empty list may be left out of an Example
        end = self._tokenizer.eos_id
        return (*ids, end) if name in self.end_tokens and ids[-1:] != [end] else tuple(ids)

    @functools.cached_property
    def _tokenizer(self) -> Tokenizer:
        from flan_jax.text.tokenizer import load_tokenizer

        return load_tokenizer(self._vocabulary_file)

    @property
    def _vocabulary_file(self) -> str:
        if self.vocabulary is not None:
            return str(Path(self.vocabulary).expanduser())
        beside = next((self._files[name] for name in _VOCABULARY_FILES if name in self._files), None)
        if beside is None:
            raise InputError(
                f"{self._where}: gives token ids without text and does not say of which vocabulary; put its "
                f"tokenizer.json or SentencePiece .model into the folder, or register a task of your own with "
                f"SeqioCacheSource('{self.path}', vocabulary=FILE)"
            )
        return beside

    @functools.cached_property
    def _vocabulary(self) -> tuple[str, int, str]:
        """(description, size, hash of pieces), as `TokenIds` wants it."""
        from flan_jax.data.spec.token_ids import hash_pieces

        tokenizer = self._tokenizer
        size = tokenizer.vocab_size
        return (
            str(self._vocabulary_file),
            size,
            hash_pieces(tokenizer.backend.id_to_token(i) or "" for i in range(size)),
        )


def is_cache(path: str) -> bool:
    """Whether this is a folder that `seqio_cache_tasks` wrote, whole or not."""
    if not is_folder(path):
        return False
    names = {PurePosixPath(file).name for file in list_folder(path)}
    return any(name.startswith("info.") for name in names) and any(map(_SHARD.fullmatch, names))


def _is_part(name: str) -> bool:
    return bool(_SHARD.fullmatch(name)) or name.startswith("info.") or name in _VOCABULARY_FILES


def _are_text(features: Mapping[str, Any], pair: tuple[str, str]) -> bool:
    return all(name in features and features[name] == {"shape": [], "dtype": "string"} for name in pair)


def _text(values: Mapping[str, Values], name: str, where: str) -> str:
    value = values.get(name)
    if not isinstance(value, list) or len(value) != 1:
        number = "none" if value is None else f"{len(value)} values"
        raise InputError(f"{where}: feature '{name}' must hold one text, found {number}; cache the task again")
    try:
        return value[0].decode("utf-8")
    except UnicodeDecodeError as e:
        raise InputError(f"{where}: feature '{name}' is no UTF-8 text ({e.reason}); cache the task again") from e
