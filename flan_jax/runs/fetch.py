"""Weights made ready for use once: a GGUF file as a Hugging Face directory."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from pathlib import Path
from typing import Any, Literal

import numpy as np

from flan_jax.errors import InputError
from flan_jax.files.whole import read_json, write_json
from flan_jax.model.files import open_weights, read_settings
from flan_jax.text.tokenizer import load_tokenizer
from flan_jax.weights.safetensors import write_tensors
from flan_jax.weights.tensors import TensorSource


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
        record = read_json(record_path, f"folder '{directory}'") if record_path.is_file() else None
        if record != origin:
            raise InputError(f"folder '{directory}': exists and is not {path.name} in {dtype}; give another folder")
        return directory
    tokenizer, architecture = load_tokenizer(path), read_settings(path) | {"torch_dtype": dtype}
    partial: Path | None = None
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=f".{directory.name}-", dir=directory.parent))
        _write_converted(weights, partial, np.dtype(dtype))
        tokenizer.save(partial)
        write_json(partial / "config.json", architecture)
        write_json(partial / record_path.name, origin)
        partial.chmod(0o755)  # mkdtemp gives a private one
        partial.rename(directory)
    except OSError as e:
        raise InputError(f"folder '{directory}': the converted model cannot be written ({e.strerror})") from e
    finally:
        if partial is not None:
            with contextlib.suppress(OSError):
                shutil.rmtree(partial)
    return directory


def _write_converted(source: TensorSource, directory: Path, dtype: np.dtype[Any]) -> None:
    tensors = ((name, np.asarray(source.read(name)).astype(dtype)) for name in source.names())
    write_tensors(directory, tensors)
