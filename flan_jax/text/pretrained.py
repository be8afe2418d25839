"""What transformers reads of a tokenizer folder or file: Rust backend, special tokens, chat template, settings.

`tokenizer.json` and SentencePiece files are read as they stand, through `PreTrainedTokenizerFast`. `AutoTokenizer`
builds the class that a config names from the vocabulary alone and loses how the file cuts text: under transformers 5.24
SmolLM2's folder, whose config says GPT2Tokenizer, gets other ids where spaces stand before digits, and Mistral v1's
wherever spaces follow each other. It also imports torch where that is installed. It reads folders with a vocab.json.
Code that a folder brings is never run.

By hand, because transformers does not do it: ids of start, end and pad tokens that only a model's config names; T5's
sentinels, which its SentencePiece file lacks; a check that added tokens get the ids they are said to have.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tokenizers

from flan_jax.errors import InputError
from flan_jax.files.whole import read_json
from flan_jax.text.byte_tokenizer import EOS, PAD, UNK, byte_tokenizer

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

_SENTENCEPIECE_NAMES = ("spiece.model", "tokenizer.model")
_NAMES = ("tokenizer.json", *_SENTENCEPIECE_NAMES, "vocab.json")
_BESIDE = (
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template.jinja",
    "additional_chat_templates",
)
_T5_SENTINELS, _BYT5_SENTINELS = 100, 125  # <extra_id_0> …, where the settings say no 'extra_ids'


@dataclass(frozen=True)
class Pretrained:
    """What stands in a folder; the fields are `Tokenizer`'s."""

    backend: tokenizers.Tokenizer
    special: dict[str, str]
    adds_bos: bool
    chat_template: str | None
    more_stop_ids: tuple[int, ...]
    settings: Mapping[str, Any]


def read_pretrained(path: Path) -> Pretrained:
    """The tokenizer in a Hugging Face folder, or in a tokenizer.json or SentencePiece file and the settings beside it.

    Raises:
        InputError: nothing there, a malformed file, settings that belong to another vocabulary, a Python class of the
            folder's own, an end token that the vocabulary lacks, or several chat templates and none of them 'default'.
    """
    folder = path if path.is_dir() else path.parent
    settings = _optional_json(folder / "tokenizer_config.json", path)
    if path.is_dir() and settings.get("auto_map"):
        raise InputError(
            f"tokenizer '{path}': its tokenizer_config.json names Python code of its own ('auto_map'), which is never "
            "run; if its tokenizer.json says the same, give that file itself"
        )
    if path.is_dir() and settings.get("tokenizer_class") == "ByT5Tokenizer":
        # a Python class in transformers, without a Rust backend
        backend = byte_tokenizer(settings.get("extra_ids", _BYT5_SENTINELS))
        special = {"pad_token": PAD, "eos_token": EOS, "unk_token": UNK}
        template = None
    else:
        tokenizer, special = _read_file(_vocabulary_file(path) if path.is_dir() else path, settings)
        backend = tokenizer.backend_tokenizer
        special |= {name: text for name, text in tokenizer.special_tokens_map.items() if isinstance(text, str)}
        template = _default_template(tokenizer.chat_template, path)
    generation = _optional_json(folder / "generation_config.json", path)
    for config in (generation, _optional_json(folder / "config.json", path)):
        special = _named_by_id(backend, config) | special
    adds_bos = settings.get("add_bos_token")
    if adds_bos is None:
        bos = special.get("bos_token")
        adds_bos = bos is not None and backend.encode("a").ids[:1] == [backend.token_to_id(bos)]
    stop_ids = tuple(_ids(generation.get("eos_token_id")))
    return Pretrained(backend, special, bool(adds_bos), template, stop_ids, settings)


def _read_file(file: Path, settings: Mapping[str, Any]) -> tuple[PreTrainedTokenizerFast, dict[str, str]]:
    """What transformers makes of a vocabulary file, and the special tokens that the file names besides."""
    if not file.exists():
        raise InputError(
            f"tokenizer '{file}': no such file or folder; give a model directory, tokenizer.json, .model or .gguf file"
        )
    if file.suffix == ".model":
        return _read_sentencepiece(file, settings)
    return (_read_class(file.parent) if file.name == "vocab.json" else _read_json(file, settings)), {}


def _read_json(file: Path, settings: Mapping[str, Any]) -> PreTrainedTokenizerFast:
    tokenizer = _load(file, "tokenizer.json", "tokenizer.json", settings)
    tree = read_json(file, f"tokenizer '{file}'")
    if tree.get("post_processor") is None:
        # transformers puts one that adds nothing, and what is saved and hashed shall be what the file says
        tokenizer.backend_tokenizer.post_processor = None
    vocabulary = tree["model"]["vocab"]
    texts = vocabulary if isinstance(vocabulary, dict) else (entry[0] for entry in vocabulary)
    _check_end(tokenizer, {*texts, *(token["content"] for token in tree.get("added_tokens", ()))}, file)
    return tokenizer


def _check_end(tokenizer: PreTrainedTokenizerFast, texts: set[str], file: Path) -> None:
    """Refuses an end token that transformers put behind the vocabulary: no model learned to end in it."""
    eos = tokenizer.special_tokens_map.get("eos_token")
    if isinstance(eos, str) and eos not in texts:
        raise InputError(
            f"tokenizer '{file}': needs an end token and '{eos}' is not in its vocabulary; name another as 'eos_token' "
            "in the tokenizer_config.json beside it"
        )


def _read_class(folder: Path) -> PreTrainedTokenizerFast:
    _silence_notice()
    from transformers import AutoTokenizer, PreTrainedTokenizerFast

    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    except Exception as e:  # as _read_json
        raise InputError(
            f"tokenizer '{folder}': transformers cannot read its vocab.json ({_first_line(e)}); give a tokenizer.json"
        ) from e
    if not isinstance(tokenizer, PreTrainedTokenizerFast):
        raise InputError(
            f"tokenizer '{folder}': {type(tokenizer).__name__} has no fast backend in transformers; give a "
            "tokenizer.json"
        )
    return tokenizer


def _read_sentencepiece(file: Path, settings: Mapping[str, Any]) -> tuple[PreTrainedTokenizerFast, dict[str, str]]:
    """The converted tokenizer, and the special tokens that the file itself names."""
    from sentencepiece import SentencePieceProcessor

    try:
        model = SentencePieceProcessor(model_file=str(file))
    except (OSError, RuntimeError) as e:
        raise InputError(f"tokenizer '{file}': is no SentencePiece model ({_first_line(e)}); fetch it again") from e
    ids = {"bos_token": model.bos_id(), "eos_token": model.eos_id(), "pad_token": model.pad_id()}
    ids["unk_token"] = model.unk_id()
    special = {name: model.id_to_piece(i) for name, i in ids.items() if i >= 0}
    # Llama's start with a token, T5's end in one, unless the settings say otherwise
    options: dict[str, Any] = {"add_bos_token": "bos_token" in special, "add_eos_token": "bos_token" not in special}
    options = {name: settings.get(name, value) for name, value in options.items()}
    num_sentinels = settings.get("extra_ids", _T5_SENTINELS if file.name == "spiece.model" else 0)
    if num_sentinels:
        options["extra_special_tokens"] = [f"<extra_id_{i}>" for i in reversed(range(num_sentinels))]
    tokenizer = _load(file, "tokenizer.model", "SentencePiece model", settings, **options)
    added = _optional_json(file.parent / "added_tokens.json", file)
    added |= {token["content"]: int(i) for i, token in settings.get("added_tokens_decoder", {}).items()}
    for text, token_id in added.items():
        token_id_here = tokenizer.backend_tokenizer.token_to_id(text)
        if token_id_here != token_id:
            raise InputError(
                f"tokenizer '{file}': added token '{text}' is said to have id {token_id} and would get "
                f"{token_id_here}; the vocabulary and its settings do not belong together"
            )
    _check_end(tokenizer, {*(model.id_to_piece(i) for i in range(model.get_piece_size())), *added}, file)
    return tokenizer, special


def _load(file: Path, name: str, what: str, settings: Mapping[str, Any], **options: Any) -> PreTrainedTokenizerFast:
    """What transformers reads of `file` under the name it looks for, and of the settings beside it."""
    _silence_notice()
    from transformers import PreTrainedTokenizerFast

    # a token may be given as a mapping that does not say its type, which transformers does not take
    for key, value in settings.items():
        if key.endswith("_token") and isinstance(value, dict) and "__type" not in value:
            options[key] = value["content"]
    with tempfile.TemporaryDirectory() as folder:
        # a folder of its own, so that no other vocabulary beside the file is taken for it
        (Path(folder) / name).symlink_to(file.resolve())
        for beside in _BESIDE:
            if (file.parent / beside).exists():
                (Path(folder) / beside).symlink_to((file.parent / beside).resolve())
        try:
            return PreTrainedTokenizerFast.from_pretrained(folder, local_files_only=True, **options)
        except Exception as e:  # the Rust library raises plain Exception for a malformed file
            raise InputError(
                f"tokenizer '{file}': is no {what} that can be read ({_first_line(e)}); fetch it again"
            ) from e


def _silence_notice() -> None:
    """Keeps transformers from telling, as it is imported, that there is no PyTorch: nothing here needs it."""
    logging.getLogger("transformers").addFilter(_is_no_notice)


def _is_no_notice(record: logging.LogRecord) -> bool:
    return not record.getMessage().startswith("PyTorch was not found")


def _vocabulary_file(folder: Path) -> Path:
    for name in _NAMES:
        if (folder / name).is_file():
            return folder / name
    ggufs = sorted(folder.glob("*.gguf"))
    hint = f"; to use {ggufs[0].name}, give the file itself" if ggufs else ""
    raise InputError(f"tokenizer '{folder}': the folder holds none of {', '.join(_NAMES)}{hint}")


def _default_template(template: str | dict[str, str] | None, path: Path) -> str | None:
    if not isinstance(template, dict):
        return template
    if "default" not in template:
        raise InputError(
            f"tokenizer '{path}': has the chat templates {', '.join(template)} and none named 'default'; "
            "put the one to use into chat_template.jinja"
        )
    return template["default"]


def _named_by_id(backend: tokenizers.Tokenizer, config: Mapping[str, Any]) -> dict[str, str]:
    """Start, end and pad tokens by the ids in a model's own config."""
    ids = {name: _ids(config.get(f"{name}_id"))[:1] for name in ("bos_token", "eos_token", "pad_token")}
    texts = {name: backend.id_to_token(token_id) for name, of_name in ids.items() for token_id in of_name}
    return {name: text for name, text in texts.items() if text is not None}


def _ids(value: Any) -> list[int]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _optional_json(file: Path, path: Path) -> dict[str, Any]:
    return read_json(file, f"tokenizer '{path}'") if file.is_file() else {}


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
