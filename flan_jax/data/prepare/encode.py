"""From rendered examples to records that fit a row: token ids by the model's form, and what to do with long ones.

An example that is too long is left out and counted, or the end of its input is cut (`data.too_long: cut_input`); its
target is never cut. One whose answer cannot be told apart from its prompt in the ids is left out and counted as well.
With `data.train_on_inputs` every token of what is kept carries loss, not only its answers.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeVar

import numpy as np

from flan_jax.config import BatchConfig, DataConfig
from flan_jax.data.render.example import Example
from flan_jax.data.render.shots import Budget
from flan_jax.data.spec.token_ids import check_vocabulary
from flan_jax.data.store.record import PairRecord, Record, TokenRecord
from flan_jax.errors import InputError
from flan_jax.text.chat import ChatEncoder
from flan_jax.text.conversation import ConversationError, Message
from flan_jax.text.plain import PairEncoder, TextEncoder
from flan_jax.text.tokenizer import Tokenizer

Encoder = ChatEncoder | TextEncoder | PairEncoder
Kind = Literal["tokens", "pairs"]
T = TypeVar("T")
_PROBE = "word"
_SLACK = 2  # tokens by which texts may grow where they meet the form's own

TOO_LONG = "longer than the row"
NOTHING_TO_LEARN = "no token that carries loss"
CANNOT_ENCODE = "answer that cannot be told apart from its prompt"


@dataclass(frozen=True)
class LeftOut:
    """Stands in the place of an example that is left out; `detail` says more than the counted reason."""

    reason: str
    detail: str = ""


@dataclass(frozen=True)
class Fit:
    """What fits a row.

    Attributes:
        sizes: positions of a row on each side.
        cut_input: whether the end of an input that is too long may be cut.
        train_on_inputs: whether all tokens carry loss, not only those of the answers.
    """

    sizes: tuple[int, ...]
    cut_input: bool
    train_on_inputs: bool = False


def record_kind(encoder: Encoder) -> Kind:
    """Which records a form makes: pairs for an encoder-decoder, tokens for a decoder."""
    return "pairs" if isinstance(encoder, PairEncoder) else "tokens"


def row_fit(encoder: Encoder, batch: BatchConfig, data: DataConfig) -> Fit:
    """What a run's rows hold.

    Raises:
        InputError: `data.too_long` is cut_input and the form is a chat template; `data.train_on_inputs` is set and the
            model is an encoder-decoder.
    """
    if data.train_on_inputs and isinstance(encoder, PairEncoder):
        raise InputError(
            "data.train_on_inputs: an encoder-decoder, as this model is, predicts its targets only; set it to false"
        )
    cut_input = data.too_long == "cut_input"
    if cut_input and isinstance(encoder, ChatEncoder):
        raise InputError(
            "data.too_long 'cut_input': the chat form has no input whose end could be cut without breaking the "
            "template's turns; use drop, or data.form: text"
        )
    sizes = (batch.input_length, batch.target_length) if isinstance(encoder, PairEncoder) else (batch.length,)
    return Fit(sizes, cut_input, data.train_on_inputs)


def shot_budget(encoder: Encoder, batch: BatchConfig | None, data: DataConfig) -> Budget:
    """What prompts with examples in them may take: `data.shot_tokens`, and no more than the row, where there is one.

    What the form adds to the texts (turn marks, a system prompt, end tokens) is measured on one conversation.
    """
    count = functools.partial(_count, encoder.tokenizer)
    if batch is None:
        return Budget(data.shot_tokens, False, count)
    asked = [[Message("user", _PROBE), Message("assistant", _PROBE)]]
    if isinstance(encoder, PairEncoder):
        [(inputs, _)] = encoder.encode_pairs(asked)
        added = len(inputs) - count([_PROBE])[0]
        return Budget(min(data.shot_tokens, batch.input_length - added), False, count)
    [encoded] = encoder.encode(asked)
    added = len(encoded.ids) - 2 * count([_PROBE])[0] + _SLACK
    return Budget(min(data.shot_tokens, batch.length + 1 - added), True, count)


def _count(tokenizer: Tokenizer, texts: Sequence[str]) -> list[int]:
    return [len(ids) for ids in tokenizer.encode_batch(texts)]


def one_by_one(examples: Sequence[Example], encode_all: Callable[[Sequence[Example]], list[T]]) -> list[T | LeftOut]:
    """Encodes a batch; where the form refuses one of it, each alone, with the refused ones left out."""
    try:
        return list(encode_all(examples))
    except ConversationError as e:
        if len(examples) == 1:
            return [LeftOut(CANNOT_ENCODE, f"example {examples[0].example_id}: {e}")]
    return [result for example in examples for result in one_by_one([example], encode_all)]


def encode(encoder: Encoder, examples: Sequence[Example], fit: Fit) -> list[tuple[Record | LeftOut, bool]]:
    """For each example its record, or why it is left out; and whether its input was cut.

    Raises:
        InputError: token ids of another pipeline are of another vocabulary than the model's.
    """
    return [
        (record, False) if isinstance(record, LeftOut) else _fitted(record, fit)
        for record in one_by_one(examples, lambda some: _records(encoder, some))
    ]


def _records(encoder: Encoder, examples: Sequence[Example]) -> list[Record]:
    conversations = [example.messages for example in examples if example.token_ids is None]
    records: list[Record] = []
    if isinstance(encoder, PairEncoder):
        pairs = iter(encoder.encode_pairs(conversations))
        for example in examples:
            inputs, targets = next(pairs) if example.token_ids is None else foreign_ids(encoder, example)
            records.append(PairRecord(example.example_id, example.template_id, inputs, targets))
        return records
    encoded = iter(encoder.encode(conversations))
    for example in examples:
        if example.token_ids is None:
            ids_of_turns = next(encoded)
            tokens, weights = ids_of_turns.ids, ids_of_turns.weights
        else:
            inputs, targets = foreign_ids(encoder, example)
            tokens = np.concatenate([inputs, targets])
            weights = (np.arange(len(tokens)) >= len(inputs)).astype(np.float32)
        records.append(TokenRecord(example.example_id, example.template_id, tokens, weights))
    return records


def foreign_ids(encoder: Encoder, example: Example) -> tuple[np.ndarray, np.ndarray]:
    """Inputs and targets int32 of an example that comes as ids.

    Raises:
        InputError: they are of another vocabulary than the model's.
    """
    ids = example.token_ids
    assert ids is not None, f"example {example.example_id} has no token ids"
    check_vocabulary(ids, encoder.tokenizer, task=example.task)
    return np.array(ids.inputs, np.int32), np.array(ids.targets, np.int32)


def _fitted(record: Record, fit: Fit) -> tuple[Record | LeftOut, bool]:
    if not record.loss_tokens:
        return LeftOut(NOTHING_TO_LEARN), False
    if all(length <= size for length, size in zip(record.packed_lengths, fit.sizes, strict=True)):
        return _weighed(record, fit), False
    cut = _cut(record, fit.sizes) if fit.cut_input else None
    return (LeftOut(TOO_LONG), False) if cut is None else (_weighed(cut, fit), True)


def _weighed(record: Record, fit: Fit) -> Record:
    """The record with loss on every token, where inputs are trained on; after the cut, which goes by the weights."""
    if not fit.train_on_inputs or isinstance(record, PairRecord):
        return record
    return replace(record, weights=np.ones_like(record.weights))


def _cut(record: Record, sizes: tuple[int, ...]) -> Record | None:
    """The record with the end of its input cut to fit; None where its target alone is too long."""
    if isinstance(record, PairRecord):
        inputs = cut_end(record.inputs, sizes[0])
        if inputs is None or len(record.targets) > sizes[1]:
            return None
        return PairRecord(record.example_id, record.template_id, inputs, record.targets)
    begin = int(np.argmax(record.weights > 0))
    if not record.weights[begin:].all():
        return None  # several answers: what stands between them is not the end of one input
    prompt = cut_end(record.tokens[:begin], sizes[0] + 1 - (len(record.tokens) - begin))
    if prompt is None:
        return None
    tokens = np.concatenate([prompt, record.tokens[begin:]])
    weights = np.concatenate([np.zeros(len(prompt), np.float32), record.weights[begin:]])
    return TokenRecord(record.example_id, record.template_id, tokens, weights)


def cut_end(ids: np.ndarray, size: int) -> np.ndarray | None:
    """Ids cut to `size` before their last one, which closes the input (end token or line break) and stays.

    None where nothing of the input would be left.
    """
    if len(ids) <= size:
        return ids
    return None if size < 3 else np.concatenate([ids[: size - 1], ids[-1:]])
