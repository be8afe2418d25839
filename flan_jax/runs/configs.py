"""Configs by the name that a user gives: a YAML file, a bundled one, or a run folder.

Read, a config is what its file says; opened, each of its hub names stands for one commit (`org/name@commit`). So a
run's folder and its child processes have it, and a run is made from the same files throughout, wherever a branch goes.
"""

from __future__ import annotations

import importlib.resources
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from flan_jax.config import Config, value_at
from flan_jax.config_file import load_config
from flan_jax.errors import InputError
from flan_jax.weights.hub import hub_name, pinned

HUB_SETTINGS = ("model.path", "model.tokenizer", "tuning.lora.adapter")  # take hub names
RESOLVED_CONFIG = "config.yaml"  # in the run folder: the config with every default filled in


@dataclass(frozen=True)
class ConfigFile:
    """A config and the words that name it on the command line, for a child process."""

    config: Config
    arguments: tuple[str, ...]


def read_config(name: str, overrides: Sequence[str]) -> ConfigFile:
    """The config of a YAML file, or of a bundled one by its bare name.

    Raises:
        InputError: no such file, or its content is refused.
    """
    path = Path(name)
    if not path.exists() and path.parent == Path() and not path.suffix:
        bundled = bundled_configs()
        if name not in bundled:
            raise InputError(f"'{name}': no such file or run folder; bundled configs are {', '.join(sorted(bundled))}")
        path = bundled[name]
    return ConfigFile(load_config(path, overrides), (str(path), *overrides))


def read_run_or_config(name: str, overrides: Sequence[str]) -> ConfigFile:
    """The config of a run folder, or as `read_config`; the run folder may have moved.

    Raises:
        InputError: a folder without a run in it, or as `read_config`.
    """
    path = Path(name)
    if not path.is_dir():
        return read_config(name, overrides)
    file = path / RESOLVED_CONFIG
    if not file.exists():
        raise InputError(f"run folder '{path}': holds no {RESOLVED_CONFIG}, so no run was started there; name a run")
    words = [f"run.dir={path}", *overrides]
    return ConfigFile(load_config(file, words), (str(file), *words))


def open_config(name: str, overrides: Sequence[str]) -> ConfigFile:
    """As `read_config`, every hub name at a commit: the run's own where its folder has one, else the newest.

    Raises:
        InputError: as `read_config`, or a hub name cannot be resolved.
    """
    return _at_commits(read_config(name, overrides))


def open_run_or_config(name: str, overrides: Sequence[str]) -> ConfigFile:
    """As `read_run_or_config`, every hub name at a commit.

    Raises:
        InputError: as `read_run_or_config`, or a hub name cannot be resolved.
    """
    return _at_commits(read_run_or_config(name, overrides))


def _at_commits(source: ConfigFile) -> ConfigFile:
    names = {key: value_at(source.config, key) for key in HUB_SETTINGS}
    names = {key: name for key, name in names.items() if name is not None and hub_name(name)}
    if not names:
        return source
    file = Path(source.config.run.dir) / RESOLVED_CONFIG
    begun = load_config(file) if file.exists() else None
    words = list(source.arguments[1:])
    for key, name in names.items():
        before = value_at(begun, key) if begun else None
        # a run keeps the commit that it began with: a branch may have moved on since
        goes_on = before is not None and before.startswith(f"{name}@")
        words.append(f"{key}={before if goes_on else pinned(name)}")
    return ConfigFile(load_config(source.arguments[0], words), (source.arguments[0], *words))


def bundled_configs() -> dict[str, Path]:
    """The configs that come with the package, by name."""
    folder = importlib.resources.files("flan_jax.configs")
    return {Path(entry.name).stem: Path(str(entry)) for entry in folder.iterdir() if entry.name.endswith(".yaml")}
