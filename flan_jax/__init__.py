"""Instruction tuning on templated task mixtures, in JAX, from a laptop to a pod. See README.md for the way in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flan_jax.version import __version__

if TYPE_CHECKING:
    from flan_jax.runs.run import Run

__all__ = ["Run", "__version__"]


def __getattr__(name: str) -> object:
    """`Run`, imported when it is asked for: it brings JAX."""
    if name == "Run":
        from flan_jax.runs.run import Run

        return Run
    raise AttributeError(f"module 'flan_jax' has no attribute '{name}'")
