"""Named tensors of a folder or file of weights, whatever its format; pickled ones are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np

from flan_jax.errors import InputError
from flan_jax.weights.hub import local_weights
from flan_jax.weights.safetensors import INDEX, PICKLE_SUFFIXES, SafetensorsSource, indexed_files


@runtime_checkable
class TensorSource(Protocol):
    """Named tensors that are read one by one."""

    def names(self) -> list[str]:
        """Every tensor's name, in file order."""
        ...

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of a tensor; no data is read."""
        ...

    def dtype(self, name: str) -> np.dtype[Any]:
        """The dtype `read` gives; bfloat16 is `ml_dtypes.bfloat16`."""
        ...

    def read(self, name: str) -> np.ndarray:
        """The whole tensor, read-only where it is a view of the file."""
        ...

    def read_slice(self, name: str, slices: tuple[slice, ...]) -> np.ndarray:
        """A part of the tensor; `slices` index its leading dimensions."""
        ...

    @property
    def fingerprint(self) -> str:
        """SHA-256 over the bytes of the files."""
        ...


def open_tensors(path: str | Path) -> TensorSource:
    """The weights at `path`: a model directory, a `.safetensors` file, or a hub name; see `model/files.py` for GGUF.

    Raises:
        InputError: nothing there, not to be had from the hub, no readable weights, a shard of the index missing, a
            truncated or malformed file, or only pickle files.
    """
    path = local_weights(path)
    if path.is_dir():
        return SafetensorsSource(path, _shards(path))
    if path.suffix.lower() in PICKLE_SUFFIXES:
        raise _pickle_refused(path, path.name)
    if not path.exists():
        raise InputError(
            f"weights '{path}': no such file or folder; give a model directory, a .safetensors or a .gguf file"
        )
    return SafetensorsSource(path, [path])


def _shards(directory: Path) -> list[Path]:
    names = indexed_files(directory)
    if names is not None:
        missing = [name for name in names if not (directory / name).is_file()]
        if missing:
            raise InputError(f"weights '{directory}': shard '{missing[0]}' of the index is missing; fetch it again")
        return [directory / name for name in names]
    files = sorted(directory.glob("*.safetensors"))
    if len(files) == 1:
        return files
    if files:
        raise InputError(
            f"weights '{directory}': {len(files)} safetensors files ({files[0].name}, {files[1].name} …) and no "
            f"{INDEX}; add the index or leave one file"
        )
    pickles = sorted(p.name for p in directory.iterdir() if p.suffix.lower() in PICKLE_SUFFIXES)
    if pickles:
        raise _pickle_refused(directory, pickles[0])
    ggufs = sorted(directory.glob("*.gguf"))
    hint = f"; to use {ggufs[0].name}, give the file itself" if ggufs else ""
    raise InputError(f"weights '{directory}': no .safetensors file in the folder{hint}")


def _pickle_refused(where: Path, name: str) -> InputError:
    return InputError(
        f"weights '{where}': {name} is a pickle file, which can run code when opened, and is refused; "
        "convert it to safetensors"
    )
