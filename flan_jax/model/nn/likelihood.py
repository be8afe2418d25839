"""Log-likelihood of given tokens from hidden states; no batch × length × vocabulary array is made, and no gradient.

Only the wanted positions reach the head: in each row they are brought to the front and taken in chunks of columns, and
the loop ends with the row that wants most. The batch dimension is left whole, so rows stay on their devices.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from flan_jax.model.nn.matmul import product

# Columns of a chunk: rows × 32 × vocabulary float32 logits, 50 MB for 8 rows and 49,152 tokens.
CHUNK = 32


def token_logits(hidden: Float[Array, "*B D"], head: Float[Array, "V D"]) -> Float[Array, "*B V"]:
    """Logits of every token, float32.

    Args:
        hidden: last states in the compute type.
        head: output head in its storage type; it is read in the compute type.
    """
    # accumulated and kept in f32: the softmax over a large vocabulary loses its tail in bf16
    return product(hidden, head.astype(hidden.dtype), ((hidden.ndim - 1,), (1,)), jnp.float32)


def token_log_likelihoods(
    hidden: Float[Array, "B T D"],
    head: Float[Array, "V D"],
    targets: Int[Array, "B T"],
    wanted: Bool[Array, "B T"],
) -> Float[Array, "B T"]:
    """Natural-log likelihood of each wanted target.

    Args:
        hidden: last states in the compute type; position t predicts `targets[:, t]`.
        head: output head.
        targets: int32 token ids; any at positions that are not wanted.
        wanted: where a likelihood is asked for.

    Returns:
        float32; 0 where it is not wanted.
    """
    rows, length = targets.shape
    chunk = min(CHUNK, length)
    num_chunks = -(-length // chunk)
    # stable, so wanted positions come first in their order; padded with the last position up to whole chunks
    order = jnp.argsort(~wanted, axis=1, stable=True)
    order = jnp.pad(order, ((0, 0), (0, num_chunks * chunk - length)), mode="edge")
    needed = (jnp.max(jnp.sum(wanted, axis=1)) + chunk - 1) // chunk

    def score_chunk(index: Int[Array, ""], scores: Float[Array, "B T"]) -> Float[Array, "B T"]:
        columns = jax.lax.dynamic_slice_in_dim(order, index * chunk, chunk, axis=1)
        states = jnp.take_along_axis(hidden, columns[:, :, None], axis=1)
        logits = token_logits(states, head)
        chosen = jnp.take_along_axis(logits, jnp.take_along_axis(targets, columns, axis=1)[:, :, None], axis=2)[:, :, 0]
        found = chosen - jax.nn.logsumexp(logits, axis=2)
        return scores.at[jnp.arange(rows)[:, None], columns].set(found)

    scores = jax.lax.fori_loop(0, needed, score_chunk, jnp.zeros((rows, length), jnp.float32))
    return jnp.where(wanted, scores, jnp.zeros((), jnp.float32))
