"""What a conversation is, and what it becomes: token ids with a loss weight each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from flan_jax.errors import InputError


@dataclass(frozen=True)
class Message:
    """One turn of a conversation."""

    role: str  # system, user or assistant
    content: str


@dataclass(frozen=True)
class Encoded:
    """Token ids of one example, and what predicting each of them weighs in the loss."""

    ids: np.ndarray  # int32 [T]
    weights: np.ndarray  # float32 [T]; weights[i] is for predicting ids[i]


class ConversationError(InputError):
    """One conversation of a batch cannot be encoded; `index` is its place in the batch."""

    def __init__(self, index: int, text: str):
        super().__init__(text)
        self.index = index


def unanswered(turns: Sequence[Message]) -> list[Message]:
    """The turns up to the answer: without an assistant turn at the end."""
    return list(turns[:-1]) if turns and turns[-1].role == "assistant" else list(turns)


def encoded(ids: list[int], spans: list[tuple[int, int]]) -> Encoded:
    """`ids` with weight 1 in the half-open `spans` and 0 elsewhere."""
    weights = np.zeros(len(ids), np.float32)
    for begin, end in spans:
        weights[begin:end] = 1.0
    return Encoded(np.asarray(ids, np.int32), weights)
