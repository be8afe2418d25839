"""Instruction tuning on templated task mixtures, in JAX, from a laptop to a pod. See README.md for the way in.

`Run` does what the commands do, `Batches` gives their packed batches to any trainer; docs/python-api.md has both.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flan_jax.version import __version__

if TYPE_CHECKING:
    from flan_jax.runs.batches import Batches
    from flan_jax.runs.run import Run

__all__ = ["Batches", "Run", "__version__"]


def __getattr__(name: str) -> object:
    """`Run` and `Batches`, imported when they are asked for: the first brings JAX, the second no more than its data."""
    if name == "Run":
        from flan_jax.runs.run import Run

        return Run
    if name == "Batches":
        from flan_jax.runs.batches import Batches

        return Batches
    raise AttributeError(f"module 'flan_jax' has no attribute '{name}'")
