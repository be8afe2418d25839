"""Questions with their answer options laid out in packed rows, so that one pass scores many of them.

Decoder: the options of a question share its prompt. The last prompt token predicts the first token of every option, so
it is repeated at the head of each; positions go on from the prompt, and `branches` keeps options apart.

    row        p0 p1 p2 | p3 a0 a1 | p3 b0 b1 b2 | next question …
    targets     ·  ·  · | a0 a1 a2 | b0 b1 b2 b3
    positions   0  1  2 |  3  4  5 |  3  4  5  6
    branches    0  0  0 |  1  1  1 |  2  2  2  2
    segments    1  1  1 |  1  1  1 |  1  1  1  1 | 2 …

Encoder-decoder: one encoder segment a question, one decoder segment an option, `cross_segments` naming the encoder
segment it reads. All arrays are numpy; padding is segment 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from flan_jax.evaluate.questions import EvaluationItem


@dataclass(frozen=True)
class Span:
    """Where the tokens of one option lie: row, and [start, stop) in it."""

    item: int
    option: int
    row: int
    start: int
    stop: int


@runtime_checkable
class RowLayout(Protocol):
    """How questions of one kind of model fill rows. A capacity holds one length for each side of a row."""

    @property
    def capacity(self) -> tuple[int, ...]:
        """Lengths of an ordinary row."""
        ...

    def size(self, item: EvaluationItem) -> tuple[int, ...]:
        """Tokens the question takes on each side."""
        ...

    def fill(
        self, items: Sequence[EvaluationItem], rows: Sequence[Sequence[int]], capacity: tuple[int, ...]
    ) -> tuple[dict[str, np.ndarray], list[Span]]:
        """The model's batch of these rows, each a list of indices into `items`, and where each option lies."""
        ...


@dataclass(frozen=True)
class DecoderLayout:
    """Rows of a decoder-only model, `length` tokens each."""

    length: int

    @property
    def capacity(self) -> tuple[int, ...]:
        """Lengths of an ordinary row."""
        return (self.length,)

    def size(self, item: EvaluationItem) -> tuple[int, ...]:
        """The prompt without its last token, which heads every option, and the options."""
        return (len(item.prompt_ids) - 1 + sum(map(len, item.option_ids)),)

    def fill(
        self, items: Sequence[EvaluationItem], rows: Sequence[Sequence[int]], capacity: tuple[int, ...]
    ) -> tuple[dict[str, np.ndarray], list[Span]]:
        """Batch keys inputs, targets, weights, segments, positions, branches, all [rows, capacity]."""
        names = ("inputs", "targets", "segments", "positions", "branches")
        batch = {name: np.zeros((len(rows), *capacity), np.int32) for name in names}
        weights = np.zeros((len(rows), *capacity), np.float32)
        spans = []
        for row, members in enumerate(rows):
            place = 0
            for segment, index in enumerate(members, start=1):
                *shared, last = items[index].prompt_ids
                start = place
                place += len(shared)
                batch["inputs"][row, start:place] = shared
                batch["positions"][row, start:place] = np.arange(len(shared))
                for option, ids in enumerate(items[index].option_ids):
                    at = slice(place, place + len(ids))
                    batch["inputs"][row, at] = [last, *ids[:-1]]
                    batch["targets"][row, at] = ids
                    batch["positions"][row, at] = len(shared) + np.arange(len(ids))
                    batch["branches"][row, at] = option + 1
                    weights[row, at] = 1
                    spans.append(Span(index, option, row, at.start, at.stop))
                    place = at.stop
                batch["segments"][row, start:place] = segment
        return {**batch, "weights": weights}, spans


@dataclass(frozen=True)
class PairLayout:
    """Rows of an encoder-decoder: input side and target side, and the id every decoder segment starts with."""

    input_length: int
    target_length: int
    start_id: int

    @property
    def capacity(self) -> tuple[int, ...]:
        """Lengths of an ordinary row: input side, target side."""
        return (self.input_length, self.target_length)

    def size(self, item: EvaluationItem) -> tuple[int, ...]:
        """The prompt on the input side, all options on the target side."""
        return len(item.prompt_ids), sum(map(len, item.option_ids))

    def fill(
        self, items: Sequence[EvaluationItem], rows: Sequence[Sequence[int]], capacity: tuple[int, ...]
    ) -> tuple[dict[str, np.ndarray], list[Span]]:
        """Batch keys encoder_* [rows, inputs]; decoder_*, cross_segments, targets, weights [rows, targets]."""
        shapes = [(len(rows), length) for length in capacity]
        batch = {name: np.zeros(shapes[0], np.int32) for name in ("encoder_inputs", "encoder_segments")}
        names = ("decoder_inputs", "decoder_segments", "cross_segments", "targets")
        batch |= {name: np.zeros(shapes[1], np.int32) for name in names}
        weights = np.zeros(shapes[1], np.float32)
        spans = []
        for row, members in enumerate(rows):
            read = place = decoder_segment = 0
            for segment, index in enumerate(members, start=1):
                prompt = items[index].prompt_ids
                batch["encoder_inputs"][row, read : read + len(prompt)] = prompt
                batch["encoder_segments"][row, read : read + len(prompt)] = segment
                read += len(prompt)
                for option, ids in enumerate(items[index].option_ids):
                    at = slice(place, place + len(ids))
                    decoder_segment += 1
                    batch["decoder_inputs"][row, at] = [self.start_id, *ids[:-1]]
                    batch["decoder_segments"][row, at] = decoder_segment
                    batch["cross_segments"][row, at] = segment
                    batch["targets"][row, at] = ids
                    weights[row, at] = 1
                    spans.append(Span(index, option, row, at.start, at.stop))
                    place = at.stop
        return {**batch, "weights": weights}, spans
