"""The one folder in which this user's copies lie: downloads, remote stores, compiled programs."""

from __future__ import annotations

import os
from pathlib import Path

CACHE_FOLDER = "FLAN_JAX_CACHE"  # environment variable with the folder; else flan-jax in the user's cache folder


def cache_folder(kind: str) -> Path:
    """The folder for copies of one kind: in $FLAN_JAX_CACHE, else $XDG_CACHE_HOME/flan-jax or ~/.cache/flan-jax."""
    root = os.environ.get(CACHE_FOLDER) or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache", "flan-jax")
    return Path(root).expanduser() / kind
