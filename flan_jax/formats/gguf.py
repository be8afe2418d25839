"""Llama weights and architecture from a GGUF file, under their Hugging Face names.

llama.cpp renames the tensors, reorders the rows of the query and key projections for its own rotary layout, and mostly
stores blocks of quantised numbers; `GgufSource` undoes all three. `convert_gguf` does so once and keeps the result as a
Hugging Face directory, since dequantising at every start costs seconds.

Sources: names, gguf-py/gguf/tensor_mapping.py; row order, `LlamaModel.permute` in convert_hf_to_gguf.py; both in
https://github.com/ggml-org/llama.cpp.
"""

from __future__ import annotations

import contextlib
import math
import re
import shutil
import tempfile
from pathlib import Path
from typing import Any, Literal

import ml_dtypes
import numpy as np

from flan_jax.errors import InputError
from flan_jax.formats.files import hash_file, read_json, write_json
from flan_jax.formats.gguf_file import GgufFile, GgufTensor, open_gguf
from flan_jax.formats.safetensors import TensorSource, write_tensors

_NAMES = {
    "token_embd.weight": "model.embed_tokens.weight",
    "output_norm.weight": "model.norm.weight",
    "output.weight": "lm_head.weight",
}
_BLOCK_NAMES = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
_ROPE_FACTORS = "rope_freqs.weight"  # Llama 3.1 scaling, one factor a frequency; an architecture setting, no weight

# ggml types that are plain numbers; all others are blocks, which the gguf package dequantises
_PLAIN: dict[int, np.dtype[Any]] = {
    0: np.dtype(np.float32),
    1: np.dtype(np.float16),
    28: np.dtype(np.float64),
    30: np.dtype(ml_dtypes.bfloat16),
}


class GgufSource:
    """The tensors of a Llama GGUF file as a `TensorSource` with Hugging Face names, shapes and row order."""

    def __init__(self, path: str | Path):
        self._file = open_gguf(path)
        self._heads = _head_counts(self._file)
        self._gguf_names: dict[str, str] = {}
        for name in self._file.tensors:
            if name != _ROPE_FACTORS:
                self._gguf_names[_huggingface_name(self._file.path, name)] = name
        for name in self._gguf_names.values():
            _check_extent(self._file, name)

    def names(self) -> list[str]:
        """Every tensor's name, in file order."""
        return list(self._gguf_names)

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of a tensor; no data is read."""
        return self._find(name).shape

    def dtype(self, name: str) -> np.dtype[Any]:
        """The dtype `read` gives: the stored one, float32 for quantised blocks."""
        return _PLAIN.get(self._find(name).type_code, np.dtype(np.float32))

    def read(self, name: str) -> np.ndarray:
        """The whole tensor, dequantised, query and key rows in Hugging Face's order."""
        tensor = self._find(name)
        rows = _read_rows(self._file, tensor, slice(None))
        num_heads = self._permuted_heads(name)
        return rows if num_heads is None else _undo_permutation(rows, num_heads)

    def read_slice(self, name: str, slices: tuple[slice, ...]) -> np.ndarray:
        """A part of the tensor; only the rows asked for are dequantised, where rows are in order."""
        if not slices or self._permuted_heads(name) is not None:
            return self.read(name)[slices]
        return _read_rows(self._file, self._find(name), slices[0])[(slice(None), *slices[1:])]

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the file."""
        return hash_file(self._file.path)

    def _find(self, name: str) -> GgufTensor:
        try:
            return self._file.tensors[self._gguf_names[name]]
        except KeyError as e:
            raise InputError(
                f"weights '{self._file.path}': no tensor '{name}'; it holds {len(self._gguf_names)}, "
                f"such as {', '.join(self.names()[:3])}"
            ) from e

    def _permuted_heads(self, name: str) -> int | None:
        module = name.rpartition(".")[0]
        return next((count for suffix, count in self._heads.items() if module.endswith(suffix)), None)


def _huggingface_name(path: Path, name: str) -> str:
    block = re.fullmatch(r"blk\.(\d+)\.(\w+)\.(weight|bias)", name)
    if block and block[2] in _BLOCK_NAMES:
        return f"model.layers.{block[1]}.{_BLOCK_NAMES[block[2]]}.{block[3]}"
    if name in _NAMES:
        return _NAMES[name]
    raise InputError(
        f"weights '{path}': tensor '{name}' has no place in a dense Llama; only those can be read from GGUF"
    )


def _head_counts(file: GgufFile) -> dict[str, int]:
    """Heads by the projections whose rows llama.cpp reorders."""
    num_heads = _setting(file, "attention.head_count")
    return {"q_proj": num_heads, "k_proj": file.metadata.get("llama.attention.head_count_kv", num_heads)}


def _undo_permutation(rows: np.ndarray, num_heads: int) -> np.ndarray:
    """Rows of a projection, from llama.cpp's order (pairs side by side) to Hugging Face's (halves of a head)."""
    half_dim = rows.shape[0] // num_heads // 2
    return rows.reshape(num_heads, half_dim, 2, *rows.shape[1:]).swapaxes(1, 2).reshape(rows.shape)


def _stored_bytes(tensor: GgufTensor) -> int:
    if tensor.type_code in _PLAIN:
        return math.prod(tensor.shape) * _PLAIN[tensor.type_code].itemsize
    from gguf import GGML_QUANT_SIZES, GGMLQuantizationType  # late: half a second, and only blocks need it

    block_values, block_bytes = GGML_QUANT_SIZES[GGMLQuantizationType(tensor.type_code)]
    return math.prod(tensor.shape) // block_values * block_bytes


def _check_extent(file: GgufFile, name: str) -> None:
    tensor = file.tensors[name]
    try:
        end = tensor.offset + _stored_bytes(tensor)
    except (ValueError, KeyError) as e:
        raise InputError(
            f"weights '{file.path}': tensor '{name}' has ggml type {tensor.type_code}, unknown here"
        ) from e
    if end > len(file.data):
        raise InputError(
            f"weights '{file.path}': tensor '{name}' ends at byte {end} and the file at {len(file.data)}; "
            "it is truncated, fetch it again"
        )


def _read_rows(file: GgufFile, tensor: GgufTensor, rows: slice) -> np.ndarray:
    if tensor.type_code in _PLAIN:
        flat = np.frombuffer(file.data, _PLAIN[tensor.type_code], math.prod(tensor.shape), tensor.offset)
        return flat.reshape(tensor.shape)[rows]
    from gguf import GGMLQuantizationType
    from gguf.quants import dequantize

    stored = np.frombuffer(file.data, np.uint8, _stored_bytes(tensor), tensor.offset)
    blocks = stored.reshape(*tensor.shape[:-1], -1)[rows]
    return dequantize(blocks, GGMLQuantizationType(tensor.type_code))


def _setting(file: GgufFile, key: str, default: Any = None) -> Any:
    value = file.metadata.get(f"llama.{key}", default)
    if value is None:
        raise InputError(f"GGUF file '{file.path}': no 'llama.{key}' in its metadata, which the architecture needs")
    return value


def read_architecture(path: str | Path) -> dict[str, Any]:
    """The architecture of the model at `path`, in the form of a Hugging Face config.json.

    Args:
        path: A model directory with config.json, a .safetensors file beside one, or a .gguf file.

    Raises:
        InputError: config.json is missing or malformed, or the GGUF file holds no dense Llama.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(
            f"model '{path}': no such file or folder; give a Hugging Face model directory or a .gguf file "
            "('make quickstart' fetches the weights of the quickstart)"
        )
    if path.suffix.lower() == ".gguf":
        return _gguf_architecture(open_gguf(path))
    config_path = (path if path.is_dir() else path.parent) / "config.json"
    architecture = read_json(config_path, f"model '{path}'")
    if "model_type" not in architecture:
        raise InputError(f"model '{path}': {config_path} has no 'model_type'; give a Hugging Face model directory")
    return architecture


def _gguf_architecture(file: GgufFile) -> dict[str, Any]:
    kind = file.metadata.get("general.architecture")
    if kind != "llama" or file.metadata.get("llama.expert_count", 0):
        found = "llama with experts" if kind == "llama" else kind
        raise InputError(f"GGUF file '{file.path}': architecture is {found}; dense llama is what can be read from GGUF")
    num_heads = _setting(file, "attention.head_count")
    model_dim = _setting(file, "embedding_length")
    vocabulary = file.tensors.get("token_embd.weight")
    if vocabulary is None:
        raise InputError(f"GGUF file '{file.path}': no tensor 'token_embd.weight'; it holds no whole model")
    architecture = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_act": "silu",
        "hidden_size": model_dim,
        "intermediate_size": _setting(file, "feed_forward_length"),
        "num_hidden_layers": _setting(file, "block_count"),
        "num_attention_heads": num_heads,
        "num_key_value_heads": _setting(file, "attention.head_count_kv", num_heads),
        "head_dim": _setting(file, "attention.key_length", model_dim // num_heads),
        "max_position_embeddings": _setting(file, "context_length"),
        # stored as float32: seven digits give the number that was meant
        "rms_norm_eps": float(f"{_setting(file, 'attention.layer_norm_rms_epsilon'):.7g}"),
        "rope_theta": _setting(file, "rope.freq_base", 10000.0),
        "rope_scaling": _rope_scaling(file),
        "vocab_size": vocabulary.shape[0],
        "tie_word_embeddings": "output.weight" not in file.tensors,
        "attention_bias": "blk.0.attn_q.bias" in file.tensors,
        "mlp_bias": "blk.0.ffn_up.bias" in file.tensors,
    }
    for name, stored in (("bos", "bos"), ("eos", "eos"), ("pad", "padding")):
        token_id = file.metadata.get(f"tokenizer.ggml.{stored}_token_id")
        if token_id is not None:
            architecture[f"{name}_token_id"] = token_id
    return architecture


def _rope_scaling(file: GgufFile) -> dict[str, Any] | None:
    if _ROPE_FACTORS in file.tensors:
        return _llama3_scaling(file)
    kind = file.metadata.get("llama.rope.scaling.type", "none")
    if kind == "none":
        return None
    if kind == "linear":
        return {"rope_type": "linear", "factor": _setting(file, "rope.scaling.factor")}
    raise InputError(f"GGUF file '{file.path}': rotary scaling '{kind}'; none, linear and Llama 3.1's can be read")


def _llama3_scaling(file: GgufFile) -> dict[str, Any]:
    """Llama 3.1's scaling settings, which GGUF holds only as the factors they give (Llama 3.1–3.3: 8 or 32)."""
    factors = _read_rows(file, file.tensors[_ROPE_FACTORS], slice(None)).astype(np.float64)
    scaling = {
        "rope_type": "llama3",
        "factor": float(factors.max()),
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192,
    }
    theta = _setting(file, "rope.freq_base", 10000.0)
    turns = scaling["original_max_position_embeddings"] / (
        2 * np.pi * theta ** (np.arange(factors.size) / factors.size)
    )
    low, high = scaling["low_freq_factor"], scaling["high_freq_factor"]
    smooth = np.clip((turns - low) / (high - low), 0.0, 1.0)
    expected = 1.0 / ((1.0 - smooth) / scaling["factor"] + smooth)
    if not np.allclose(factors, expected, rtol=1e-4):
        raise InputError(
            f"GGUF file '{file.path}': its rotary factors are not those of Llama 3.1's scaling with frequency factors "
            "1 and 4 over 8192 positions; use the model's safetensors instead"
        )
    return scaling


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
    from flan_jax.formats.tokenizer import load_tokenizer  # late: a tokenizer can be read from GGUF too

    path, directory = Path(path), Path(directory)
    origin = {"source": path.name, "source_sha256": GgufSource(path).fingerprint, "dtype": dtype}
    record_path = directory / "conversion.json"
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        found = read_json(record_path, f"folder '{directory}'") if record_path.is_file() else None
        if found != origin:
            raise InputError(f"folder '{directory}': exists and is not {path.name} in {dtype}; give another folder")
        return directory
    tokenizer, architecture = load_tokenizer(path), read_architecture(path) | {"torch_dtype": dtype}
    partial: Path | None = None
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=f".{directory.name}-", dir=directory.parent))
        _write_converted(GgufSource(path), partial, np.dtype(dtype))
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
