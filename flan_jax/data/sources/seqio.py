"""Tasks registered with SeqIO as sources.

Importing this module imports TensorFlow (5 to 20 s); nothing in the project does so before a name asks for it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import seqio
import tensorflow as tf

from flan_jax.data.sources.files import FileSource
from flan_jax.data.sources.seqio_metrics import SeqioMetrics, seqio_metrics
from flan_jax.data.spec.own_metrics import ExampleRecord
from flan_jax.data.spec.source import SEQIO
from flan_jax.data.spec.task import TOKEN_IDS
from flan_jax.data.spec.token_ids import TokenIds, hash_pieces
from flan_jax.errors import InputError, did_you_mean
from flan_jax.text.tokenizer import Tokenizer

INPUTS, TARGETS = "inputs", "targets"
_PRETOKENIZED = "_pretokenized"  # SeqIO's suffix for the text that a tokenized feature was made of
_PREPROCESSING_SEED = 0  # of foreign tasks with random preprocessors: the same examples at every reading


@dataclass(frozen=True)
class SeqioSource:
    """The examples of a task that is registered with SeqIO, after its preprocessors.

    A record is {prompt, answer} where the task keeps its text, else the task's token ids.

    Attributes:
        task: its name.
        version: stated by the user, since SeqIO tasks have none.
        lengths: SeqIO's `sequence_length`, for tasks whose preprocessors ask for it.
        carries_examples: records carry the task's examples, for its own metric functions.
    """

    task: str
    version: str = "unversioned"
    lengths: Mapping[str, int] | None = None
    carries_examples: bool = False

    @property
    def name(self) -> str:
        """The task's name."""
        return f"{SEQIO}{self.task}"

    def is_here(self) -> bool:
        """No: where a task's records come from is in its code."""
        return False

    def version_here(self) -> str:
        """The stated version."""
        return self.version

    def local(self, path: str) -> FileSource:
        """A source that reads files with the fields prompt and answer."""
        return FileSource(path)

    def has_split(self, split: str) -> bool:
        """Whether the task has this split."""
        return split in self._task.splits

    def records(self, split: str) -> Iterator[Mapping[str, Any]]:
        """The examples of a split, not shuffled, once each.

        Raises:
            InputError: no such task or split; no inputs and targets; ids of a vocabulary that cannot be compared.
        """
        task = self._task
        if not self.has_split(split):
            raise InputError(f"source {self.name}: has no split '{split}'; it has {', '.join(task.splits)}")
        dataset = self._read(task, split)
        spec: Mapping[str, Any] = cast(Mapping[str, Any], dataset.element_spec)
        texts = next((pair for pair in _TEXT_PAIRS if _are_text(spec, pair)), None)
        rows = cast(Iterator[Mapping[str, Any]], dataset.as_numpy_iterator())
        if texts is not None:
            for row in rows:
                prompt, answer = (row[feature].decode("utf-8") for feature in texts)
                yield self._record({"prompt": prompt, "answer": answer}, row)
            return
        for feature in (INPUTS, TARGETS):
            if feature not in spec:
                features = ", ".join(spec)
                raise InputError(
                    f"source {self.name}: has no feature '{feature}'; inputs and targets are needed: {features}"
                )
        vocabulary = _ids_vocabulary(self.name, task.output_features)
        for row in rows:
            inputs, targets = (tuple(row[feature].tolist()) for feature in (INPUTS, TARGETS))
            yield self._record({TOKEN_IDS: TokenIds(inputs, targets, *vocabulary)}, row)

    def _record(self, fields: Mapping[str, Any], row: Mapping[str, Any]) -> Mapping[str, Any]:
        return ExampleRecord(fields, row) if self.carries_examples else fields

    def with_examples(self) -> SeqioSource:
        """The same source with records that carry the task's examples."""
        return dataclasses.replace(self, carries_examples=True)

    def metric_functions(self) -> SeqioMetrics | None:
        """The task's own metric functions; none where it states none."""
        return seqio_metrics(self._task, self.name)

    @property
    def _task(self) -> seqio.Task:
        provider = registered_with_seqio(self.task)
        if isinstance(provider, seqio.Mixture):
            raise InputError(f"source {self.name}: is a mixture; name it in data.mixture, or one of its tasks here")
        return provider

    def _read(self, task: seqio.Task, split: str) -> tf.data.Dataset:
        for kind in ("GPU", "TPU"):
            tf.config.set_visible_devices([], kind)  # TensorFlow would take the accelerators' memory for itself
        if task.requires_caching:
            if task.cache_dir is None:
                raise InputError(f"source {self.name}: must be cached first; run seqio_cache_tasks and add its folder")
            return task.get_dataset(self.lengths, split, use_cached=True, shuffle=False, seed=_PREPROCESSING_SEED)
        dataset = task.source.get_dataset(split=split, shuffle=False)
        dataset = task.preprocess_precache(dataset, seed=_PREPROCESSING_SEED)
        try:
            return task.preprocess_postcache(dataset, sequence_length=self.lengths, seed=_PREPROCESSING_SEED)
        except TypeError as e:
            if self.lengths is not None:
                raise
            raise InputError(
                f"source {self.name}: its preprocessors ask for sequence lengths; register a task of your own with "
                f"SeqioSource('{self.task}', lengths={{'inputs': …, 'targets': …}})"
            ) from e


_TEXT_PAIRS = ((INPUTS + _PRETOKENIZED, TARGETS + _PRETOKENIZED), (INPUTS, TARGETS))


def _are_text(spec: Mapping[str, Any], pair: Sequence[str]) -> bool:
    return all(name in spec and spec[name].dtype == tf.string and spec[name].shape.rank == 0 for name in pair)


def _ids_vocabulary(name: str, features: Mapping[str, Any]) -> tuple[str, int, str]:
    """(description, size, hash of pieces) of the vocabulary that inputs and targets share."""
    vocabulary = features[INPUTS].vocabulary
    if vocabulary == features[TARGETS].vocabulary:
        if isinstance(vocabulary, TokenizerVocabulary):
            backend = vocabulary.tokenizer.backend
            size = vocabulary.tokenizer.vocab_size
            return vocabulary.tokenizer.name, size, hash_pieces(backend.id_to_token(i) or "" for i in range(size))
        if isinstance(vocabulary, seqio.SentencePieceVocabulary):
            pieces = vocabulary.tokenizer
            size = pieces.GetPieceSize() - vocabulary.extra_ids  # what a model adds on top has names of its own
            return vocabulary.sentencepiece_model_file, size, hash_pieces(pieces.IdToPiece(i) for i in range(size))
    raise InputError(
        f"source {name}: gives token ids without text, and its vocabulary ({vocabulary}) cannot be held against the "
        "model's; use a task that keeps inputs_pretokenized and targets_pretokenized"
    )


def registered_with_seqio(name: str) -> Any:
    """The task or mixture that is registered with SeqIO.

    Raises:
        InputError: there is none; names the nearest.
    """
    known = sorted({*seqio.TaskRegistry.names(), *seqio.MixtureRegistry.names()})
    if name not in known:
        hint = did_you_mean(name, known, "name the module that registers it in data.modules")
        raise InputError(f"task '{SEQIO}{name}': SeqIO knows no task or mixture of this name; {hint}")
    return seqio.get_mixture_or_task(name)


def subtask_rates(name: str) -> dict[str, float | None]:
    """The tasks of a SeqIO task or mixture with the rates SeqIO has for them; None for a single task."""
    provider = registered_with_seqio(name)
    if isinstance(provider, seqio.Mixture):
        # sorted, since SeqIO keeps the tasks in a set, whose order differs from process to process
        return {task.name: float(provider.get_rate(task)) for task in sorted(provider.tasks, key=lambda t: t.name)}
    return {name: None}


class TokenizerVocabulary(seqio.Vocabulary):
    """The model's tokenizer as a SeqIO vocabulary."""

    def __init__(self, tokenizer: Tokenizer):
        super().__init__()
        self.tokenizer = tokenizer

    @property
    def bos_id(self) -> int | None:
        """Id of the start token."""
        return self.tokenizer.bos_id

    @property
    def eos_id(self) -> int:
        """Id of the end token."""
        return self.tokenizer.eos_id

    @property
    def unk_id(self) -> None:
        """None: every text has ids."""

    @property
    def _base_vocab_size(self) -> int:
        return self.tokenizer.vocab_size

    def _encode(self, s: str) -> Sequence[int]:
        return self.tokenizer.encode(s)

    def _decode(self, ids: Sequence[int]) -> str:
        return self.tokenizer.decode(ids)

    def _encode_tf(self, s: tf.Tensor) -> tf.Tensor:
        def encode(text: Any) -> np.ndarray:
            # bytes in a graph, an array of rank 0 outside of one
            return np.asarray(self._encode(np.asarray(text).item().decode("utf-8")), np.int32)

        return tf.ensure_shape(tf.numpy_function(encode, [s], tf.int32), [None])

    def _decode_tf(self, ids: tf.Tensor) -> tf.Tensor:
        return tf.numpy_function(lambda row: self._decode(row.tolist()).encode("utf-8"), [ids], tf.string)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TokenizerVocabulary) and other.tokenizer.fingerprint == self.tokenizer.fingerprint

    def __hash__(self) -> int:
        return hash(self.tokenizer.fingerprint)
