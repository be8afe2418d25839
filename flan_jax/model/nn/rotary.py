"""Rotary position embedding: queries and keys turned by their positions.

Source: Su et al. 2021, RoFormer (arXiv:2104.09864) section 3.4, in the half-split layout of Hugging Face checkpoints.
"""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int


def rotation(
    positions: Int[Array, "B T"], frequencies: np.ndarray
) -> tuple[Float[Array, "B T Half"], Float[Array, "B T Half"]]:
    """Cosine and sine of every position's angles, float32."""
    # angles in f32: bf16 cannot hold a position above 256
    angles = jnp.expand_dims(positions.astype(jnp.float32), -1) * jnp.asarray(frequencies).reshape(1, 1, -1)
    return jnp.cos(angles), jnp.sin(angles)


def rotate(
    x: Float[Array, "B T N H"], cos: Float[Array, "B T Half"], sin: Float[Array, "B T Half"]
) -> Float[Array, "B T N H"]:
    """`x` with the pairs (i, i + H/2) of its last dimension turned; computed in float32, returned in its type."""
    first, second = jnp.split(x.astype(jnp.float32), 2, axis=-1)
    cos, sin = cos[:, :, None], sin[:, :, None]
    return jnp.concatenate([first * cos - second * sin, second * cos + first * sin], axis=-1).astype(x.dtype)
