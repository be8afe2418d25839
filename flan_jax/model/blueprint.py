"""A model without its arrays: which parameters a config asks for, and how they will compute.

Made from the config and a description of the architecture alone; no weights are opened and no device is used.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from flan_jax.config import Config
from flan_jax.model.adapters.lora import LoRAParam, LoraSettings
from flan_jax.model.adapters.peft import check_adapter
from flan_jax.model.family import Architecture, Family, dropout_rate
from flan_jax.model.files import Description
from flan_jax.model.names import Name, by_path
from flan_jax.model.nn.layers import ComputeSettings


@dataclass(frozen=True)
class Blueprint:
    """A model without its arrays: all that decides which parameters there are and how they compute.

    Attributes:
        description: what the model is.
        compute: storage type of base parameters and how the model computes.
        lora: adapters; none: full tuning, every parameter is tuned.
    """

    description: Description
    compute: ComputeSettings
    lora: LoraSettings | None

    @property
    def family(self) -> Family:
        """Kind of model."""
        return self.description.family

    @property
    def architecture(self) -> Architecture:
        """Its sizes and switches."""
        return self.description.architecture

    @cached_property
    def names(self) -> Mapping[str, Name]:
        """Name table by parameter path, adapters included."""
        return by_path(self.family.names(self.architecture))

    @property
    def has_dropout(self) -> bool:
        """Whether training drops anything, so that `hidden` needs a key."""
        return dropout_rate(self.architecture) > 0 or (self.lora is not None and self.lora.dropout > 0)

    def split(self, key: jax.Array) -> tuple[nnx.GraphDef[nnx.Module], nnx.State, nnx.State]:
        """A new model from a key, as (graph, tuned, frozen)."""
        base_key, adapter_key = jax.random.split(key)
        rngs = nnx.Rngs(params=base_key, lora=adapter_key)
        model = self.family.module(self.architecture, rngs=rngs, settings=self.compute, lora=self.lora)
        # adapters first: nnx.Param matches its subclass too
        graphdef, tuned, frozen = nnx.split(model, LoRAParam if self.lora else nnx.Param, ...)
        return graphdef, tuned, frozen

    def abstract(self) -> tuple[nnx.GraphDef[nnx.Module], nnx.State, nnx.State]:
        """(graph, tuned, frozen) with shapes and types in place of arrays."""
        graphs: list[nnx.GraphDef[nnx.Module]] = []

        def states(key: jax.Array) -> tuple[nnx.State, nnx.State]:
            graph, tuned, frozen = self.split(key)
            graphs.append(graph)
            return tuned, frozen

        tuned, frozen = jax.eval_shape(states, jax.random.key(0))
        return graphs[0], tuned, frozen


def blueprint_of(config: Config, description: Description) -> Blueprint:
    """How the model of a description is built for a config; reads no weights.

    Raises:
        InputError: as `create`, for all that shows without weights.
    """
    model, tuning = config.model, config.tuning
    is_full = tuning.method == "full"
    compute = ComputeSettings(
        compute_dtype=jnp.dtype(model.compute_dtype),
        # trained weights keep float32: updates below bf16's resolution would be lost
        base_dtype=jnp.dtype("float32" if is_full else model.frozen_dtype),
        remat=model.remat,
        unroll=model.scan_unroll,
    )
    blueprint = Blueprint(description, compute, None)
    if is_full:
        return blueprint
    modules = projections(blueprint)
    if tuning.lora.adapter is not None:
        check_adapter(tuning.lora, tuning.lora.adapter, blueprint.names.values(), _depths(blueprint))
    return replace(blueprint, lora=LoraSettings.from_config(tuning.lora, modules))


def projections(blueprint: Blueprint) -> dict[str, str]:
    """Every projection that can have an adapter: our path → Hugging Face module name."""
    return {
        path.removesuffix(".kernel"): name.theirs.removesuffix(".weight")
        for path, name in blueprint.names.items()
        if name.is_kernel
    }


def flat_parameters(state: nnx.State) -> dict[str, nnx.Param[Any]]:
    """Parameters of a state by dotted path, in one order everywhere."""
    return {".".join(map(str, path)): variable for path, variable in nnx.to_flat_state(state)}


def _depths(blueprint: Blueprint) -> dict[str, int]:
    """Number of layers by projection path."""
    _, parameters, _ = blueprint.abstract()
    flat = flat_parameters(parameters)
    return {path: flat[f"{path}.kernel"].get_value().shape[0] for path in projections(blueprint)}
