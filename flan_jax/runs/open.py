"""How a model reads, and the processes of a run: opened from a config, without weights or data."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flan_jax.config import Config
from flan_jax.errors import InputError

if TYPE_CHECKING:
    from flan_jax.data.prepare.encode import Encoder
    from flan_jax.text.tokenizer import Tokenizer


@dataclass(frozen=True)
class Text:
    """How a model reads: its architecture's settings, tokenizer and encoder.

    Attributes:
        architecture: settings in the form of a Hugging Face config.json.
        is_encoder_decoder: whether inputs and targets are separate.
        tokenizer: ids to text and back.
        encoder: conversations to ids with loss weights.
    """

    architecture: dict[str, Any]
    is_encoder_decoder: bool
    tokenizer: Tokenizer
    encoder: Encoder


def open_text(config: Config) -> Text:
    """The architecture, tokenizer and encoder of a config; reads no weights.

    Raises:
        InputError: files are missing or malformed, or the tokenizer is larger than the embedding.
    """
    from flan_jax.text.chat import make_encoder
    from flan_jax.text.tokenizer import load_tokenizer
    from flan_jax.weights.architecture import read_architecture
    from flan_jax.weights.hub import local_tokenizer

    model = config.model
    if model.architecture is not None:
        architecture = model.architecture
    elif model.path is not None:
        architecture = read_architecture(model.path)
    else:
        raise InputError(
            "config: neither 'model.path' (pretrained weights) nor 'model.architecture' is given; give one"
        )
    source = model.tokenizer or model.path
    if source is None:
        raise InputError("config: 'model.tokenizer' is not given and there are no weights to find one beside; give it")
    tokenizer = load_tokenizer(local_tokenizer(source))
    vocabulary = architecture.get("vocab_size", 0)
    if tokenizer.vocab_size > vocabulary:
        raise InputError(
            f"tokenizer '{source}': has {tokenizer.vocab_size} tokens, the model's embedding {vocabulary}; use the "
            "tokenizer the model was trained with"
        )
    is_encoder_decoder = architecture.get("model_type") == "t5"
    encoder = make_encoder(config.data.form, tokenizer, config.chat.system, is_encoder_decoder=is_encoder_decoder)
    return Text(architecture, is_encoder_decoder, tokenizer, encoder)


def start_jax(config: Config) -> None:
    """Joins the other processes of the run, if any, and turns the compilation cache on."""
    import jax

    from flan_jax.parallel import multihost

    multihost.start()
    folder = config.logging.compilation_cache
    if folder is None:
        folder = str(Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "flan-jax" / "compilation")
    if folder:
        jax.config.update("jax_compilation_cache_dir", folder)
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.5)
