"""Instruction tuning on templated task mixtures, in JAX, from a laptop to a pod. See README.md for the way in."""

__version__ = "0.1.0"
