"""SeqIO on both sides: someone else's SeqIO tasks as a source, and this project's tasks as SeqIO tasks.

    foreign SeqIO task ──text, else ids of its vocabulary──> SeqioSource ──> render, tokenize, store
    TaskSpec ──render, tokenize──> seqio.Task ──> seqio.get_mixture_or_task, feature converters, …

Ours wrap the same renderer and the same form that fill the store, so their ids are the store's. Importing this module
imports TensorFlow (5 to 20 s); nothing in the project does so before a name asks for it.
"""

from __future__ import annotations

import functools
import itertools
import re
import sys
from collections.abc import Iterator, Mapping
from typing import Any, cast

import numpy as np
import seqio
import tensorflow as tf

from flan_jax.config import BatchConfig, DataConfig
from flan_jax.data.plan.rates import mixture_rates
from flan_jax.data.prepare.encode import Encoder, Fit, LeftOut, encode, shot_budget
from flan_jax.data.registry.resolve import Resolved
from flan_jax.data.render.example import Example
from flan_jax.data.render.examples import examples
from flan_jax.data.sources.seqio import _PRETOKENIZED, INPUTS, TARGETS, TokenizerVocabulary
from flan_jax.data.spec.task import TaskSpec
from flan_jax.data.store.record import PairRecord, TokenRecord
from flan_jax.errors import InputError
from flan_jax.text.plain import PairEncoder

_BATCH_EXAMPLES = 256


def as_seqio(
    spec: TaskSpec, encoder: Encoder, data: DataConfig, *, name: str = "", batch: BatchConfig | None = None
) -> seqio.Task:
    """Registers a task with SeqIO, rendered and tokenized as for the store.

    Features: inputs (the prompt) and targets (the answer), int32 ids with every start, end and turn token in them; what
    a decoder reads is the two joined. Of a conversation, `targets` is its last answer: SeqIO has no loss weights for
    turns before it. Beside them: inputs_pretokenized, targets_pretokenized, example_id, template_id.

    Args:
        spec: the task.
        form: what makes ids of a conversation.
        data: how examples are rendered.
        name: of the SeqIO task; empty: the task's own, with other characters than SeqIO allows made `_`.
        batch: rows that prompts with examples in them are fitted to, as in the store; none: `data.shot_tokens` alone.

    Raises:
        InputError: SeqIO has a task or mixture of this name.
    """
    name = name or seqio_name(spec.name)
    if name in (*seqio.TaskRegistry.names(), *seqio.MixtureRegistry.names()):
        raise InputError(f"task '{spec.name}': SeqIO has a task or mixture '{name}' already; give another name")

    def dataset_fn(split: str, shuffle_files: bool = False, seed: int | None = None) -> tf.data.Dataset:
        del shuffle_files, seed  # the order is the source's, as in the store
        return tf.data.Dataset.from_generator(
            functools.partial(encoded_examples, spec, split, encoder, data, batch), output_signature=_SIGNATURE
        )

    vocabulary = TokenizerVocabulary(encoder.tokenizer)
    feature = seqio.Feature(vocabulary, add_eos=False, dtype=tf.int32)
    return seqio.TaskRegistry.add(
        name,
        source=cast(Any, seqio.FunctionDataSource(dataset_fn, splits=tuple(spec.splits))),
        preprocessors=[],
        output_features={INPUTS: feature, TARGETS: feature},
        metric_fns=[],
    )


_SIGNATURE = {
    INPUTS: tf.TensorSpec([None], tf.int32),
    TARGETS: tf.TensorSpec([None], tf.int32),
    INPUTS + _PRETOKENIZED: tf.TensorSpec([], tf.string),
    TARGETS + _PRETOKENIZED: tf.TensorSpec([], tf.string),
    "example_id": tf.TensorSpec([], tf.int64),
    "template_id": tf.TensorSpec([], tf.int32),
}


def seqio_name(name: str) -> str:
    """The name as SeqIO allows it: letters, digits, `_`, `.` and `:`."""
    return re.sub(r"[^\w.:]", "_", name)


def encoded_examples(
    spec: TaskSpec, split: str, encoder: Encoder, data: DataConfig, batch: BatchConfig | None = None
) -> Iterator[dict[str, Any]]:
    """Every example of a split with the ids that the store has, of any length; what cannot be encoded is left out."""
    any_length = Fit(sizes=(sys.maxsize, sys.maxsize)[: 2 if isinstance(encoder, PairEncoder) else 1], cut_input=False)
    rendered = examples(spec, split, data, budget=shot_budget(encoder, batch, data))
    kept = (item for item in rendered if isinstance(item, Example))
    while some := list(itertools.islice(kept, _BATCH_EXAMPLES)):
        for example, (record, _) in zip(some, encode(encoder, some, any_length), strict=True):
            if isinstance(record, LeftOut):
                continue
            is_pair = isinstance(record, PairRecord)
            inputs, targets = (record.inputs, record.targets) if is_pair else _split_at_answer(record)
            yield {
                INPUTS: inputs,
                TARGETS: targets,
                INPUTS + _PRETOKENIZED: "\n\n".join(turn.content for turn in example.messages[:-1]),
                TARGETS + _PRETOKENIZED: example.messages[-1].content if example.messages else "",
                "example_id": example.example_id,
                "template_id": example.template_id,
            }


def _split_at_answer(record: TokenRecord) -> tuple[np.ndarray, np.ndarray]:
    """(ids before the last answer, ids from its first token on)."""
    start = np.flatnonzero(np.diff(record.weights, prepend=np.float32(0)) > 0)[-1]
    return record.tokens[:start], record.tokens[start:]


def as_seqio_mixture(
    name: str,
    resolved: Resolved,
    encoder: Encoder,
    data: DataConfig,
    *,
    rates: Mapping[str, float] | None = None,
    batch: BatchConfig | None = None,
) -> seqio.Mixture:
    """Registers a mixture with SeqIO, and those of its tasks that SeqIO does not know yet.

    Args:
        name: of the SeqIO mixture.
        resolved: its tasks.
        form: what makes ids of a conversation.
        data: how examples are rendered and mixed.
        rates: of the tasks; none: by `data.mixing`, for which the examples are counted.
        batch: as for `as_seqio`.
    """
    tasks = list(resolved.train)
    if rates is None:
        counts = [sum(isinstance(e, Example) for e in examples(resolved.specs[t], "train", data)) for t in tasks]
        rates = mixture_rates(data.mixing, dict(zip(tasks, counts, strict=True)), resolved.mixture)
    for task in tasks:
        if seqio_name(task) not in seqio.TaskRegistry.names():
            as_seqio(resolved.specs[task], encoder, data, batch=batch)
    return seqio.MixtureRegistry.add(name, [(seqio_name(task), rates[task]) for task in tasks])
