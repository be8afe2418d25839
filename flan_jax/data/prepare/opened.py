"""What a config needs from the token store: which folders, made from what, and opening them.

The spec of a folder is everything its content depends on, as flat keys. `open_prepared` computes it anew and compares:
a store made from anything else is refused by name, with what differs.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from flan_jax.config import Config
from flan_jax.data.prepare.encode import Encoder
from flan_jax.data.prepare.needed import Folder, folder_spec, needed_folders, spec_differences
from flan_jax.data.registry.resolve import Resolved
from flan_jax.data.spec.source import TRAIN
from flan_jax.data.store.manifest import is_finished, load_manifest
from flan_jax.data.store.root import open_root
from flan_jax.data.store.shards import EVALUATION_NAME
from flan_jax.data.store.store import ReaderPool, Store
from flan_jax.errors import InputError
from flan_jax.files.hashes import hash_bytes


@dataclass(frozen=True)
class Prepared:
    """The opened store of a run.

    Attributes:
        resolved: the mixture.
        train: the store of each training task, in the mixture's order.
        evaluation: the evaluation.jsonl of each task with a validation split, held-out ones last.
    """

    resolved: Resolved
    train: dict[str, Store]
    evaluation: dict[str, Path]


def open_prepared(config: Config, encoder: Encoder, resolved: Resolved) -> Prepared:
    """Opens what `prepare` built for this config.

    Raises:
        InputError: a folder is missing, damaged, or was made from something else.
    """
    root = open_root(config)
    readers = ReaderPool()
    train: dict[str, Store] = {}
    evaluation: dict[str, Path] = {}
    for folder in needed_folders(resolved):
        directory = root.folder(folder.path)
        _refuse_stale(directory, folder, config, encoder)
        if folder.split == TRAIN:
            train[folder.task.name] = Store(directory, readers)
        else:
            evaluation[folder.task.name] = _checked_questions(directory)
    return Prepared(resolved, train, evaluation)


def _refuse_stale(directory: Path, folder: Folder, config: Config, encoder: Encoder) -> None:
    where = f"token store of task '{folder.task.name}', split '{folder.split}'"
    if not is_finished(directory):
        raise InputError(f"{where}: is not there ('{directory}'); run 'flan-jax prepare CONFIG'")
    differences = spec_differences(load_manifest(directory).spec, folder_spec(folder, config, encoder))
    if differences:
        raise InputError(
            f"{where}: was prepared from something else: {'; '.join(differences)}; run 'flan-jax prepare CONFIG' to "
            "build it again"
        )


def _checked_questions(directory: Path) -> Path:
    [file] = load_manifest(directory).files
    path = directory / EVALUATION_NAME
    if hash_bytes(path) != file.sha256:
        raise InputError(
            f"token store '{directory}': '{file.name}' does not match its checksum; delete this folder and run "
            "'flan-jax prepare CONFIG' again"
        )
    return path
