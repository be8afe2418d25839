"""The matrix products of all projections and of the head, with backward passes that stay in the compute type.

XLA's CPU backend has a native bfloat16 kernel only for bf16 × bf16 → f32: asked for bf16 → bf16 it widens both operands
first, at half the speed. Asking for float32 and casting the result back is native, but autodiff then hands the
transposed products a float32 cotangent beside a bf16 operand, which widens again. The custom rule below rounds the
cotangent to the compute type and asks for float32 in both transposes. GPU and TPU accumulate in float32 inside a plain
product already and take that one.

The rule names the gradient of the kernel as well; for a frozen kernel nothing reads it and XLA drops it (held by a test
on the compiled text).
"""

from __future__ import annotations

import math
from functools import partial

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float

Contraction = tuple[tuple[int, ...], tuple[int, ...]]

# fewest rows of the native CPU kernel; below, XLA takes a scalar loop for some shapes (ten times slower at one row)
MIN_ROWS = 8


def product(x: Float[Array, "..."], y: Float[Array, "..."], contract: Contraction, dtype: DTypeLike) -> jax.Array:
    """`x` · `y` over the given dimensions of each, accumulated in float32 and rounded once to `dtype`; no batch.

    It has no gradient rule of its own; see `project`.
    """
    dimensions = (contract, ((), ()))
    rows = math.prod(size for axis, size in enumerate(x.shape) if axis not in contract[0])
    missing = MIN_ROWS - len(x) if rows < MIN_ROWS and 0 not in contract[0] else 0

    def plain(x: jax.Array, y: jax.Array) -> jax.Array:
        return jax.lax.dot_general(x, y, dimensions, preferred_element_type=dtype)

    def wide(x: jax.Array, y: jax.Array) -> jax.Array:
        padded = jnp.pad(x, ((0, missing), *((0, 0),) * (x.ndim - 1))) if missing else x
        result = jax.lax.dot_general(padded, y, dimensions, preferred_element_type=jnp.float32).astype(dtype)
        return result[: len(x)] if missing else result

    return jax.lax.platform_dependent(x, y, cpu=wide, default=plain)


def project(x: Float[Array, "..."], kernel: Float[Array, "..."], contracted: int) -> Float[Array, "..."]:
    """The last `contracted` dimensions of `x` times the first of `kernel`.

    Args:
        x: activations [..., *in] in the compute type.
        kernel: weights [*in, *out] in their storage type; they are read in the type of `x`.
        contracted: how many dimensions `in` has.

    Returns:
        [..., *out] in the type of `x`. The gradient of `kernel` has the storage type, rounded once.
    """
    return _project(x, kernel, contracted)


@partial(jax.custom_vjp, nondiff_argnums=(2,))
def _project(x: jax.Array, kernel: jax.Array, contracted: int) -> jax.Array:
    return _project_forward(x, kernel, contracted)[0]


def _project_forward(x: jax.Array, kernel: jax.Array, contracted: int) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    inner = (tuple(range(x.ndim - contracted, x.ndim)), tuple(range(contracted)))
    return product(x, kernel.astype(x.dtype), inner, x.dtype), (x, kernel)


def _project_backward(
    contracted: int, residuals: tuple[jax.Array, jax.Array], cotangent: jax.Array
) -> tuple[jax.Array, jax.Array]:
    x, kernel = residuals
    leading = x.ndim - contracted
    outer = (tuple(range(leading, cotangent.ndim)), tuple(range(contracted, kernel.ndim)))
    x_gradient = product(cotangent, kernel.astype(x.dtype), outer, x.dtype)
    return x_gradient, _kernel_gradient(x, cotangent, leading, kernel.dtype)


def _kernel_gradient(x: jax.Array, cotangent: jax.Array, leading: int, dtype: DTypeLike) -> jax.Array:
    """The sum over all rows of x ⊗ cotangent, [*in, *out]."""
    rows = (tuple(range(leading)), tuple(range(leading)))
    if x.size <= cotangent.size:
        return product(x, cotangent, rows, dtype)
    # the first operand is the one that is transposed on the way: let it be the small one, as in an adapter's `lora_a`
    outputs = cotangent.ndim - leading
    # the barrier keeps XLA from swapping them back into a form that its CPU backend cannot run (jax 0.10)
    turned = jax.lax.optimization_barrier(product(cotangent, x, rows, dtype))
    return jnp.transpose(turned, (*range(outputs, turned.ndim), *range(outputs)))


_project.defvjp(_project_forward, _project_backward)


def unembed(hidden: Float[Array, "*B D"], table: Float[Array, "V D"]) -> Float[Array, "*B V"]:
    """The product of last states with an output table, float32: logits before a family's own factors and caps.

    Args:
        hidden: last states in the compute type.
        table: in its storage type; it is read in the type of `hidden`.

    Returns:
        float32: the softmax over a large vocabulary loses its tail in bfloat16. The gradient of `table` is summed in
        float32 and has the storage type, rounded once; that of `hidden` has its type.
    """
    return _unembed(hidden, table)


@jax.custom_vjp
def _unembed(hidden: jax.Array, table: jax.Array) -> jax.Array:
    return _unembed_forward(hidden, table)[0]


def _unembed_forward(hidden: jax.Array, table: jax.Array) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    inner = ((hidden.ndim - 1,), (1,))
    return product(hidden, table.astype(hidden.dtype), inner, jnp.float32), (hidden, table)


def _unembed_backward(residuals: tuple[jax.Array, jax.Array], cotangent: jax.Array) -> tuple[jax.Array, jax.Array]:
    hidden, table = residuals
    cotangent = cotangent.astype(hidden.dtype)
    inner = ((cotangent.ndim - 1,), (0,))
    hidden_gradient = product(cotangent, table.astype(hidden.dtype), inner, jnp.float32).astype(hidden.dtype)
    # [D, rows] × [rows, V], both read row by row. The barriers keep the transpositions before and after out of the
    # product: the compiler would fold them in, and jax 0.10 on CPU has no bfloat16 kernel for what comes of it. The
    # first holds only with an axis more, taken off behind it
    rows_rd, rows_rv = (x.reshape(-1, x.shape[-1]) for x in (hidden, cotangent))
    columns_dr = jax.lax.optimization_barrier(rows_rd[None].swapaxes(1, 2))[0]
    table_gradient_dv = jnp.einsum("dr,rv->dv", columns_dr, rows_rv, preferred_element_type=jnp.float32)
    return hidden_gradient, jax.lax.optimization_barrier(table_gradient_dv).T.astype(table.dtype)


_unembed.defvjp(_unembed_forward, _unembed_backward)
