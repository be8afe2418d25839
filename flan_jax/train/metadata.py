"""What a checkpoint says of itself: written last, so that its existence means complete, and sealed by its own digest.

A resumed run must agree with it: `check_resume` compares the config fields marked fixed, and the fingerprints of what
the run is made from.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from flan_jax.config import Config, differences
from flan_jax.config_file import parse_config
from flan_jax.errors import InputError
from flan_jax.files.whole import new_file

FILE = "metadata.json"
_DIGEST = "digest"


@dataclass(frozen=True)
class Metadata:
    """A checkpoint apart from its arrays.

    Attributes:
        step: optimizer steps taken.
        position: where the data goes on (`data.position.Position.to_dict`).
        progress: best metric so far and evaluations since (`loop.Progress`).
        config: the resolved config.
        fingerprints: of what the run is made from, by name (base, tokenizer, templates, store).
        metrics: last measured metrics.
        arrays: by name, shape, type and both checksums of every array.
        files: by path within the checkpoint, size in bytes and SHA-256 of every file.
    """

    step: int
    position: dict[str, Any]
    progress: dict[str, Any]
    config: dict[str, Any]
    fingerprints: dict[str, str]
    metrics: dict[str, float]
    arrays: dict[str, dict[str, Any]]
    files: dict[str, dict[str, Any]]

    def to_json(self) -> str:
        """All fields and their digest."""
        tree = asdict(self)
        return json.dumps({**tree, _DIGEST: _digest(tree)}, indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Metadata:
        """What `to_json` wrote.

        Raises:
            ValueError: it is not JSON, its digest does not match, or fields are missing or unknown.
        """
        tree = json.loads(text)
        if not isinstance(tree, dict) or tree.pop(_DIGEST, None) != _digest(tree):
            raise ValueError("its digest does not match")
        names = {field.name for field in fields(cls)}
        if set(tree) != names:
            raise ValueError(f"fields of another version ({', '.join(sorted(names ^ set(tree)))})")
        return cls(**tree)


def _digest(tree: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(tree, sort_keys=True).encode()).hexdigest()


def write_atomically(path: Path, text: str) -> None:
    """Writes a whole file or nothing: under another name, to the disk, then renamed."""
    with new_file(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def check_resume(metadata: Metadata, config: Config, fingerprints: Mapping[str, str], where: str) -> None:
    """Compares a checkpoint with the run that is to go on from it.

    Args:
        metadata: of the checkpoint.
        config: of the run now.
        fingerprints: of what the run is made from now.
        where: names the checkpoint at the beginning of the error.

    Raises:
        InputError: fixed settings or fingerprints differ; the sentence lists each with both values.
    """
    old = parse_config(metadata.config, f"{where}: its config")
    changed = [
        f"{key} was {before!r} and is {now!r}" for key, (before, now) in differences(old, config, "fixed").items()
    ]
    if changed:
        raise InputError(
            f"{where}: was trained with other settings ({'; '.join(changed)}); set them back, or start a new run in "
            "another 'run.dir'"
        )
    names = sorted(metadata.fingerprints.keys() | fingerprints.keys())
    changed = [name for name in names if metadata.fingerprints.get(name) != fingerprints.get(name)]
    if changed:
        raise InputError(
            f"{where}: was trained with other contents of {', '.join(changed)}, though the settings are the same; "
            "bring them back as they were, or start a new run in another 'run.dir'"
        )
