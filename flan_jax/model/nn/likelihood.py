"""Log-likelihood of given tokens from hidden states; no batch × length × vocabulary array is made, and no gradient.

Only the positions that are asked for reach the head: in each row they are brought to the front and taken in chunks of
columns, and the loop ends with the row that asks most. The batch dimension is left whole, so rows stay on their
devices.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

# Columns of a chunk: rows × 32 × vocabulary float32 logits, 50 MB for 8 rows and 49,152 tokens.
CHUNK = 32


def token_log_likelihoods(
    logits: Callable[[jax.Array], jax.Array],
    hidden: Float[Array, "B T D"],
    targets: Int[Array, "B T"],
    is_asked: Bool[Array, "B T"],
) -> Float[Array, "B T"]:
    """Natural-log likelihood of each target that is asked for.

    Args:
        logits: the model's, of states [B, C, D], float32 [B, C, V].
        hidden: last states in the compute type; position t predicts `targets[:, t]`.
        targets: int32 token ids; any at positions that are not asked for.
        is_asked: where a likelihood is asked for.

    Returns:
        float32; 0 elsewhere.
    """
    rows, length = targets.shape
    chunk = min(CHUNK, length)
    num_chunks = -(-length // chunk)
    # stable, so positions asked for come first in their order; padded with the last position up to whole chunks
    order = jnp.argsort(~is_asked, axis=1, stable=True)
    order = jnp.pad(order, ((0, 0), (0, num_chunks * chunk - length)), mode="edge")
    needed = (jnp.max(jnp.sum(is_asked, axis=1)) + chunk - 1) // chunk

    def score_chunk(index: Int[Array, ""], scores: Float[Array, "B T"]) -> Float[Array, "B T"]:
        columns = jax.lax.dynamic_slice_in_dim(order, index * chunk, chunk, axis=1)
        states = jnp.take_along_axis(hidden, columns[:, :, None], axis=1)
        logits_bcv = logits(states)
        chunk_targets = jnp.take_along_axis(targets, columns, axis=1)
        chosen = jnp.take_along_axis(logits_bcv, chunk_targets[:, :, None], axis=2)[:, :, 0]
        likelihoods = chosen - jax.nn.logsumexp(logits_bcv, axis=2)
        return scores.at[jnp.arange(rows)[:, None], columns].set(likelihoods)

    scores = jax.lax.fori_loop(0, needed, score_chunk, jnp.zeros((rows, length), jnp.float32))
    return jnp.where(is_asked, scores, jnp.zeros((), jnp.float32))
