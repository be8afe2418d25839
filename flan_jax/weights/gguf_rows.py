"""Rows of a GGUF file's tensors as numbers: stored plainly, or dequantised block by block."""

from __future__ import annotations

import math
from typing import Any

import ml_dtypes
import numpy as np

from flan_jax.errors import InputError
from flan_jax.weights.gguf_file import GgufFile, GgufTensor

# ggml types that are plain numbers; all others are blocks, which the gguf package dequantises
PLAIN: dict[int, np.dtype[Any]] = {
    0: np.dtype(np.float32),
    1: np.dtype(np.float16),
    28: np.dtype(np.float64),
    30: np.dtype(ml_dtypes.bfloat16),
}


def stored_bytes(tensor: GgufTensor) -> int:
    """Bytes that a tensor takes in the file."""
    if tensor.type_code in PLAIN:
        return math.prod(tensor.shape) * PLAIN[tensor.type_code].itemsize
    from gguf import GGML_QUANT_SIZES, GGMLQuantizationType  # late: half a second, and only blocks need it

    block_values, block_bytes = GGML_QUANT_SIZES[GGMLQuantizationType(tensor.type_code)]
    return math.prod(tensor.shape) // block_values * block_bytes


def check_extent(file: GgufFile, name: str) -> None:
    """Refuses a tensor that reaches beyond the end of its file."""
    tensor = file.tensors[name]
    try:
        end = tensor.offset + stored_bytes(tensor)
    except (ValueError, KeyError) as e:
        raise InputError(
            f"weights '{file.path}': tensor '{name}' has ggml type {tensor.type_code}, unknown here"
        ) from e
    if end > len(file.data):
        raise InputError(
            f"weights '{file.path}': tensor '{name}' ends at byte {end} and the file at {len(file.data)}; "
            "it is truncated, fetch it again"
        )


def read_rows(file: GgufFile, tensor: GgufTensor, rows: slice) -> np.ndarray:
    """Rows of a tensor, as they are stored or dequantised to float32."""
    if tensor.type_code in PLAIN:
        flat = np.frombuffer(file.data, PLAIN[tensor.type_code], math.prod(tensor.shape), tensor.offset)
        return flat.reshape(tensor.shape)[rows]
    from gguf import GGMLQuantizationType
    from gguf.quants import dequantize

    stored = np.frombuffer(file.data, np.uint8, stored_bytes(tensor), tensor.offset)
    blocks = stored.reshape(*tensor.shape[:-1], -1)[rows]
    return dequantize(blocks, GGMLQuantizationType(tensor.type_code))
