"""Examples that come as token ids of another pipeline, with what proves that their vocabulary is the model's."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from flan_jax.errors import InputError
from flan_jax.text.tokenizer import Tokenizer


@dataclass(frozen=True, slots=True)
class TokenIds:
    """Ids of one example, and the vocabulary they are of.

    Attributes:
        inputs: ids of the input.
        targets: ids of the target, with the end token where the pipeline adds one.
        vocabulary: where the vocabulary is from, for error text.
        size: how many of its pieces were hashed.
        pieces_hash: see `hash_pieces`.
    """

    inputs: tuple[int, ...]
    targets: tuple[int, ...]
    vocabulary: str
    size: int
    pieces_hash: str


def hash_pieces(pieces: Iterable[str]) -> str:
    """SHA-256 over the pieces of a vocabulary in the order of their ids."""
    return hashlib.sha256("\0".join(pieces).encode(errors="surrogatepass")).hexdigest()


def check_vocabulary(ids: TokenIds, tokenizer: Tokenizer, *, task: str) -> None:
    """Holds the vocabulary of foreign ids against the model's, piece by piece (once, then from memory).

    Raises:
        InputError: a piece differs, so the ids would mean other words to the model.
    """
    if _tokenizer_hash(tokenizer, ids.size) != ids.pieces_hash:
        raise InputError(
            f"task '{task}': gives token ids of the vocabulary '{ids.vocabulary}', which is not the model's "
            f"({tokenizer.name}); use a task that keeps its text (inputs_pretokenized, targets_pretokenized), or the "
            "model of that vocabulary"
        )


@functools.lru_cache(maxsize=8)
def _tokenizer_hash(tokenizer: Tokenizer, size: int) -> str:
    return hash_pieces(tokenizer.backend.id_to_token(token_id) or "" for token_id in range(size))
