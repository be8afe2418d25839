"""Configs by the name that a user gives: a YAML file, a bundled one, or a run folder."""

from __future__ import annotations

import importlib.resources
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from flan_jax.config import Config
from flan_jax.config_file import load_config
from flan_jax.errors import InputError

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


def bundled_configs() -> dict[str, Path]:
    """The configs that come with the package, by name."""
    folder = importlib.resources.files("flan_jax.configs")
    return {Path(entry.name).stem: Path(str(entry)) for entry in folder.iterdir() if entry.name.endswith(".yaml")}
