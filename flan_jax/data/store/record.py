"""One training record as bytes: the integer arrays of an example behind a checksum.

    crc32 u4 │ example id i8 │ template id i4 │ first count i4 │ second count i4 │ arrays i4 …

The checksum covers everything after it, so a flipped bit is found when the record is read. Loss weights are almost
always runs of 0 and 1 and are then kept as run lengths; other weights are kept as they are. Both come back exactly.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

import numpy as np

_HEADER = struct.Struct("<Iqiii")
_CHECKSUM_BYTES = 4
_RAW_WEIGHTS = -1  # second count of a token record whose weights are not all 0 or 1


class DamagedRecord(ValueError):
    """The bytes of a record do not match their checksum."""


@dataclass(frozen=True)
class TokenRecord:
    """An example of a decoder-only model.

    Attributes:
        tokens: int32 [n], the whole sequence.
        weights: float32 [n]; weights[i] is the loss weight of predicting tokens[i].
    """

    example_id: int
    template_id: int
    tokens: np.ndarray
    weights: np.ndarray

    @property
    def packed_lengths(self) -> tuple[int, ...]:
        """Positions it takes in a row: every token but the last is an input."""
        return (len(self.tokens) - 1,)

    @property
    def num_tokens(self) -> int:
        """Tokens it holds."""
        return len(self.tokens)

    @property
    def loss_tokens(self) -> int:
        """Positions that carry loss."""
        return int(np.count_nonzero(self.weights[1:]))

    def to_bytes(self) -> bytes:
        """The record as `token_record` reads it."""
        weights = np.asarray(self.weights, np.float32)
        runs = _binary_runs(weights)
        tail = weights.view(np.int32) if runs is None else runs
        return _pack(self.example_id, self.template_id, self.tokens, tail, _RAW_WEIGHTS if runs is None else len(runs))


@dataclass(frozen=True)
class PairRecord:
    """An example of an encoder-decoder model: int32 `inputs` [a] and `targets` [b], every target carries loss."""

    example_id: int
    template_id: int
    inputs: np.ndarray
    targets: np.ndarray

    @property
    def packed_lengths(self) -> tuple[int, ...]:
        """Positions it takes in an input row and in a target row."""
        return (len(self.inputs), len(self.targets))

    @property
    def num_tokens(self) -> int:
        """Tokens it holds, on both sides."""
        return len(self.inputs) + len(self.targets)

    @property
    def loss_tokens(self) -> int:
        """Positions that carry loss."""
        return len(self.targets)

    def to_bytes(self) -> bytes:
        """The record as `pair_record` reads it."""
        return _pack(self.example_id, self.template_id, self.inputs, self.targets, len(self.targets))


Record = TokenRecord | PairRecord


def token_record(data: bytes) -> TokenRecord:
    """The token record in `data`.

    Raises:
        DamagedRecord: the checksum does not match.
    """
    example_id, template_id, num_tokens, num_runs, values = _unpack(data)
    tokens, tail = values[:num_tokens], values[num_tokens:]
    if num_runs == _RAW_WEIGHTS:
        return TokenRecord(example_id, template_id, tokens, tail.view(np.float32))
    is_loss = (np.arange(num_runs) & 1).astype(np.float32)
    return TokenRecord(example_id, template_id, tokens, np.repeat(is_loss, tail))


def pair_record(data: bytes) -> PairRecord:
    """The pair record in `data`.

    Raises:
        DamagedRecord: the checksum does not match.
    """
    example_id, template_id, num_inputs, _, values = _unpack(data)
    return PairRecord(example_id, template_id, values[:num_inputs], values[num_inputs:])


def _binary_runs(weights: np.ndarray) -> np.ndarray | None:
    """Run lengths of alternating 0 and 1, beginning with 0; None where another weight occurs."""
    is_loss = weights == 1
    if not np.all(is_loss | (weights == 0)):
        return None
    edges = np.flatnonzero(np.diff(is_loss, prepend=False))
    return np.diff(np.concatenate([[0], edges, [len(weights)]])).astype(np.int32)


def _pack(example_id: int, template_id: int, first: np.ndarray, second: np.ndarray, second_count: int) -> bytes:
    body = np.concatenate([first, second]).astype("<i4").tobytes()
    data = _HEADER.pack(0, example_id, template_id, len(first), second_count) + body
    return struct.pack("<I", zlib.crc32(memoryview(data)[_CHECKSUM_BYTES:])) + data[_CHECKSUM_BYTES:]


def _unpack(data: bytes) -> tuple[int, int, int, int, np.ndarray]:
    if len(data) < _HEADER.size:
        raise DamagedRecord(f"{len(data)} bytes, the header alone has {_HEADER.size}")
    checksum, example_id, template_id, first_count, second_count = _HEADER.unpack_from(data)
    if zlib.crc32(memoryview(data)[_CHECKSUM_BYTES:]) != checksum:
        raise DamagedRecord("checksum does not match")
    return example_id, template_id, first_count, second_count, np.frombuffer(data, "<i4", offset=_HEADER.size)
