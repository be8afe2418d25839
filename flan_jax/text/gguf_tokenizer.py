"""The vocabulary in a GGUF file's metadata as a `tokenizers` object.

Two kinds occur in Llama files: `llama`, SentencePiece pieces with scores, and `gpt2`, byte-level BPE with merges, where
`tokenizer.ggml.pre` names how text is cut before merging. The cuts themselves are not in the file.

Source: the cuts by name, `llm_tokenizer_bpe` in https://github.com/ggml-org/llama.cpp/blob/master/src/llama-vocab.cpp.
"""

from __future__ import annotations

from typing import Any

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers

from flan_jax.errors import InputError
from flan_jax.text.sentencepiece import BYTE, NORMAL, Piece, add_special_pieces, build_bpe, set_space_rules
from flan_jax.weights.gguf_file import GgufFile

_LLAMA3_CUT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
    r"|\s+(?!\S)|\s+"
)
_QWEN2_CUT = _LLAMA3_CUT.replace(r"\p{N}{1,3}", r"\p{N}")
_GPT2 = frozenset({"default", "gpt-2", "gpt2", "mpt", "olmo", "jais"})
_DIGITS_THEN_GPT2 = frozenset({"smollm", "starcoder", "refact", "command-r", "codeshell", "exaone", "minerva-7b"})
_LLAMA3 = frozenset({"llama3", "llama-v3", "llama-bpe", "falcon3"})
_QWEN2 = frozenset({"qwen2", "deepseek-r1-qwen"})


def adds_bos(file: GgufFile) -> bool:
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


def _pieces(file: GgufFile) -> list[Piece]:
    texts = _list(file, "tokens")
    kinds = file.metadata.get("tokenizer.ggml.token_type") or [NORMAL] * len(texts)
    scores = file.metadata.get("tokenizer.ggml.scores") or [0.0] * len(texts)
    if not len(texts) == len(kinds) == len(scores):
        raise InputError(
            f"GGUF file '{file.path}': {len(texts)} tokens, {len(kinds)} types and {len(scores)} scores; "
            "the counts must agree, fetch it again"
        )
    return [Piece(text, score, kind) for text, score, kind in zip(texts, scores, kinds, strict=True)]


def _list(file: GgufFile, key: str) -> list[Any]:
    values = file.metadata.get(f"tokenizer.ggml.{key}")
    if not values:
        raise InputError(f"GGUF file '{file.path}': no 'tokenizer.ggml.{key}'; give a tokenizer as model.tokenizer")
    return values


def _from_pieces(file: GgufFile) -> Tokenizer:
    pieces = _pieces(file)
    byte_fallback = any(piece.kind == BYTE for piece in pieces)
    unk_id = file.metadata.get("tokenizer.ggml.unknown_token_id", 0)
    backend = build_bpe(pieces, byte_fallback=byte_fallback, unk_id=unk_id)
    adds_space = bool(file.metadata.get("tokenizer.ggml.add_space_prefix", True))
    # llama.cpp, too, puts a space in front of the text after every special token
    set_space_rules(backend, adds_space_before=adds_space, everywhere=True, byte_fallback=byte_fallback)
    add_special_pieces(backend, pieces)
    return backend


def _from_merges(file: GgufFile) -> Tokenizer:
    pieces = _pieces(file)
    merges = [tuple(merge.split(" ")) for merge in _list(file, "merges")]
    cut = file.metadata.get("tokenizer.ggml.pre", "default")
    ignore_merges = cut in _LLAMA3  # whole words of the vocabulary are taken before any merging
    vocabulary = {piece.text: place for place, piece in enumerate(pieces)}
    backend = Tokenizer(models.BPE(vocabulary, merges, fuse_unk=False, ignore_merges=ignore_merges))
    backend.pre_tokenizer = pre_tokenizers.Sequence(_cutters(file, cut))
    backend.decoder = decoders.ByteLevel()
    add_special_pieces(backend, pieces)
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
