"""A tokenizer of bytes, for toy models and tests: no vocabulary file, every text is representable.

Ids follow ByT5 and SeqIO's ByteVocabulary: 0 padding, 1 end, 2 unknown, then the 256 bytes.
"""

from __future__ import annotations

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

BYTES = "bytes"  # what a config names instead of a path
PAD, EOS, UNK = SPECIAL = ("<pad>", "</s>", "<unk>")


def byte_level_characters() -> list[str]:
    """The 256 printable characters that stand for bytes 0 … 255 in byte-level tokenizers (GPT-2's table)."""
    kept = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    moved = iter(range(256, 512))
    return [chr(byte if byte in kept else next(moved)) for byte in range(256)]


def byte_tokenizer(num_sentinels: int = 0) -> Tokenizer:
    """A fresh byte tokenizer of 259 ids, and ByT5's sentinels behind them."""
    pieces = [*SPECIAL, *byte_level_characters()]
    tokenizer = Tokenizer(models.BPE({piece: i for i, piece in enumerate(pieces)}, [], unk_token=UNK))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    sentinels = [f"<extra_id_{i}>" for i in range(num_sentinels)]
    tokenizer.add_special_tokens([AddedToken(piece, special=True) for piece in (*SPECIAL, *sentinels)])
    return tokenizer
