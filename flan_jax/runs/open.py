"""How a model reads, and the processes of a run: opened from a config, without weights or data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from flan_jax.config import Config
from flan_jax.errors import InputError
from flan_jax.files.cache import cache_folder

if TYPE_CHECKING:
    from flan_jax.data.prepare.encode import Encoder
    from flan_jax.model.files import Description
    from flan_jax.text.tokenizer import Tokenizer


@dataclass(frozen=True)
class Text:
    """How a model reads, and what it is, opened once for all that follows.

    Attributes:
        model: what the model is.
        tokenizer: ids to text and back.
        encoder: conversations to ids with loss weights.
    """

    model: Description
    tokenizer: Tokenizer
    encoder: Encoder


def open_text(config: Config) -> Text:
    """The description, tokenizer and encoder of a config's model; reads no weights and needs no JAX.

    Raises:
        InputError: files are missing or malformed, the family is unknown, or the tokenizer is larger than the
            embedding; a larger embedding is fine.
    """
    from flan_jax.model.files import describe
    from flan_jax.text.chat import make_encoder
    from flan_jax.text.tokenizer import load_tokenizer
    from flan_jax.weights.hub import local_tokenizer

    model = describe(config.model)
    source = config.model.tokenizer or config.model.path
    if source is None:
        raise InputError("config: 'model.tokenizer' is not given and there are no weights to find one beside; give it")
    tokenizer = load_tokenizer(local_tokenizer(source))
    vocabulary = model.architecture.vocabulary
    if tokenizer.vocab_size > vocabulary:
        raise InputError(
            f"tokenizer '{source}': has {tokenizer.vocab_size} tokens, the model's embedding {vocabulary}; use the "
            "tokenizer the model was trained with"
        )
    is_encoder_decoder = model.family.is_encoder_decoder
    encoder = make_encoder(config.data.form, tokenizer, config.chat.system, is_encoder_decoder=is_encoder_decoder)
    return Text(model, tokenizer, encoder)


def start_jax(config: Config) -> None:
    """Joins the other processes of the run, if any, and turns the compilation cache on."""
    import jax

    from flan_jax.parallel import multihost

    multihost.start()
    folder = config.logging.compilation_cache
    if folder is None:
        folder = str(cache_folder("compilation"))
    if folder:
        jax.config.update("jax_compilation_cache_dir", folder)
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.5)
