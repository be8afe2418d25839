"""bfloat16 arrays held as their 16-bit integers where XLA's CPU backend would widen them.

That backend has no bfloat16 gather, dynamic_slice and dynamic_update_slice: it converts the whole array to float32
around each, so a layer scan would convert every stacked weight once a step, and every stacked residual and cache once a
layer. As integers the same bits are read and written in place. Other backends take bfloat16 as it is.
"""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax.ad_checkpoint import checkpoint_name

# names of values that remat policies keep
PRODUCT = "product"
LAYER_INPUT = "layer_input"


def _is_widened(dtype: np.dtype) -> bool:
    return dtype == jnp.bfloat16 and jax.default_backend() == "cpu"


@jax.custom_jvp
def to_bits(x: jax.Array) -> jax.Array:
    """`x`, or its bits (uint16) where it would be widened; bits have no gradient."""
    return jax.lax.bitcast_convert_type(x, jnp.uint16) if _is_widened(x.dtype) else x


@to_bits.defjvp
def _to_bits_jvp(primals: tuple[jax.Array], tangents: tuple[jax.Array]) -> tuple[jax.Array, jax.Array]:
    (x,) = primals
    if _is_widened(x.dtype):
        raise TypeError("bfloat16 parameters of a layer scan have no gradient: keep what is tuned in float32")
    return x, tangents[0]


def from_bits(x: jax.Array) -> jax.Array:
    """What `to_bits` was given."""
    return jax.lax.bitcast_convert_type(x, jnp.bfloat16) if x.dtype == jnp.uint16 else x


def named(x: jax.Array, name: str) -> jax.Array:
    """`x`, named for the remat policy, its bits being what is kept; for use where nothing differentiates through it."""
    if not _is_widened(x.dtype):
        return checkpoint_name(x, name)
    bits = jax.lax.bitcast_convert_type(x, jnp.uint16)
    return jax.lax.bitcast_convert_type(checkpoint_name(bits, name), jnp.bfloat16)


def keep(x: jax.Array, name: str) -> jax.Array:
    """`named`, with the identity's gradient."""
    return _keep(x, name)


@partial(jax.custom_vjp, nondiff_argnums=(1,))
def _keep(x: jax.Array, name: str) -> jax.Array:
    return named(x, name)


def _keep_forward(x: jax.Array, name: str) -> tuple[jax.Array, None]:
    return named(x, name), None


def _keep_backward(name: str, _: None, cotangent: jax.Array) -> tuple[jax.Array]:
    return (cotangent,)


_keep.defvjp(_keep_forward, _keep_backward)
