"""Where a place in a text falls among the text's token ids, if it falls between two tokens at all.

A character position becomes a position in the ids only where the ids of the text before it are a prefix of the ids of
the whole. Encoding every such text anew would take time that grows with the square of a conversation, so only the text
since the last special token is encoded: a special token cuts text exactly, and what stands before it cannot matter.
These short pieces repeat from example to example (`<|im_start|>assistant ⏎`), and each is encoded once.
"""

from __future__ import annotations

import bisect
from collections.abc import Collection, Mapping, Sequence

from flan_jax.text.tokenizer import Tokenizer


class TokenizedText:
    """A text, its ids, and which of them cut it exactly."""

    def __init__(self, text: str, ids: list[int], offsets: list[tuple[int, int]], hard_tokens: Mapping[int, str]):
        """Takes what `Tokenizer.encode_batch_with_offsets` gives, and `Tokenizer.hard_tokens`."""
        self.text = text
        self.ids = ids
        self._offsets = offsets
        # the token for unknown letters is a special one, but cuts text only where its own name is written
        self._hard_places = [
            place
            for place, token_id in enumerate(ids)
            if token_id in hard_tokens and text[slice(*offsets[place])] == hard_tokens[token_id]
        ]
        self._hard_ends = [offsets[place][1] for place in self._hard_places]

    def before(self, edge: int) -> tuple[int, str]:
        """The place of the last special token that ends by the character `edge`, and the text since its beginning."""
        number = bisect.bisect_right(self._hard_ends, edge) - 1
        if number < 0:
            return 0, self.text[:edge]
        place = self._hard_places[number]
        return place, self.text[self._offsets[place][0] : edge]

    def place(self, edge: int, pieces: Mapping[str, list[int]]) -> int | None:
        """How many ids the text before `edge` has; none if a token reaches across. `pieces` holds ids of `before`'s."""
        start, piece = self.before(edge)
        place = start + len(pieces[piece])
        # the same ids may still reach further in the text: neighbouring unknown letters become one token
        if self.ids[start:place] != pieces[piece] or (place > start and self._offsets[place - 1][1] > edge):
            return None
        return place

    def after_last(self, token_ids: Collection[int], begin: int, end: int) -> int | None:
        """The place after the last of `token_ids` between two characters; none if there is none of them."""
        for place in range(len(self.ids) - 1, -1, -1):
            token_begin, token_end = self._offsets[place]
            if token_begin < begin:
                return None
            if token_end <= end and self.ids[place] in token_ids:
                return place + 1
        return None


def locate(
    texts: Sequence[TokenizedText], edges: Sequence[Sequence[int]], tokenizer: Tokenizer
) -> list[dict[int, int | None]]:
    """For each text, how many ids stand before each of its `edges`; none for an edge inside a token.

    All pieces of all texts are encoded in one batch.
    """
    pieces = list({text.before(edge)[1]: None for text, of_text in zip(texts, edges, strict=True) for edge in of_text})
    ids_of = dict(zip(pieces, tokenizer.encode_batch(pieces), strict=True))
    return [{edge: text.place(edge, ids_of) for edge in of_text} for text, of_text in zip(texts, edges, strict=True)]
