"""Tokenizers: text to ids and back, from whatever a checkpoint brings.

`load_tokenizer` reads a Hugging Face directory or a single vocabulary file through transformers (see `pretrained`),
or a GGUF file's metadata. All become one `Tokenizer` around the Rust library, with the special tokens and the chat
template that belong to it. It travels to other processes and works there without transformers, which loads what
`Tokenizer.save` writes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import tokenizers
from tokenizers import AddedToken

from flan_jax.errors import InputError
from flan_jax.files.whole import write_json, write_text
from flan_jax.text.byte_tokenizer import BYTES, EOS, PAD, UNK, byte_level_characters, byte_tokenizer
from flan_jax.text.gguf_tokenizer import SPACE, read_gguf
from flan_jax.text.pretrained import Pretrained, read_pretrained


@dataclass(frozen=True, eq=False)
class Tokenizer:
    """A tokenizer with its special tokens and chat template.

    Attributes:
        backend: The Rust tokenizer; padding and truncation are off.
        name: Where it came from, for error text.
        special: Texts of the special tokens by their Hugging Face names (`bos_token`, `eos_token` …).
        adds_bos: Whether plain text starts with the start token.
        chat_template: Jinja text, or none.
        more_stop_ids: Tokens that end a generation besides the end token (generation_config.json's list).
        settings: tokenizer_config.json as it was read, so that `save` keeps what is not used here.
    """

    backend: tokenizers.Tokenizer
    name: str
    special: Mapping[str, str]
    adds_bos: bool
    chat_template: str | None = None
    more_stop_ids: tuple[int, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def vocab_size(self) -> int:
        """The largest id plus one."""
        return max(self.backend.get_vocab(with_added_tokens=True).values()) + 1

    @cached_property
    def bos_id(self) -> int | None:
        """Id of the start token, where there is one."""
        return self._special_id("bos_token")

    @cached_property
    def eos_id(self) -> int:
        """Id of the end token."""
        eos_id = self._special_id("eos_token")
        assert eos_id is not None, "load_tokenizer admits no tokenizer without an end token"
        return eos_id

    @cached_property
    def pad_id(self) -> int:
        """Id that fills rows; the end token where the vocabulary has none for it. Masks never look at it."""
        pad_id = self._special_id("pad_token")
        return self.eos_id if pad_id is None else pad_id

    @cached_property
    def stop_ids(self) -> tuple[int, ...]:
        """Tokens that end a generation: the end token first, then those of generation_config.json."""
        return tuple(dict.fromkeys((self.eos_id, *self.more_stop_ids)))

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over everything that decides ids and chat form."""
        parts = {
            "backend": self.backend.to_str(),
            "special": dict(self.special),
            "adds_bos": self.adds_bos,
            "chat_template": self.chat_template,
            "stop_ids": self.stop_ids,
        }
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    @cached_property
    def special_ids(self) -> frozenset[int]:
        """Tokens that structure text and are no part of it."""
        return frozenset(i for i, token in self.backend.get_added_tokens_decoder().items() if token.special)

    @cached_property
    def hard_tokens(self) -> dict[int, str]:
        """Tokens that cut text exactly where they are written: ids on either side do not depend on the other."""
        return {
            token_id: token.content
            for token_id, token in self.backend.get_added_tokens_decoder().items()
            if not (token.normalized or token.single_word or token.lstrip or token.rstrip)
        }

    def encode(self, text: str) -> list[int]:
        """Ids of `text`; texts of special tokens in it become those tokens, and none is added."""
        return self.backend.encode(text, add_special_tokens=False).ids

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """Ids of each text, in parallel; see `encode`."""
        return [encoding.ids for encoding in self.backend.encode_batch_fast(list(texts), add_special_tokens=False)]

    def encode_batch_with_offsets(self, texts: Sequence[str]) -> list[tuple[list[int], list[tuple[int, int]]]]:
        """Ids of each text, and the first and past-the-last character of each id; see `encode`."""
        encodings = self.backend.encode_batch(list(texts), add_special_tokens=False)
        return [(encoding.ids, encoding.offsets) for encoding in encodings]

    def decode(self, ids: Iterable[int], *, skip_special: bool = True) -> str:
        """Text of `ids`."""
        return self.backend.decode([int(i) for i in ids], skip_special_tokens=skip_special)

    def token(self, token_id: int) -> str:
        """A readable form of one id: its spaces kept, bytes that are no character as \\x… escapes."""
        piece = self.backend.id_to_token(token_id)
        if piece is None:
            return f"<id {token_id}>"
        if token_id in self._added_ids:
            return piece
        if self._is_byte_level:
            raw = bytes(_BYTE_OF_LETTER[letter] for letter in piece if letter in _BYTE_OF_LETTER)
            return raw.decode("utf-8", errors="backslashreplace")
        return piece.replace(SPACE, " ")

    def save(self, directory: str | Path) -> None:
        """Writes tokenizer.json and tokenizer_config.json (chat template inside), as transformers loads them."""
        directory = Path(directory)
        # a class would be built anew from the vocabulary; what is saved shall be read as it stands
        of_class = ("tokenizer_class", "legacy", "auto_map")
        settings = {key: value for key, value in self.settings.items() if key not in of_class} | dict(self.special)
        settings |= {"tokenizer_class": "PreTrainedTokenizerFast", "add_bos_token": self.adds_bos}
        settings.setdefault("clean_up_tokenization_spaces", False)
        if self.chat_template is not None:
            settings["chat_template"] = self.chat_template
        write_text(directory / "tokenizer.json", self.backend.to_str())
        write_json(directory / "tokenizer_config.json", settings)
        if self.more_stop_ids:
            write_json(directory / "generation_config.json", {"eos_token_id": list(self.stop_ids)})

    def _special_id(self, name: str) -> int | None:
        text = self.special.get(name)
        return None if text is None else self.backend.token_to_id(text)

    @cached_property
    def _added_ids(self) -> frozenset[int]:
        return frozenset(self.backend.get_added_tokens_decoder())

    @cached_property
    def _is_byte_level(self) -> bool:
        return "ByteLevel" in repr(self.backend.decoder)


_BYTE_OF_LETTER = {letter: byte for byte, letter in enumerate(byte_level_characters())}


def load_tokenizer(path: str | Path) -> Tokenizer:
    """The tokenizer at `path`.

    Args:
        path: A Hugging Face directory, a tokenizer.json, a SentencePiece .model file, or a .gguf file; or `bytes`, the
            tokenizer of bytes for toy models. Settings are read from the files beside it where there are any.

    Raises:
        InputError: nothing there, a malformed file, a kind of vocabulary that is not known, or no end token.
    """
    if path == BYTES:
        special = {"pad_token": PAD, "eos_token": EOS, "unk_token": UNK}
        return _checked(BYTES, Pretrained(byte_tokenizer(), special, False, None, (), {}))
    path = Path(path)
    return _checked(str(path), read_gguf(path) if path.suffix.lower() == ".gguf" else read_pretrained(path))


def _checked(name: str, parts: Pretrained) -> Tokenizer:
    backend, special = parts.backend, parts.special
    backend.no_padding()
    backend.no_truncation()
    if special.get("eos_token") is None:
        raise InputError(
            f"tokenizer '{name}': needs an end token and none is named; name it as 'eos_token' in a "
            "tokenizer_config.json beside it"
        )
    present = {name: text for name, text in special.items() if backend.token_to_id(text) is not None}
    added = {token.content for token in backend.get_added_tokens_decoder().values()}
    # a special token that is no added token would be cut in pieces where a chat template writes it
    plain = [text for text in dict.fromkeys(present.values()) if text not in added]
    backend.add_special_tokens([AddedToken(text, normalized=False, special=True) for text in plain])
    adds_bos = parts.adds_bos and "bos_token" in present
    return Tokenizer(backend, name, present, adds_bos, parts.chat_template, parts.more_stop_ids, parts.settings)
