"""Tensors of a GGUF file under the names a family gives them.

llama.cpp renames tensors, reorders the rows of some query and key projections for its own rotary layout, and mostly
stores blocks of quantised numbers. Which is called what, and which are reordered, is a family's to say
(`model/families`); `GgufSource` undoes all three. `convert_gguf` does so once and keeps the result as a Hugging Face
directory, since dequantising at every start costs seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from flan_jax.errors import InputError
from flan_jax.files.hashes import hash_file
from flan_jax.weights.gguf_file import GgufFile, GgufTensor
from flan_jax.weights.gguf_rows import PLAIN, check_extent, read_rows


class GgufSource:
    """The tensors of a GGUF file as a `TensorSource`."""

    def __init__(self, file: GgufFile, names: Mapping[str, str], turned: Mapping[str, int]):
        """Checks that the tensors lie within the file.

        Args:
            file: the opened file.
            names: GGUF's name of a tensor by the name it is given here.
            turned: number of heads of the tensors whose rows llama.cpp reordered, by the name given here.

        Raises:
            InputError: a tensor reaches beyond the file.
        """
        self._file, self._gguf_names, self._turned = file, dict(names), dict(turned)
        for name in self._gguf_names.values():
            check_extent(file, name)

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
        """The whole tensor, dequantised, its rows in Hugging Face's order."""
        tensor = self._find(name)
        rows = read_rows(self._file, tensor, slice(None))
        num_heads = self._turned.get(name)
        return rows if num_heads is None else _undo_permutation(rows, num_heads)

    def read_slice(self, name: str, slices: tuple[slice, ...]) -> np.ndarray:
        """A part of the tensor; only the rows asked for are dequantised, where rows are in order."""
        if not slices or name in self._turned:
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


def _undo_permutation(rows: np.ndarray, num_heads: int) -> np.ndarray:
    """Rows of a projection, from llama.cpp's order (pairs side by side) to Hugging Face's (halves of a head)."""
    half_dim = rows.shape[0] // num_heads // 2
    return rows.reshape(num_heads, half_dim, 2, *rows.shape[1:]).swapaxes(1, 2).reshape(rows.shape)
