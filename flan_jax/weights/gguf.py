"""Llama weights and architecture from a GGUF file, under their Hugging Face names.

llama.cpp renames the tensors, reorders the rows of the query and key projections for its own rotary layout, and mostly
stores blocks of quantised numbers; `GgufSource` undoes all three. `convert_gguf` does so once and keeps the result as a
Hugging Face directory, since dequantising at every start costs seconds.

Sources: names, gguf-py/gguf/tensor_mapping.py; row order, `LlamaModel.permute` in convert_hf_to_gguf.py; both in
https://github.com/ggml-org/llama.cpp.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from flan_jax.errors import InputError
from flan_jax.files.hashes import hash_file
from flan_jax.weights.gguf_file import ROPE_FACTORS, GgufFile, GgufTensor, open_gguf, setting
from flan_jax.weights.gguf_rows import PLAIN, check_extent, read_rows

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


class GgufSource:
    """The tensors of a Llama GGUF file as a `TensorSource` with Hugging Face names, shapes and row order."""

    def __init__(self, path: str | Path):
        self._file = open_gguf(path)
        self._heads = _head_counts(self._file)
        self._gguf_names: dict[str, str] = {}
        for name in self._file.tensors:
            if name != ROPE_FACTORS:
                self._gguf_names[_huggingface_name(self._file.path, name)] = name
        for name in self._gguf_names.values():
            check_extent(self._file, name)

    def names(self) -> list[str]:
        """Every tensor's name, in file order."""
        return list(self._gguf_names)

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of a tensor; no data is read."""
        return self._find(name).shape

    def dtype(self, name: str) -> np.dtype[Any]:
        """The dtype `read` gives: the stored one, float32 for quantised blocks."""
        return PLAIN.get(self._find(name).type_code, np.dtype(np.float32))

    def read(self, name: str) -> np.ndarray:
        """The whole tensor, dequantised, query and key rows in Hugging Face's order."""
        tensor = self._find(name)
        rows = read_rows(self._file, tensor, slice(None))
        num_heads = self._permuted_heads(name)
        return rows if num_heads is None else _undo_permutation(rows, num_heads)

    def read_slice(self, name: str, slices: tuple[slice, ...]) -> np.ndarray:
        """A part of the tensor; only the rows asked for are dequantised, where rows are in order."""
        if not slices or self._permuted_heads(name) is not None:
            return self.read(name)[slices]
        return read_rows(self._file, self._find(name), slices[0])[(slice(None), *slices[1:])]

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
    num_heads = setting(file, "attention.head_count")
    return {"q_proj": num_heads, "k_proj": file.metadata.get("llama.attention.head_count_kv", num_heads)}


def _undo_permutation(rows: np.ndarray, num_heads: int) -> np.ndarray:
    """Rows of a projection, from llama.cpp's order (pairs side by side) to Hugging Face's (halves of a head)."""
    half_dim = rows.shape[0] // num_heads // 2
    return rows.reshape(num_heads, half_dim, 2, *rows.shape[1:]).swapaxes(1, 2).reshape(rows.shape)
