"""A packed row, token by token: what the model reads, what it is trained to say, where one example ends.

    segment 2 · facts/capitals · 14 tokens, 3 with loss
    <|im_start|> user ⏎ What ␣is … <|im_start|> assistant ⏎ ‹Paris› ‹.› ‹<|im_end|>›

‹…› marks a token that carries loss, with its weight behind it where that is not 1; ⏎, ␣ and ⇥ stand for line break,
space and tab, so that every token's edge shows. Colour repeats the marks and adds nothing to them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from jaxtyping import Float, Int
from rich.console import Group
from rich.text import Text

LEARNT, READ, HEADING = "bold green", "dim", "bold cyan"
_SHOWN = str.maketrans({"\n": "⏎", "\r": "␍", "\t": "⇥", " ": "␣"})


def row_view(
    batch: Mapping[str, np.ndarray], row: int, *, task_names: Sequence[str], token: Callable[[int], str]
) -> Group:
    """One row of a packed batch as text, segment by segment.

    Args:
        batch: a decoder's batch (`inputs`, `segments` …) or an encoder-decoder's (`encoder_inputs` …), int32 [B, T].
        row: which row.
        task_names: what the numbers in `tasks` stand for.
        token: id → readable piece.
    """
    one = {name: np.asarray(array[row]) for name, array in batch.items()}
    is_pair = "encoder_inputs" in one
    segments = one["decoder_segments" if is_pair else "segments"]
    parts: list[Text] = []
    for segment in np.unique(segments[segments > 0]):
        at = segments == segment
        weights = one["weights"][at]
        name = task_names[int(one["tasks"][at][0])]
        if is_pair:
            read = one["encoder_inputs"][one["encoder_segments"] == segment]
            counts = f"{len(read)} tokens read, {at.sum()} to say"
        else:
            # the first token is read only; every later one is also what the one before it is trained to say
            read = one["inputs"][at][:1]
            counts = f"{at.sum() + 1} tokens"
        heading = f"segment {segment} · {name} · {counts}, {np.count_nonzero(weights)} with loss"
        text = _pieces(read, np.zeros(len(read)), token)
        text.append("  ⇒  " if is_pair else " ")
        text.append_text(_pieces(one["targets"][at], weights, token))
        parts += [Text(heading, style=HEADING), text, Text("")]
    empty = int(np.count_nonzero(segments == 0))
    parts.append(Text(f"{len(segments) - empty} of {len(segments)} positions filled"))
    return Group(*parts)


def _pieces(ids: Int[np.ndarray, "T"], weights: Float[np.ndarray, "T"], token: Callable[[int], str]) -> Text:
    text = Text()
    for place, (number, weight) in enumerate(zip(ids, weights, strict=True)):
        piece = token(int(number)).translate(_SHOWN)
        if place:
            text.append(" ")
        if weight == 0:
            text.append(piece, READ)
        else:
            text.append(f"‹{piece}›" + ("" if weight == 1 else f"{weight:g}"), LEARNT)
    return text
