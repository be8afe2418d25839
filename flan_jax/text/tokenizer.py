"""Tokenizers: text to ids and back, from whatever a checkpoint brings.

`load_tokenizer` reads a Hugging Face directory (tokenizer.json, or a SentencePiece file that is converted), a single
such file, or a GGUF file's metadata. All become one `Tokenizer` around the Rust library, with the special tokens and
the chat template that belong to it. transformers is not needed, and loads what `Tokenizer.save` writes.
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
from tokenizers import AddedToken, processors

from flan_jax.errors import InputError
from flan_jax.files.whole import read_json, write_json, write_text
from flan_jax.text import gguf_tokenizer, sentencepiece
from flan_jax.text.byte_tokenizer import BYTES, EOS, PAD, UNK, byte_level_characters, byte_tokenizer
from flan_jax.weights.gguf_file import open_gguf

_SPECIAL_NAMES = ("bos_token", "eos_token", "unk_token", "pad_token", "sep_token", "cls_token", "mask_token")
_SENTENCEPIECE_NAMES = ("spiece.model", "tokenizer.model")
_T5_SENTINELS = 100  # <extra_id_0> … <extra_id_99>, not in spiece.model itself


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
        return piece.replace(sentencepiece.SPACE, " ")

    def save(self, directory: str | Path) -> None:
        """Writes tokenizer.json and tokenizer_config.json (chat template inside), as transformers loads them."""
        directory = Path(directory)
        settings = dict(self.settings) | dict(self.special) | {"add_bos_token": self.adds_bos}
        settings.setdefault("tokenizer_class", "PreTrainedTokenizerFast")
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
        return _checked(byte_tokenizer(), Path(BYTES), special, False, None, (), {})
    path = Path(path)
    if path.suffix.lower() == ".gguf":
        return _from_gguf(path)
    file = _vocabulary_file(path) if path.is_dir() else path
    if not file.exists():
        raise InputError(
            f"tokenizer '{path}': no such file or folder; give a model directory, tokenizer.json, .model or .gguf file"
        )
    settings = _optional_json(file.parent / "tokenizer_config.json", path)
    special = _special_texts(file.parent, settings, path)
    if file.suffix == ".json":
        backend = _from_json(file)
        default_adds_bos = None
    else:
        backend, defaults = _from_sentencepiece(file, settings)
        special = defaults | special
        default_adds_bos = "bos_token" in defaults
        # what is saved is a tokenizer.json, so the class that reads SentencePiece files no longer fits
        settings = {key: value for key, value in settings.items() if key not in ("tokenizer_class", "legacy")}
    generation = _optional_json(file.parent / "generation_config.json", path)
    _fill_special(backend, special, [generation, _optional_json(file.parent / "config.json", path)])
    adds_bos = settings.get("add_bos_token", default_adds_bos)
    if adds_bos is None:
        adds_bos = _puts_first(backend, special.get("bos_token"))
    template = _chat_template(file.parent, settings, path)
    return _checked(backend, path, special, bool(adds_bos), template, _ids(generation.get("eos_token_id")), settings)


def _checked(
    backend: tokenizers.Tokenizer,
    path: Path,
    special: dict[str, str],
    adds_bos: bool,
    chat_template: str | None,
    more_stop_ids: tuple[int, ...],
    settings: Mapping[str, Any],
) -> Tokenizer:
    backend.no_padding()
    backend.no_truncation()
    eos = special.get("eos_token")
    if eos is None or backend.token_to_id(eos) is None:
        found = "none is named" if eos is None else f"'{eos}' is not in its vocabulary"
        raise InputError(
            f"tokenizer '{path}': needs an end token and {found}; name it as 'eos_token' in a tokenizer_config.json "
            "beside it"
        )
    present = {name: text for name, text in special.items() if backend.token_to_id(text) is not None}
    added = {token.content for token in backend.get_added_tokens_decoder().values()}
    # a special token that is no added token would be cut in pieces where a chat template writes it
    plain = [text for text in dict.fromkeys(present.values()) if text not in added]
    backend.add_special_tokens([AddedToken(text, normalized=False, special=True) for text in plain])
    adds_bos = adds_bos and "bos_token" in present
    return Tokenizer(backend, str(path), present, adds_bos, chat_template, more_stop_ids, settings)


def _from_gguf(path: Path) -> Tokenizer:
    file = open_gguf(path)
    backend = gguf_tokenizer.build_tokenizer(file)
    ids = {name: file.metadata.get(f"tokenizer.ggml.{name}_token_id") for name in ("bos", "eos", "unknown", "padding")}
    hugging_face_names = {"unknown": "unk_token", "padding": "pad_token", "bos": "bos_token", "eos": "eos_token"}
    special = {}
    for name, token_id in ids.items():
        text = None if token_id is None else backend.id_to_token(token_id)
        if text is not None:
            special[hugging_face_names[name]] = text
    turn_ends = [file.metadata.get(f"tokenizer.ggml.{name}_token_id") for name in ("eot", "eom")]
    more_stop_ids = tuple(token_id for token_id in turn_ends if token_id is not None)
    adds_bos = gguf_tokenizer.adds_bos(file)
    if adds_bos and "bos_token" in special:
        _put_bos_first(backend, special["bos_token"])
    return _checked(backend, path, special, adds_bos, file.metadata.get("tokenizer.chat_template"), more_stop_ids, {})


def _from_json(file: Path) -> tokenizers.Tokenizer:
    try:
        return tokenizers.Tokenizer.from_str(file.read_text(encoding="utf-8"))
    except OSError as e:
        raise InputError(f"tokenizer '{file}': cannot be read ({e.strerror}); give a tokenizer.json") from e
    except Exception as e:  # the Rust library raises plain Exception for a malformed file
        raise InputError(f"tokenizer '{file}': is no tokenizer.json that can be read ({e}); fetch it again") from e


def _from_sentencepiece(file: Path, settings: Mapping[str, Any]) -> tuple[tokenizers.Tokenizer, dict[str, str]]:
    """The converted tokenizer, and the special tokens the file itself names."""
    vocabulary = sentencepiece.read_vocabulary(file)
    num_sentinels = settings.get("extra_ids", _T5_SENTINELS if file.name == "spiece.model" else 0)
    backend = sentencepiece.convert_vocabulary(
        vocabulary, file, legacy=settings.get("legacy", True), num_sentinels=num_sentinels
    )
    ids = {"bos_token": vocabulary.bos_id, "eos_token": vocabulary.eos_id, "pad_token": vocabulary.pad_id}
    ids["unk_token"] = vocabulary.unk_id
    special = {name: vocabulary.pieces[i].text for name, i in ids.items() if 0 <= i < len(vocabulary.pieces)}
    _add_tokens(backend, file, settings)
    if "bos_token" in special:
        if settings.get("add_bos_token", True):
            _put_bos_first(backend, special["bos_token"])
    elif "eos_token" in special:
        _put_eos_last(backend, special["eos_token"])  # T5
    return backend, special


def _add_tokens(backend: tokenizers.Tokenizer, file: Path, settings: Mapping[str, Any]) -> None:
    """Adds the tokens that tokenizer_config.json or added_tokens.json puts behind a SentencePiece vocabulary."""
    named = _optional_json(file.parent / "added_tokens.json", file)
    tokens = {token_id: AddedToken(text, normalized=False) for text, token_id in named.items()}
    for key, fields in settings.get("added_tokens_decoder", {}).items():
        flags = {name: fields[name] for name in ("single_word", "lstrip", "rstrip", "normalized", "special")}
        tokens[int(key)] = AddedToken(fields["content"], **flags)
    for token_id, token in sorted(tokens.items()):
        backend.add_tokens([token])
        if backend.token_to_id(token.content) != token_id:
            raise InputError(
                f"tokenizer '{file}': added token '{token.content}' is said to have id {token_id} and would get "
                f"{backend.token_to_id(token.content)}; the vocabulary and its settings do not belong together"
            )


def _put_bos_first(backend: tokenizers.Tokenizer, bos: str) -> None:
    bos_id = backend.token_to_id(bos)
    backend.post_processor = processors.TemplateProcessing(
        single=[bos, "$A"], pair=[bos, "$A", f"{bos}:1", "$B:1"], special_tokens=[(bos, bos_id)]
    )


def _put_eos_last(backend: tokenizers.Tokenizer, eos: str) -> None:
    eos_id = backend.token_to_id(eos)
    backend.post_processor = processors.TemplateProcessing(
        single=["$A", eos], pair=["$A", eos, "$B", eos], special_tokens=[(eos, eos_id)]
    )


def _puts_first(backend: tokenizers.Tokenizer, bos: str | None) -> bool:
    """Whether the tokenizer's own post-processor starts text with `bos`."""
    return bos is not None and backend.encode("a").ids[:1] == [backend.token_to_id(bos)]


def _vocabulary_file(directory: Path) -> Path:
    for name in ("tokenizer.json", *_SENTENCEPIECE_NAMES):
        if (directory / name).is_file():
            return directory / name
    ggufs = sorted(directory.glob("*.gguf"))
    hint = f"; to use {ggufs[0].name}, give the file itself" if ggufs else ""
    wanted = ", ".join(("tokenizer.json", *_SENTENCEPIECE_NAMES))
    raise InputError(f"tokenizer '{directory}': the folder holds none of {wanted}{hint}")


def _optional_json(file: Path, path: Path) -> dict[str, Any]:
    return read_json(file, f"tokenizer '{path}'") if file.is_file() else {}


def _special_texts(directory: Path, settings: Mapping[str, Any], path: Path) -> dict[str, str]:
    named = _optional_json(directory / "special_tokens_map.json", path) | dict(settings)
    special = {}
    for name in _SPECIAL_NAMES:
        token = named.get(name)
        text = token.get("content") if isinstance(token, dict) else token
        if isinstance(text, str):
            special[name] = text
    return special


def _fill_special(backend: tokenizers.Tokenizer, special: dict[str, str], configs: Sequence[Mapping[str, Any]]) -> None:
    """Takes start, end and pad tokens that no tokenizer file names from the model's own configs."""
    for name in ("bos_token", "eos_token", "pad_token"):
        for config in configs:
            ids = _ids(config.get(f"{name}_id"))
            text = backend.id_to_token(ids[0]) if ids and name not in special else None
            if text is not None:
                special[name] = text


def _ids(value: Any) -> tuple[int, ...]:
    if value is None:
        return ()
    return tuple(value) if isinstance(value, list) else (value,)


def _chat_template(directory: Path, settings: Mapping[str, Any], path: Path) -> str | None:
    file = directory / "chat_template.jinja"
    if file.is_file():
        return file.read_text(encoding="utf-8")
    template = settings.get("chat_template")
    if not isinstance(template, list):
        return template
    # several templates by name: the one for plain conversations
    by_name = {entry["name"]: entry["template"] for entry in template}
    if "default" not in by_name:
        raise InputError(
            f"tokenizer '{path}': has the chat templates {', '.join(by_name)} and none named 'default'; "
            "put the one to use into chat_template.jinja"
        )
    return by_name["default"]
