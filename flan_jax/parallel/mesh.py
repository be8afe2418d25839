"""The device mesh (data × fsdp × tensor), and the one table that maps names of dimensions to its axes.

Every parameter and edge activation names its dimensions; `RULES` says which mesh axis splits each. All three mesh axes
are always there, of size 1 where unused. A dimension that does not divide is an error, never silent replication.

Notation for comments elsewhere: x[B_data,fsdp, T, D] is split over data and fsdp along B.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import AbstractMesh, AxisType, Mesh, NamedSharding, PartitionSpec

from flan_jax.config import MeshConfig
from flan_jax.errors import InputError

AXES = ("data", "fsdp", "tensor")

BATCH = ("data", "fsdp")

# name of a dimension → mesh axis (or axes) that splits it; none: whole on every device
RULES: dict[str, str | tuple[str, ...] | None] = {
    # parameters
    "layers": None,
    "vocab": "tensor",
    "embed": "fsdp",
    "mlp": "tensor",
    "heads": "tensor",
    "kv_heads": "tensor",
    "head_dim": None,
    "rank": None,
    "norm": None,
    "buckets": None,
    # activations
    "batch": BATCH,
    "length": None,
    "act_embed": None,
}


def make_mesh(config: MeshConfig, devices: Sequence[Any] | None = None) -> Mesh:
    """The mesh of a config, over `devices` (all of them by default).

    Rows of one process are contiguous along data × fsdp, so that a host reads one slice of the batch.

    Raises:
        InputError: the sizes need more devices than there are, leave a process without work, or do not divide.
    """
    devices = list(jax.devices() if devices is None else devices)
    shape = mesh_shape(config, len(devices))
    used = int(np.prod(shape))
    if used < len(devices) and len({device.process_index for device in devices}) > 1:
        raise InputError(
            f"mesh {_text(shape)} uses {used} of {len(devices)} devices of several processes; use all of them "
            "(mesh.data=-1)"
        )
    devices = devices[:used]
    mesh = jax.make_mesh(shape, AXES, axis_types=(AxisType.Auto,) * 3, devices=devices)
    if not _is_contiguous(mesh):
        ordered = sorted(devices, key=lambda device: (device.process_index, device.id))
        mesh = Mesh(np.array(ordered).reshape(shape), AXES, axis_types=(AxisType.Auto,) * 3)
    return mesh


def mesh_shape(config: MeshConfig, device_count: int) -> tuple[int, int, int]:
    """Sizes of data, fsdp and tensor, with -1 filled in.

    Raises:
        InputError: as `make_mesh`.
    """
    if config.fsdp < 1 or config.tensor < 1 or config.data == 0:
        raise InputError(
            f"mesh {_text((config.data, config.fsdp, config.tensor))}: sizes must be at least 1 (mesh.data may be -1)"
        )
    inner = config.fsdp * config.tensor
    if config.data == -1:
        if device_count % inner:
            raise InputError(
                f"mesh.fsdp={config.fsdp} × mesh.tensor={config.tensor} does not divide the {device_count} devices; "
                "lower one of them, or give mesh.data"
            )
        return device_count // inner, config.fsdp, config.tensor
    shape = (config.data, config.fsdp, config.tensor)
    if config.data * inner > device_count:
        raise InputError(
            f"mesh {_text(shape)} needs {config.data * inner} devices, {device_count} found; lower mesh.data, "
            "mesh.fsdp or mesh.tensor"
        )
    return shape


def _text(shape: Sequence[int]) -> str:
    return " × ".join(f"{axis} {size}" for axis, size in zip(AXES, shape, strict=True))


def _is_contiguous(mesh: Mesh) -> bool:
    """Whether each process holds one run of places along data × fsdp."""
    places = mesh.devices.reshape(-1, mesh.shape["tensor"])
    for process in {device.process_index for device in mesh.devices.flat}:
        rows = [i for i, row in enumerate(places) if any(device.process_index == process for device in row)]
        if rows != list(range(rows[0], rows[-1] + 1)):
            return False
    return True


def spec_for(axes: Sequence[str], shape: Sequence[int], mesh: Mesh | AbstractMesh, name: str) -> PartitionSpec:
    """How an array is split: its named dimensions through `RULES`.

    Raises:
        InputError: a dimension does not divide by its mesh axis; `name` opens the sentence.
    """
    assert len(axes) == len(shape), f"{name}: {len(axes)} axis names for {len(shape)} dimensions"
    entries = [RULES[axis] for axis in axes]
    for axis, size, entry in zip(axes, shape, entries, strict=True):
        parts = 1 if entry is None else int(np.prod([mesh.shape[a] for a in _tuple(entry)]))
        if size % parts:
            raise InputError(
                f"{name} {tuple(shape)}: dimension '{axis}' of size {size} does not divide by mesh axis "
                f"{'×'.join(_tuple(entry))} of size {parts}; choose a size of {size}'s divisors"
            )
    return PartitionSpec(*entries)


def _tuple(entry: str | tuple[str, ...] | None) -> tuple[str, ...]:
    return () if entry is None else (entry,) if isinstance(entry, str) else entry


def sharding_for(axes: Sequence[str], shape: Sequence[int], mesh: Mesh | AbstractMesh, name: str) -> NamedSharding:
    """`spec_for` as a sharding on `mesh`."""
    return NamedSharding(mesh, spec_for(axes, shape, mesh, name))


def constrain(x: jax.Array, axes: Sequence[str]) -> jax.Array:
    """`x`, held to the sharding of its named dimensions on the mesh of `jax.set_mesh`; without a mesh, `x` itself."""
    mesh = jax.sharding.get_abstract_mesh()
    if mesh.empty or mesh.size == 1:
        return x
    return jax.lax.with_sharding_constraint(x, spec_for(axes, x.shape, mesh, "activation"))


def batch_sharding(mesh: Mesh) -> NamedSharding:
    """Rows over data × fsdp, whole otherwise."""
    return NamedSharding(mesh, PartitionSpec(BATCH))


def host_rows(mesh: Mesh, rows: int) -> slice:
    """The rows of a global batch that this process feeds.

    Raises:
        InputError: `rows` does not divide by data × fsdp.
    """
    parts = mesh.shape["data"] * mesh.shape["fsdp"]
    if rows % parts:
        raise InputError(
            f"a batch of {rows} rows does not divide over mesh data × fsdp = {parts} devices; "
            f"use a multiple of {parts} rows"
        )
    slices = batch_sharding(mesh).addressable_devices_indices_map((rows,)).values()
    bounds = [index[0].indices(rows) for index in slices if index is not None]
    return slice(min(start for start, _, _ in bounds), max(stop for _, stop, _ in bounds))


def place_batch(host_batch: Mapping[str, np.ndarray], mesh: Mesh, rows: int) -> dict[str, jax.Array]:
    """Global arrays of `rows` rows on the mesh, from this process's rows of them (`host_rows`)."""
    own = host_rows(mesh, rows)
    sharding = batch_sharding(mesh)
    placed = {}
    for name, array in host_batch.items():
        assert len(array) == own.stop - own.start, f"{name}: {len(array)} rows, this process feeds {own}"
        placed[name] = jax.make_array_from_process_local_data(sharding, array, (rows, *array.shape[1:]))
    return placed
