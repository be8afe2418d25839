"""How our parameters are named and laid out in Hugging Face files: one table a family, for reading and for writing.

A table entry pairs a parameter path of ours with a tensor name of theirs. Where ours is stacked over layers, theirs
holds `{layer}` and stands for one tensor a layer. PyTorch's `Linear` keeps [out, in]; our kernels keep their input
dimensions first and unflattened (query [D, N, H], output [N, H, D]), so a `Linear` is transposed and reshaped. The same
entry names the parameter's adapters in a PEFT file. Nothing here reads or writes: see `weights` and `export`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

HEAD = "lm_head.weight"
PEFT_PREFIX = "base_model.model."
Index = tuple[slice, ...]


@dataclass(frozen=True)
class Name:
    """One parameter of ours and the tensor, or one tensor a layer, that holds it in Hugging Face's files."""

    ours: str  # dotted parameter path, e.g. blocks.attention.query.kernel
    theirs: str  # tensor name; with {layer} where ours is stacked over layers
    # none: stored as it is; else part of a Linear, and how many of our leading dimensions are its input (0: its bias)
    input_dims: int | None = None
    aliases: tuple[str, ...] = ()  # other names under which some files hold it

    @property
    def is_stacked(self) -> bool:
        """Whether our array has a leading layer dimension."""
        return "{layer}" in self.theirs

    def their_names(self, shape: Sequence[int]) -> list[str]:
        """Tensor names that make up our array of this shape, in layer order."""
        return [self.theirs.format(layer=layer) for layer in range(shape[0])] if self.is_stacked else [self.theirs]

    @property
    def is_kernel(self) -> bool:
        """Whether it is a projection's weight, which can have an adapter."""
        return self.ours.endswith(".kernel")

    def layer_shape(self, shape: Sequence[int]) -> tuple[int, ...]:
        """Shape of one layer of our array."""
        return tuple(shape[1:]) if self.is_stacked else tuple(shape)

    def their_shape(self, shape: Sequence[int]) -> tuple[int, ...]:
        """Shape of each tensor of theirs, given the shape of our whole array."""
        inner = self.layer_shape(shape)
        if self.input_dims is None:
            return inner
        outputs = math.prod(inner[self.input_dims :])
        return (outputs, math.prod(inner[: self.input_dims])) if self.input_dims else (outputs,)

    def to_theirs(self, layer: np.ndarray) -> np.ndarray:
        """One layer of ours as their tensor, contiguous."""
        if self.input_dims:
            layer = layer.reshape(math.prod(layer.shape[: self.input_dims]), -1).T
        elif self.input_dims == 0:
            layer = layer.reshape(-1)
        return np.ascontiguousarray(layer)

    def read_part(self, read: Callable[[Index], np.ndarray], index: Index, layer_shape: Sequence[int]) -> np.ndarray:
        """A part of one layer of ours, read from their tensor.

        Of each flattened group of dimensions only the first is cut while reading, so that what is read stays one
        contiguous range; the others are cut afterwards.

        Args:
            read: gives the part of their tensor that lies within the slices.
            index: slices with concrete bounds into the layer of ours.
            layer_shape: shape of the whole layer.

        Returns:
            Array in our layout, in the file's dtype, of the shape that `index` cuts.
        """
        if self.input_dims is None:
            return read(index)
        ranges, shape, rest = [], [], []
        for start, stop in ((0, self.input_dims), (self.input_dims, len(layer_shape))):
            if start == stop:
                continue
            inner = layer_shape[start + 1 : stop]
            first = index[start]
            ranges.append(slice(first.start * math.prod(inner), first.stop * math.prod(inner)))
            shape += [first.stop - first.start, *inner]
            rest += [slice(None), *index[start + 1 : stop]]
        return read(tuple(reversed(ranges))).T.reshape(shape)[tuple(rest)]

    def adapter(self, which: str) -> Name:
        """The entry of this kernel's `lora_a` or `lora_b` in a PEFT file."""
        module = self.theirs.removesuffix(".weight")
        tensor = {"lora_a": "lora_A", "lora_b": "lora_B"}[which]
        return replace(
            self,
            ours=f"{self.ours.removesuffix('.kernel')}.{which}",
            theirs=f"{PEFT_PREFIX}{module}.{tensor}.weight",
            input_dims=self.input_dims if which == "lora_a" else 1,
            aliases=(),
        )

    @property
    def their_module(self) -> str:
        """Last part of the Hugging Face module's name, as PEFT's `target_modules` calls it (q_proj, wi_0 …)."""
        return self.theirs.removesuffix(".weight").rpartition(".")[2]


def by_path(names: Iterable[Name]) -> Mapping[str, Name]:
    """A table by parameter path, with the entries of the adapters of every kernel in it."""
    table: dict[str, Name] = {}
    for name in names:
        table[name.ours] = name
        if name.is_kernel:
            for which in ("lora_a", "lora_b"):
                adapter = name.adapter(which)
                table[adapter.ours] = adapter
    return table


def linear_names(ours: str, theirs: str, has_bias: bool) -> list[Name]:
    """A projection's kernel, and its bias where it has one; attention's output alone contracts two dimensions."""
    names = [Name(f"{ours}.kernel", f"{theirs}weight", input_dims=2 if ours.endswith(".output") else 1)]
    return [*names, Name(f"{ours}.bias", f"{theirs}bias", input_dims=0)] if has_bias else names
