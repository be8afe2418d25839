"""Frozen dataclasses of arrays as pytrees, whose annotations are held against what our code puts in, not JAX.

JAX takes a pytree apart and puts it together again with shapes, shardings or bare marks in place of its arrays.
`jax.tree_util.register_dataclass` calls the constructor for that; here it is passed by.
"""

from __future__ import annotations

import dataclasses
from typing import Any, TypeVar, cast

import jax

T = TypeVar("T")


def array_tree(cls: type[T]) -> type[T]:
    """Registers a dataclass as a pytree; fields with the metadata `static` are structure, all others children."""
    fields = dataclasses.fields(cast(Any, cls))
    children = [field.name for field in fields if not field.metadata.get("static")]
    statics = [field.name for field in fields if field.metadata.get("static")]

    def flatten_with_keys(tree: T) -> tuple[list[tuple[Any, Any]], tuple[Any, ...]]:
        keyed = [(jax.tree_util.GetAttrKey(name), getattr(tree, name)) for name in children]
        return keyed, tuple(getattr(tree, name) for name in statics)

    def unflatten(structure: tuple[Any, ...], leaves: Any) -> T:
        tree = object.__new__(cls)
        for name, value in zip((*statics, *children), (*structure, *leaves), strict=True):
            object.__setattr__(tree, name, value)
        return tree

    def flatten(tree: T) -> tuple[list[Any], tuple[Any, ...]]:
        return [getattr(tree, name) for name in children], tuple(getattr(tree, name) for name in statics)

    jax.tree_util.register_pytree_with_keys(cls, flatten_with_keys, unflatten, flatten)
    return cls
