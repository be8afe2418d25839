"""Named tensors of a folder or file of weights, whatever its format; pickled ones are refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np

from flan_jax.errors import InputError
from flan_jax.weights.safetensors import SafetensorsSource

_PICKLE_SUFFIXES = (".bin", ".pt", ".pth", ".ckpt", ".pkl")


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
    """The weights at `path`: a Hugging Face model directory or one `.safetensors` file; see `model/files.py` for GGUF.

    Raises:
        InputError: nothing there, no readable weights, a shard of the index missing, a truncated or malformed file, or
            only pickle files.
    """
    path = Path(path)
    if path.is_dir():
        return SafetensorsSource(path, _shards(path))
    if path.suffix.lower() in _PICKLE_SUFFIXES:
        raise _pickle_refused(path, path.name)
    if not path.exists():
        raise InputError(
            f"weights '{path}': no such file or folder; give a model directory, a .safetensors or a .gguf file"
        )
    return SafetensorsSource(path, [path])


def _shards(directory: Path) -> list[Path]:
    index_path = directory / "model.safetensors.index.json"
    if index_path.exists():
        try:
            names = sorted(set(json.loads(index_path.read_text(encoding="utf-8"))["weight_map"].values()))
        except (ValueError, KeyError, TypeError, AttributeError) as e:
            raise InputError(f"weights '{index_path}': not a shard index with a 'weight_map' ({e})") from e
        for name in names:
            # an index is data from elsewhere: it must not reach outside its folder
            if Path(name).name != name:
                raise InputError(f"weights '{index_path}': shard '{name}' must be a file name in the same folder")
            if not (directory / name).is_file():
                raise InputError(f"weights '{directory}': shard '{name}' of the index is missing; fetch it again")
        return [directory / name for name in names]
    found = sorted(directory.glob("*.safetensors"))
    if len(found) == 1:
        return found
    if found:
        raise InputError(
            f"weights '{directory}': {len(found)} safetensors files ({found[0].name}, {found[1].name} …) and no "
            "model.safetensors.index.json; add the index or leave one file"
        )
    pickles = sorted(p.name for p in directory.iterdir() if p.suffix.lower() in _PICKLE_SUFFIXES)
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
