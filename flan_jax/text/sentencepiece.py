"""SentencePiece vocabularies (`spiece.model`, `tokenizer.model`) as `tokenizers` objects.

Covers the two model types that released checkpoints use: unigram (T5) and BPE with byte fallback (Llama 1 and 2,
Mistral v1). The file is a protocol buffer of which a few fields are needed.

Source: field numbers, https://github.com/google/sentencepiece/blob/master/src/sentencepiece_model.proto.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

from flan_jax.errors import InputError
from flan_jax.files.protobuf import fields

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = 1, 2, 3, 4, 5, 6
UNIGRAM, BPE = 1, 2
SPACE = "▁"


@dataclass(frozen=True)
class Piece:
    """One vocabulary entry; its id is its place."""

    text: str
    score: float
    kind: int


@dataclass
class Vocabulary:
    """What a SentencePiece file says, as far as encoding needs it. Defaults are the format's."""

    pieces: list[Piece] = field(default_factory=list)
    model_type: int = UNIGRAM
    splits_at_spaces: bool = True
    space_is_suffix: bool = False
    byte_fallback: bool = False
    unk_id: int = 0
    bos_id: int = 1
    eos_id: int = 2
    pad_id: int = -1
    character_map: bytes = b""
    adds_space_before: bool = True
    strips_extra_spaces: bool = True


# field number → attribute
_TRAINER_FIELDS = {
    3: "model_type",
    22: "splits_at_spaces",
    24: "space_is_suffix",
    35: "byte_fallback",
    40: "unk_id",
    41: "bos_id",
    42: "eos_id",
    43: "pad_id",
}
_NORMALIZER_FIELDS = {2: "character_map", 3: "adds_space_before", 4: "strips_extra_spaces"}


def _piece(message: bytes) -> Piece:
    values = {1: b"", 2: 0.0, 3: NORMAL} | dict(fields(message))
    # nine digits identify a float32 and, unlike all of its digits as float64, come back the same from tokenizer.json
    return Piece(values[1].decode("utf-8"), float(f"{values[2]:.9g}"), values[3])


def read_vocabulary(path: Path) -> Vocabulary:
    """The vocabulary in a SentencePiece file.

    Raises:
        InputError: the file cannot be read or is no SentencePiece model.
    """
    try:
        content = path.read_bytes()
    except OSError as e:
        raise InputError(f"tokenizer '{path}': cannot be read ({e.strerror}); give a SentencePiece model") from e
    vocabulary = Vocabulary()
    try:
        for number, value in fields(content):
            if number == 1:
                vocabulary.pieces.append(_piece(value))
            elif number in (2, 3):
                known = _TRAINER_FIELDS if number == 2 else _NORMALIZER_FIELDS
                for inner, setting in fields(value):
                    if inner in known:
                        kind = type(getattr(vocabulary, known[inner]))
                        setattr(vocabulary, known[inner], kind(setting))
    except (ValueError, IndexError, TypeError, AttributeError, struct.error) as e:
        raise InputError(f"tokenizer '{path}': is no SentencePiece model ({e}); fetch it again") from e
    if not vocabulary.pieces:
        raise InputError(f"tokenizer '{path}': holds no pieces; it is no SentencePiece model, fetch it again")
    return vocabulary


def merges_of(pieces: Sequence[Piece]) -> list[tuple[str, str]]:
    """BPE merges that give the same pieces as joining the best-scored neighbours.

    Every way to split a piece in two others is a merge, in the order of falling score; a piece's own splits come in the
    order of their parts' ids.
    """
    ids = {piece.text: place for place, piece in enumerate(pieces)}
    merges: list[tuple[float, int, int, int]] = []
    for place, piece in enumerate(pieces):
        if piece.kind in (NORMAL, UNUSED):
            for cut in range(1, len(piece.text)):
                left, right = ids.get(piece.text[:cut]), ids.get(piece.text[cut:])
                if left is not None and right is not None:
                    merges.append((-piece.score, place, left, right))
    merges.sort()
    return [(pieces[left].text, pieces[right].text) for _, _, left, right in merges]


def build_bpe(pieces: Sequence[Piece], *, byte_fallback: bool, unk_id: int) -> Tokenizer:
    """A `tokenizers` BPE over scored pieces; normaliser, pre-tokeniser and decoder are the caller's."""
    vocabulary = {piece.text: place for place, piece in enumerate(pieces)}
    return Tokenizer(
        models.BPE(
            vocabulary,
            merges_of(pieces),
            unk_token=pieces[unk_id].text,
            fuse_unk=True,
            byte_fallback=byte_fallback,
        )
    )


def add_special_pieces(backend: Tokenizer, pieces: Sequence[Piece]) -> None:
    """Marks control, unknown and user-defined pieces as tokens that are found in text as they stand."""
    backend.add_tokens(
        [
            AddedToken(piece.text, normalized=False, special=piece.kind != USER_DEFINED)
            for piece in pieces
            if piece.kind in (CONTROL, UNKNOWN, USER_DEFINED)
        ]
    )


def set_space_rules(backend: Tokenizer, *, adds_space_before: bool, everywhere: bool, byte_fallback: bool) -> None:
    """Spaces as `▁` in a BPE of pieces, and back.

    Args:
        backend: Gets normaliser or pre-tokeniser, and decoder.
        adds_space_before: Whether text gets a space in front.
        everywhere: Whether text after a special token gets one too (transformers' `legacy`), or the first text only.
        byte_fallback: Whether byte pieces are joined when decoding.
    """
    if everywhere:
        prepend = [normalizers.Prepend(SPACE)] if adds_space_before else []
        backend.normalizer = normalizers.Sequence([*prepend, normalizers.Replace(" ", SPACE)])
    else:
        scheme = "first" if adds_space_before else "never"
        backend.pre_tokenizer = pre_tokenizers.Metaspace(SPACE, prepend_scheme=scheme, split=False)
    backend.decoder = _joining_decoder(adds_space_before=adds_space_before, byte_fallback=byte_fallback)


def _joining_decoder(*, adds_space_before: bool, byte_fallback: bool) -> decoders.Decoder:
    steps: list[decoders.Decoder] = [decoders.Replace(SPACE, " ")]
    steps += [decoders.ByteFallback()] if byte_fallback else []
    steps += [decoders.Fuse()]
    steps += [decoders.Strip(" ", 1, 0)] if adds_space_before else []
    return decoders.Sequence(steps)


def convert_vocabulary(vocabulary: Vocabulary, path: Path, *, legacy: bool, num_sentinels: int) -> Tokenizer:
    """The `tokenizers` object that encodes as this vocabulary does.

    Args:
        vocabulary: What `read_vocabulary` gave.
        path: Its file, for error text.
        legacy: BPE only: whether text after a special token gets a space in front.
        num_sentinels: Unigram only: how many `<extra_id_…>` follow the pieces, the last of them `<extra_id_0>` (T5).

    Raises:
        InputError: the model type is neither unigram nor BPE, or spaces are treated in an unknown way.
    """
    if vocabulary.model_type not in (UNIGRAM, BPE) or vocabulary.space_is_suffix:
        suffix = " with spaces as suffixes" if vocabulary.space_is_suffix else ""
        raise InputError(
            f"tokenizer '{path}': SentencePiece model type {vocabulary.model_type}{suffix}; unigram (1) and BPE (2) "
            "with spaces as prefixes can be read, else give a tokenizer.json"
        )
    pieces, byte_fallback = vocabulary.pieces, vocabulary.byte_fallback
    if vocabulary.model_type == UNIGRAM:
        backend = _build_unigram(vocabulary, num_sentinels)
    else:
        backend = build_bpe(pieces, byte_fallback=byte_fallback, unk_id=vocabulary.unk_id)
        set_space_rules(
            backend,
            adds_space_before=vocabulary.adds_space_before,
            # once leading spaces are taken off, "the first text" can no longer be told
            everywhere=legacy or vocabulary.strips_extra_spaces,
            byte_fallback=byte_fallback,
        )
        first = _text_rules(vocabulary)
        if first:
            rest = [backend.normalizer] if backend.normalizer is not None else []
            backend.normalizer = normalizers.Sequence([*first, *rest])
    add_special_pieces(backend, pieces)
    return backend


def _text_rules(vocabulary: Vocabulary) -> list[Any]:
    rules: list[Any] = []
    if vocabulary.character_map:
        rules.append(normalizers.Precompiled(vocabulary.character_map))
    if vocabulary.strips_extra_spaces:
        rules += [normalizers.Replace(Regex(r"\A +| +\z"), ""), normalizers.Replace(Regex(" {2,}"), " ")]
    return rules


def _build_unigram(vocabulary: Vocabulary, num_sentinels: int) -> Tokenizer:
    sentinels = [f"<extra_id_{i}>" for i in range(num_sentinels - 1, -1, -1)]
    scored = [(piece.text, piece.score) for piece in vocabulary.pieces] + [(text, 0.0) for text in sentinels]
    backend = Tokenizer(models.Unigram(scored, vocabulary.unk_id, vocabulary.byte_fallback))
    rules = _text_rules(vocabulary)
    if rules:
        backend.normalizer = normalizers.Sequence(rules)
    adds_space, splits = vocabulary.adds_space_before, vocabulary.splits_at_spaces
    scheme = "always" if adds_space else "never"
    backend.pre_tokenizer = pre_tokenizers.Metaspace(SPACE, prepend_scheme=scheme, split=splits)
    if vocabulary.byte_fallback:
        backend.decoder = _joining_decoder(adds_space_before=adds_space, byte_fallback=True)
    else:
        backend.decoder = decoders.Metaspace(SPACE, prepend_scheme=scheme, split=splits)
    backend.add_tokens([AddedToken(text, normalized=False, special=True) for text in sentinels])
    return backend
