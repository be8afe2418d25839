"""The vocabulary in a GGUF file's metadata as a `tokenizers` object.

Two kinds occur in Llama files: `llama`, SentencePiece pieces with scores, and `gpt2`, byte-level BPE with merges, where
`tokenizer.ggml.pre` names how text is cut before merging. The cuts themselves are not in the file. transformers reads
GGUF only where torch is installed.

Source: the cuts by name, `llm_tokenizer_bpe` in https://github.com/ggml-org/llama.cpp/blob/master/src/llama-vocab.cpp.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from flan_jax.errors import InputError
from flan_jax.text.pretrained import Pretrained
from flan_jax.weights.gguf_file import GgufFile, open_gguf

SPACE = "▁"
# tokenizer.ggml.token_type
_NORMAL, _UNKNOWN, _CONTROL, _USER_DEFINED, _UNUSED, _BYTE = 1, 2, 3, 4, 5, 6

_LLAMA3_CUT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
    r"|\s+(?!\S)|\s+"
)
_QWEN2_CUT = _LLAMA3_CUT.replace(r"\p{N}{1,3}", r"\p{N}")
_GPT2 = frozenset({"default", "gpt-2", "gpt2", "mpt", "olmo", "jais"})
_DIGITS_THEN_GPT2 = frozenset({"smollm", "starcoder", "refact", "command-r", "codeshell", "exaone", "minerva-7b"})
_LLAMA3 = frozenset({"llama3", "llama-v3", "llama-bpe", "falcon3"})
_QWEN2 = frozenset({"qwen2", "deepseek-r1-qwen"})


@dataclass(frozen=True)
class _Piece:
    """One vocabulary entry; its id is its place."""

    text: str
    score: float
    kind: int


def read_gguf(path: Path) -> Pretrained:
    """The tokenizer in a GGUF file, with its special tokens and chat template.

    Raises:
        InputError: as `build_tokenizer`, or the file is no GGUF file.
    """
    file = open_gguf(path)
    backend = build_tokenizer(file)

    def id_of(name: str) -> int | None:
        return file.metadata.get(f"tokenizer.ggml.{name}_token_id")

    ids = {"unk_token": id_of("unknown"), "pad_token": id_of("padding")}
    ids = {"bos_token": id_of("bos"), "eos_token": id_of("eos")} | ids
    texts = {name: backend.id_to_token(token_id) for name, token_id in ids.items() if token_id is not None}
    special = {name: text for name, text in texts.items() if text is not None}
    turn_ends = tuple(token_id for token_id in (id_of("eot"), id_of("eom")) if token_id is not None)
    adds_bos = _adds_bos(file)
    if adds_bos and "bos_token" in special:
        bos = special["bos_token"]
        backend.post_processor = processors.TemplateProcessing(
            single=[bos, "$A"],
            pair=[bos, "$A", f"{bos}:1", "$B:1"],
            special_tokens=[(bos, backend.token_to_id(bos))],
        )
    return Pretrained(backend, special, adds_bos, file.metadata.get("tokenizer.chat_template"), turn_ends, {})


def _adds_bos(file: GgufFile) -> bool:
    """Whether text gets the start token in front: what the file says, else llama.cpp's default for its vocabulary."""
    pieces = file.metadata.get("tokenizer.ggml.model") == "llama"
    default = pieces or file.metadata.get("tokenizer.ggml.pre") in _LLAMA3
    return bool(file.metadata.get("tokenizer.ggml.add_bos_token", default))


def build_tokenizer(file: GgufFile) -> Tokenizer:
    """The `tokenizers` object for the vocabulary in `file`.

    Raises:
        InputError: the file holds no vocabulary, or one of a kind that is not known here.
    """
    kind = file.metadata.get("tokenizer.ggml.model")
    if kind == "llama":
        return _from_pieces(file)
    if kind == "gpt2":
        return _from_merges(file)
    raise InputError(
        f"GGUF file '{file.path}': tokenizer.ggml.model is {kind!r}; 'llama' and 'gpt2' can be read, else give the "
        "model's tokenizer.json as model.tokenizer"
    )


def _pieces(file: GgufFile) -> list[_Piece]:
    texts = _list(file, "tokens")
    kinds = file.metadata.get("tokenizer.ggml.token_type") or [_NORMAL] * len(texts)
    scores = file.metadata.get("tokenizer.ggml.scores") or [0.0] * len(texts)
    if not len(texts) == len(kinds) == len(scores):
        raise InputError(
            f"GGUF file '{file.path}': {len(texts)} tokens, {len(kinds)} types and {len(scores)} scores; "
            "the counts must agree, fetch it again"
        )
    return [_Piece(text, score, kind) for text, score, kind in zip(texts, scores, kinds, strict=True)]


def _list(file: GgufFile, key: str) -> list[Any]:
    values = file.metadata.get(f"tokenizer.ggml.{key}")
    if not values:
        raise InputError(f"GGUF file '{file.path}': no 'tokenizer.ggml.{key}'; give a tokenizer as model.tokenizer")
    return values


def _from_pieces(file: GgufFile) -> Tokenizer:
    pieces = _pieces(file)
    byte_fallback = any(piece.kind == _BYTE for piece in pieces)
    unk = pieces[file.metadata.get("tokenizer.ggml.unknown_token_id", 0)].text
    vocabulary = {piece.text: place for place, piece in enumerate(pieces)}
    backend = Tokenizer(
        models.BPE(vocabulary, _merges(pieces), unk_token=unk, fuse_unk=True, byte_fallback=byte_fallback)
    )
    adds_space = bool(file.metadata.get("tokenizer.ggml.add_space_prefix", True))
    # llama.cpp puts a space in front of the text after every special token, too
    prepend = [normalizers.Prepend(SPACE)] if adds_space else []
    backend.normalizer = normalizers.Sequence([*prepend, normalizers.Replace(" ", SPACE)])
    joined = [decoders.Replace(SPACE, " "), *([decoders.ByteFallback()] if byte_fallback else []), decoders.Fuse()]
    backend.decoder = decoders.Sequence([*joined, *([decoders.Strip(" ", 1, 0)] if adds_space else [])])
    _add_special_pieces(backend, pieces)
    return backend


def _merges(pieces: list[_Piece]) -> list[tuple[str, str]]:
    """BPE merges that give the same pieces as joining the best-scored neighbours.

    Every way to split a piece in two others is a merge, in the order of falling score; a piece's own splits come in the
    order of their parts' ids.
    """
    ids = {piece.text: place for place, piece in enumerate(pieces)}
    merges: list[tuple[float, int, int, int]] = []
    for place, piece in enumerate(pieces):
        if piece.kind in (_NORMAL, _UNUSED):
            for cut in range(1, len(piece.text)):
                left, right = ids.get(piece.text[:cut]), ids.get(piece.text[cut:])
                if left is not None and right is not None:
                    merges.append((-piece.score, place, left, right))
    merges.sort()
    return [(pieces[left].text, pieces[right].text) for _, _, left, right in merges]


def _add_special_pieces(backend: Tokenizer, pieces: list[_Piece]) -> None:
    """Marks control, unknown and user-defined pieces as tokens that are found in text as they stand."""
    backend.add_tokens(
        [
            AddedToken(piece.text, normalized=False, special=piece.kind != _USER_DEFINED)
            for piece in pieces
            if piece.kind in (_CONTROL, _UNKNOWN, _USER_DEFINED)
        ]
    )


def _from_merges(file: GgufFile) -> Tokenizer:
    pieces = _pieces(file)
    merges = [tuple(merge.split(" ")) for merge in _list(file, "merges")]
    cut = file.metadata.get("tokenizer.ggml.pre", "default")
    ignore_merges = cut in _LLAMA3  # whole words of the vocabulary are taken before any merging
    vocabulary = {piece.text: place for place, piece in enumerate(pieces)}
    backend = Tokenizer(models.BPE(vocabulary, merges, fuse_unk=False, ignore_merges=ignore_merges))
    backend.pre_tokenizer = pre_tokenizers.Sequence(_cutters(file, cut))
    backend.decoder = decoders.ByteLevel()
    _add_special_pieces(backend, pieces)
    return backend


def _cutters(file: GgufFile, cut: str) -> list[Any]:
    """Pre-tokenisers for a value of `tokenizer.ggml.pre`; each ends in the map from bytes to letters."""
    to_letters = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    if cut in _GPT2:
        return [pre_tokenizers.ByteLevel(add_prefix_space=False)]
    if cut in _DIGITS_THEN_GPT2:
        return [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    if cut in _LLAMA3 or cut in _QWEN2:
        pattern = _LLAMA3_CUT if cut in _LLAMA3 else _QWEN2_CUT
        return [pre_tokenizers.Split(Regex(pattern), "isolated"), to_letters]
    known = ", ".join(sorted(_GPT2 | _DIGITS_THEN_GPT2 | _LLAMA3 | _QWEN2))
    raise InputError(
        f"GGUF file '{file.path}': tokenizer.ggml.pre is {cut!r}; known are {known}; for others give the model's "
        "tokenizer.json as model.tokenizer"
    )
