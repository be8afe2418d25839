"""What several commands open: the config, the tokenizer and its form, the prepared store, the model on its mesh.

name ──► Config ──► Text (tokenizer, form) ──► stores and plan (prepared when missing)
             └────► mesh ──► Parts (weights in place) ──► a checkpoint's tuned weights
"""

from __future__ import annotations

import importlib.resources
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from flan_jax.config import Config
from flan_jax.config_file import load_config
from flan_jax.errors import InputError

if TYPE_CHECKING:
    from flan_jax.data.prepare.encode import Encoder
    from flan_jax.text.tokenizer import Tokenizer

RESOLVED_CONFIG = "config.yaml"  # in the run folder: the config with every default filled in


def make_console(*, quiet: bool = False) -> Console:
    """A console for results: the terminal's width, and room for whole tables where the output is a file or a pipe.

    Args:
        quiet: prints nothing: what all processes of a run say, the main one says for them.
    """
    console = Console(quiet=quiet)
    return console if console.is_terminal else Console(width=120, quiet=quiet)


@dataclass(frozen=True)
class ConfigFile:
    """A config and the words that name it on the command line, for a child process."""

    config: Config
    arguments: tuple[str, ...]


def read_config(name: str, overrides: Sequence[str]) -> ConfigFile:
    """The config of a YAML file, or of a bundled one by its bare name.

    Raises:
        InputError: no such file, or its content is refused.
    """
    path = Path(name)
    if not path.exists() and path.parent == Path() and not path.suffix:
        bundled = bundled_configs()
        if name not in bundled:
            raise InputError(f"'{name}': no such file or run folder; bundled configs are {', '.join(sorted(bundled))}")
        path = bundled[name]
    return ConfigFile(load_config(path, overrides), (str(path), *overrides))


def read_run_or_config(name: str, overrides: Sequence[str]) -> ConfigFile:
    """The config of a run folder, or as `read_config`; the run folder may have moved.

    Raises:
        InputError: a folder without a run in it, or as `read_config`.
    """
    path = Path(name)
    if not path.is_dir():
        return read_config(name, overrides)
    file = path / RESOLVED_CONFIG
    if not file.exists():
        raise InputError(f"run folder '{path}': holds no {RESOLVED_CONFIG}, so no run was started there; name a run")
    words = [f"run.dir={path}", *overrides]
    return ConfigFile(load_config(file, words), (str(file), *words))


def bundled_configs() -> dict[str, Path]:
    """The configs that come with the package, by name."""
    folder = importlib.resources.files("flan_jax.configs")
    return {Path(entry.name).stem: Path(str(entry)) for entry in folder.iterdir() if entry.name.endswith(".yaml")}


@dataclass(frozen=True)
class Text:
    """How a model reads: its architecture's settings, tokenizer and form.

    Attributes:
        architecture: settings in the form of a Hugging Face config.json.
        is_encoder_decoder: whether inputs and targets are separate.
        tokenizer: ids to text and back.
        form: conversations to ids with loss weights.
    """

    architecture: dict[str, Any]
    is_encoder_decoder: bool
    tokenizer: Tokenizer
    encoder: Encoder


def open_text(config: Config) -> Text:
    """The architecture, tokenizer and form of a config; reads no weights.

    Raises:
        InputError: files are missing or malformed, or the tokenizer is larger than the embedding.
    """
    from flan_jax.text.chat import make_encoder
    from flan_jax.text.tokenizer import load_tokenizer
    from flan_jax.weights.architecture import read_architecture

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
    tokenizer = load_tokenizer(source)
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
