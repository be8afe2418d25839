"""Which folders of the store a config needs, and from what each is made.

The spec of a folder is everything its content depends on, as flat keys.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flan_jax.config import Config
from flan_jax.data.prepare.encode import Encoder, record_kind, row_fit
from flan_jax.data.registry.resolve import Resolved
from flan_jax.data.render.examples import shots_of, training_cap
from flan_jax.data.render.renderer import RENDER_VERSION
from flan_jax.data.spec.source import TRAIN, VALIDATION
from flan_jax.data.spec.task import TaskSpec

SOURCE_VERSION = "task.source.version"


@dataclass(frozen=True)
class Folder:
    """One folder of the store that a config needs."""

    task: TaskSpec
    split: str

    @property
    def path(self) -> Path:
        """Its place within the store."""
        return Path(self.task.folder, self.split)


def needed_folders(resolved: Resolved) -> list[Folder]:
    """The folders a config needs: both splits of training tasks, the validation split of those only evaluated."""
    folders = []
    for name in resolved.train:
        task = resolved.specs[name]
        folders.append(Folder(task, TRAIN))
        if VALIDATION in task.splits:
            folders.append(Folder(task, VALIDATION))
    return folders + [Folder(resolved.specs[name], VALIDATION) for name in (*resolved.held_out, *resolved.asked)]


def folder_spec(folder: Folder, config: Config, encoder: Encoder, *, asks_source: bool = False) -> dict[str, Any]:
    """Everything the content of a folder depends on, as flat keys with JSON values.

    Args:
        folder: the folder.
        config: the run.
        encoder: how the model reads.
        asks_source: asks the source for its version, over a network where it must: for a folder that is to be built.
            Else the version is what is known here, and None where nothing is: a finished store is used without what it
            was made from.

    Raises:
        InputError: the source is asked and cannot be had.
    """
    data, task = config.data, folder.task
    spec: dict[str, Any] = {
        "split": folder.split,
        "kind": record_kind(encoder),
        "form": encoder.fingerprint,
        "tokenizer": encoder.tokenizer.fingerprint,
        "row lengths": row_fit(encoder, config.batch, data).sizes,
        "data.too_long": data.too_long,
        "data.template_mode": data.template_mode,
        "data.options": data.options if task.options_shown is None else ("hidden", "shown")[task.options_shown],
        "data.option_style": data.option_style,
        "data.render_seed": data.render_seed,
        "render version": RENDER_VERSION,
    }
    if folder.split == TRAIN and data.train_on_inputs:
        spec["data.train_on_inputs"] = True
    if folder.split == TRAIN:
        spec |= {"data.max_examples": training_cap(task, data), "data.renderings": data.renderings}
    else:
        spec["data.validation_examples"] = data.validation_examples
    if shots_of(task, data):
        spec |= {"data.shots": shots_of(task, data), "data.shot_tokens": data.shot_tokens}
    version = task.source.version if asks_source else task.source.version_here()
    spec |= _flat("task", task.identity(version))
    return json.loads(json.dumps(spec))  # as it comes back from a manifest: lists, not tuples


def _flat(prefix: str, tree: Mapping[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        flat |= _flat(f"{prefix}.{key}", value) if isinstance(value, Mapping) else {f"{prefix}.{key}": value}
    return flat


def spec_differences(stored: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What differs between two specs, one short text a key."""
    differences = []
    for key in [*now, *(key for key in stored if key not in now)]:
        old, new = stored.get(key), now.get(key)
        is_unknown = key == SOURCE_VERSION and new is None  # the source cannot be read here
        if old != new and not is_unknown:
            is_short = all(isinstance(value, (str, int, float, bool, type(None))) for value in (old, new))
            differences.append(f"{key} ({_short(old)} stored, {_short(new)} now)" if is_short else key)
    return differences


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:12]}…{text[-8:]}"
