"""Weights onto the mesh: new ones from a seed, or pretrained ones tensor by tensor, each device's part alone.

    abstract module (eval_shape) ─► sharding of every parameter ─┬─► random: one jitted init with those out_shardings
                                                                 └─► files: names and shapes checked, then each stacked
                                                                     array filled part by part, layer by layer
    adapters: new under the same jit, or from a PEFT directory (`adapters`)

What is tuned is float32, what is frozen `model.frozen_dtype`; files of any float type are rounded while they are read.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
from flax import nnx
from jax.sharding import Mesh, NamedSharding

from flan_jax.config import Config
from flan_jax.errors import InputError
from flan_jax.model.adapters.peft import ADAPTER_TENSORS
from flan_jax.model.blueprint import Blueprint, blueprint_of, flat_parameters
from flan_jax.model.family import Architecture, Family
from flan_jax.model.files import describe, open_weights
from flan_jax.model.names import Name
from flan_jax.parallel.mesh import sharding_for
from flan_jax.weights.hub import local_weights
from flan_jax.weights.tensors import TensorSource, open_tensors

_FLOATS = tuple(np.dtype(kind) for kind in (np.float64, np.float32, np.float16, ml_dtypes.bfloat16))
_COMPARED_ROWS = 4096  # of tables that must be equal, at a time
_SMALL_VALUES = 20_000_000  # fewer new values than this are drawn by code that compiles fast
_LISTED = 3  # tensors named in an error sentence


@dataclass(frozen=True)
class Parts:
    """A model in the parts that a train step takes, arrays on the mesh.

    Attributes:
        graphdef: structure; with the states it makes the module.
        tuned: what is trained, float32.
        frozen: what is not, in its storage type; empty in full tuning.
        blueprint: what it was built from.
        source: the files that the base was read from; none: it was drawn.
    """

    graphdef: nnx.GraphDef[nnx.Module]
    tuned: nnx.State
    frozen: nnx.State
    blueprint: Blueprint
    source: TensorSource | None

    @property
    def architecture(self) -> Architecture:
        """Sizes and switches of the model."""
        return self.blueprint.architecture

    @property
    def family(self) -> Family:
        """Kind of model."""
        return self.blueprint.family

    def with_compute_dtype(self, dtype: str) -> Parts:
        """The same arrays under a module that computes in another type."""
        compute = replace(self.blueprint.compute, compute_dtype=jnp.dtype(dtype))
        blueprint = replace(self.blueprint, compute=compute)
        return replace(self, blueprint=blueprint, graphdef=blueprint.abstract()[0])


def create(config: Config, mesh: Mesh, blueprint: Blueprint | None = None) -> Parts:
    """The model of a config, its arrays on the mesh in their sharding.

    Args:
        config: sections `model`, `tuning` and `run.seed` are read.
        mesh: of data, fsdp and tensor axes.
        blueprint: of this config, where it was made before.

    Raises:
        InputError: no weights and no architecture given, an unknown family, a dimension that does not divide, a LoRA
            target that matches nothing, tensors missing, left over or of another shape, or an adapter that disagrees
            with the config.
    """
    blueprint = blueprint or blueprint_of(config, describe(config.model))
    graphdef, tuned, frozen = blueprint.abstract()
    shardings = tuple(_shardings(state, mesh) for state in (tuned, frozen))
    key = jax.random.key(config.run.seed)
    path, adapter = config.model.path, config.tuning.lora.adapter if blueprint.lora else None
    source = None if path is None else open_weights(path)
    if source is not None:
        base = frozen if blueprint.lora else tuned
        where = f"weights '{path}'"
        _check_tied(source, blueprint, where)
        base = _read_state(source, base, shardings[1 if blueprint.lora else 0], blueprint, where)
        if not blueprint.lora:
            return Parts(graphdef, base, frozen, blueprint, source)
        frozen = base
    else:
        frozen = _new(lambda key: blueprint.split(key)[2], frozen, shardings[1], mesh)(key)
    if adapter is not None:
        tuned = read_adapter(blueprint, adapter, mesh)
    else:
        # the base's own values are unused under this jit, so XLA drops them
        tuned = _new(lambda key: blueprint.split(key)[1], tuned, shardings[0], mesh)(key)
    return Parts(graphdef, tuned, frozen, blueprint, source)


def read_adapter(blueprint: Blueprint, directory: str | Path, mesh: Mesh) -> nnx.State:
    """The tuned state of a LoRA model from a PEFT directory or hub name; its settings were checked with the blueprint.

    Raises:
        InputError: tensors are missing, left over, or of another shape.
    """
    _, tuned, _ = blueprint.abstract()
    folder = local_weights(directory)
    tensors = folder / ADAPTER_TENSORS
    source = open_tensors(tensors if tensors.exists() else folder)
    return _read_state(source, tuned, _shardings(tuned, mesh), blueprint, f"adapter '{directory}'")


def base_fingerprint(config: Config, source: TensorSource | None) -> str:
    """SHA-256 of what the weights start from: the bytes of their files, or architecture and seed of random ones."""
    if source is not None:
        return source.fingerprint
    origin = json.dumps([config.model.architecture, config.run.seed], sort_keys=True)
    return hashlib.sha256(origin.encode()).hexdigest()


def _shardings(state: nnx.State, mesh: Mesh) -> nnx.State:
    """The state with a sharding in place of every array.

    Raises:
        InputError: a dimension does not divide by its mesh axis.
    """
    flat = [
        sharding_for(variable.get_metadata("axes"), variable.get_value().shape, mesh, f"parameter {path}")
        for path, variable in flat_parameters(state).items()
    ]
    return jax.tree.unflatten(jax.tree.structure(state), flat)


def _new(
    make: Callable[[jax.Array], nnx.State], abstract: nnx.State, shardings: nnx.State, mesh: Mesh
) -> Callable[[jax.Array], nnx.State]:
    """`make`, jitted so that every device draws its part in place."""
    is_small = sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(abstract)) < _SMALL_VALUES
    on_cpu = mesh.devices.flat[0].platform == "cpu"
    # Measured for the adapters of SmolLM2-135M: optimised, this compiles for 3.8 s to run for 0.02 s; as it is written,
    # for 0.7 s to run for 0.1 s
    options = {"xla_backend_optimization_level": 0} if is_small and on_cpu else None
    return jax.jit(make, out_shardings=shardings, compiler_options=options)


def _read_state(
    source: TensorSource, abstract: nnx.State, shardings: nnx.State, blueprint: Blueprint, where: str
) -> nnx.State:
    """The state with arrays from files, each device reading only its part.

    Raises:
        InputError: tensors are missing, left over, of another shape, or of no plain float type.
    """
    shapes = {path: variable.get_value() for path, variable in flat_parameters(abstract).items()}
    names = {path: _as_found(blueprint.names[path], source) for path in shapes}
    _check_tensors(source, names, shapes, blueprint, where)
    arrays = [
        _read_array(source, names[path], shapes[path], sharding)
        for path, sharding in zip(shapes, jax.tree.leaves(shardings), strict=True)
    ]
    return jax.tree.unflatten(jax.tree.structure(abstract), arrays)


def _as_found(name: Name, source: TensorSource) -> Name:
    """The entry under the name that this file uses."""
    present = set(source.names())
    alias = next((alias for alias in name.aliases if alias in present), None)
    return name if name.theirs in present or alias is None else replace(name, theirs=alias)


def _check_tensors(
    source: TensorSource,
    names: Mapping[str, Name],
    shapes: Mapping[str, jax.ShapeDtypeStruct],
    blueprint: Blueprint,
    where: str,
) -> None:
    present = set(source.names())
    their_shapes = {
        theirs: name.their_shape(shapes[path].shape)
        for path, name in names.items()
        for theirs in name.their_names(shapes[path].shape)
    }
    ignored = re.compile("|".join((*blueprint.family.ignored, re.escape(blueprint.family.head))))
    missing = [name for name in their_shapes if name not in present]
    extra = [name for name in source.names() if name not in their_shapes and not ignored.fullmatch(name)]
    reshaped = [
        f"{name} {source.shape(name)} instead of {shape}"
        for name, shape in their_shapes.items()
        if name in present and source.shape(name) != shape
    ]
    other = [
        f"{name} {source.dtype(name)}" for name in their_shapes if name in present and source.dtype(name) not in _FLOATS
    ]
    faults = {
        "missing": missing,
        "not part of this architecture": extra,
        "of another shape": reshaped,
        "of a type other than float32, float16 or bfloat16": other,
    }
    sentences = [f"{len(tensors)} tensors {fault}: {_listed(tensors)}" for fault, tensors in faults.items() if tensors]
    if sentences:
        raise InputError(f"{where}: {'; '.join(sentences)}; give the weights and the config that belong together")


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:_LISTED]) + (" …" if len(names) > _LISTED else "")


def _check_tied(source: TensorSource, blueprint: Blueprint, where: str) -> None:
    """Raises InputError where the config ties head and embedding and the file holds a head of its own."""
    head = blueprint.family.head
    if not blueprint.architecture.is_tied or head not in source.names():
        return
    embedding = _as_found(blueprint.names["embedding.table"], source).theirs
    if embedding not in source.names():
        return  # listed as missing with all the others
    rows = source.shape(head)[0]
    blocks = (slice(start, start + _COMPARED_ROWS) for start in range(0, rows, _COMPARED_ROWS))
    if source.shape(head) != source.shape(embedding) or not all(
        np.array_equal(source.read_slice(head, (block,)), source.read_slice(embedding, (block,))) for block in blocks
    ):
        raise InputError(
            f"{where}: the config ties head and embedding, and {head} differs from {embedding}; set "
            "tie_word_embeddings to false in config.json"
        )


def _read_array(source: TensorSource, name: Name, target: jax.ShapeDtypeStruct, sharding: NamedSharding) -> jax.Array:
    shape = target.shape
    theirs, layer_shape = name.their_names(shape), name.layer_shape(shape)
    read_before: dict[tuple[tuple[int, int], ...], np.ndarray] = {}

    def part(index: tuple[slice, ...] | None) -> np.ndarray:
        assert index is not None, "no part of the array is on this device"
        bounds = tuple(cut.indices(size)[:2] for cut, size in zip(index, shape, strict=True))
        if bounds not in read_before:  # devices that hold the same part share one reading
            read_before[bounds] = _read_part(source, name, theirs, bounds, layer_shape, target.dtype)
        return read_before[bounds]

    return jax.make_array_from_callback(shape, sharding, part)


def _read_part(
    source: TensorSource,
    name: Name,
    theirs: Sequence[str],
    bounds: Sequence[tuple[int, int]],
    layer_shape: Sequence[int],
    dtype: np.dtype[Any],
) -> np.ndarray:
    """One device's part of an array, read layer by layer and rounded to `dtype`."""

    def reader(tensor: str) -> Callable[[tuple[slice, ...]], np.ndarray]:
        return lambda slices: source.read_slice(tensor, slices)

    inner = tuple(slice(*bound) for bound in (bounds[1:] if name.is_stacked else bounds))
    if not name.is_stacked:
        # a view of a file becomes an array of its own; what was read anew is one
        return np.require(name.read_part(reader(theirs[0]), inner, layer_shape), dtype, "W")
    first, last = bounds[0]
    filled = np.empty([stop - start for start, stop in bounds], dtype)
    for layer in range(first, last):
        filled[layer - first] = name.read_part(reader(theirs[layer]), inner, layer_shape)
    return filled
