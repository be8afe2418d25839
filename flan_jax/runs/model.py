"""A run's model: what can be refused before weights are read, and what a run is made from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import jax
from jax.sharding import Mesh

from flan_jax.config import Config
from flan_jax.data.prepare.opened import Prepared
from flan_jax.data.store.manifest import fingerprint
from flan_jax.errors import InputError
from flan_jax.model.blueprint import Blueprint, blueprint_of
from flan_jax.model.load import Parts, base_fingerprint, create
from flan_jax.parallel.mesh import make_mesh
from flan_jax.runs.open import Text
from flan_jax.train.checkpoint import Checkpoints
from flan_jax.train.step import check_batch

UNTUNED, LATEST = "untuned", "latest"


@dataclass(frozen=True)
class OpenModel:
    """A model ready to compute.

    Attributes:
        parts: structure and weights.
        mesh: where they lie.
        label: which weights, as shown to the user: "untuned" or "step N".
        step: of the checkpoint; none: untuned.
    """

    parts: Parts
    mesh: Mesh
    label: str
    step: int | None


def checkpoints_dir(config: Config) -> Path:
    """Where a run's checkpoints are."""
    return Path(config.run.dir).absolute() / "checkpoints"


def check_model(config: Config, text: Text) -> tuple[Blueprint, Mesh]:
    """The blueprint and mesh of a config's model, after all that can be refused without data or weights.

    Raises:
        InputError: a LoRA target that matches nothing, a mesh or a batch that does not divide.
    """
    blueprint = blueprint_of(config, text.model)
    mesh = make_mesh(config.mesh)
    check_batch(config.batch.rows, config.batch.accumulation, mesh)
    return blueprint, mesh


def fingerprints(config: Config, text: Text, prepared: Prepared, parts: Parts) -> dict[str, str]:
    """What a run is made from; a resumed run must find the same."""
    stores = {name: store.manifest for name, store in prepared.train.items()}
    return {
        "base weights": base_fingerprint(config, parts.source),
        "tokenizer": text.encoder.fingerprint,
        "templates": fingerprint({name: manifest.spec_fingerprint for name, manifest in stores.items()}),
        "store": fingerprint({name: manifest.content for name, manifest in stores.items()}),
    }


def open_model(config: Config, text: Text, *, checkpoint: str, say: Callable[[str], None]) -> OpenModel:
    """The model of a run at a checkpoint: latest, best, untuned or a step.

    `latest` of a run that has no checkpoint yet is the untuned model, and that is said.

    Raises:
        InputError: the checkpoint is not there or damaged, or the weights are refused.
    """
    which = _which(checkpoint)
    mesh = make_mesh(config.mesh)
    parts = create(config, mesh, blueprint_of(config, text.model))
    folder = checkpoints_dir(config)
    if which == UNTUNED or (which == LATEST and not folder.is_dir()):
        if which != UNTUNED:
            say(f"no checkpoint in {config.run.dir}: this is the untuned model")
        return OpenModel(parts, mesh, UNTUNED, None)
    abstract = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=x.sharding), parts.tuned)
    with Checkpoints(folder, config=config, fingerprints={}) as checkpoints:
        tuned, metadata, damaged = checkpoints.restore_tuned(which, abstract)
    for damage in damaged:
        say(f"checkpoint {damage.name} is passed over: {damage.reason}")
    return OpenModel(replace(parts, tuned=tuned), mesh, f"step {metadata.step}", metadata.step)


def _which(checkpoint: str) -> Literal["untuned", "latest", "best"] | int:
    if checkpoint.isdecimal():
        return int(checkpoint)
    for name in ("untuned", "latest", "best"):
        if checkpoint == name:
            return name
    raise InputError(f"--checkpoint {checkpoint}: must be latest, best, untuned or a step number")
