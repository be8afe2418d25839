"""Choosing the next token from logits: the likeliest, or a draw from a trimmed distribution."""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key


@dataclass(frozen=True)
class Sampling:
    """How tokens are drawn.

    Attributes:
        temperature: 0 takes the likeliest token; else the logits are divided by it.
        top_k: draw from the k likeliest tokens; 0: no limit.
        top_p: draw from the likeliest tokens that together reach this probability; 1: no limit.
        seed: of the draws; one prompt's draws depend on it and the prompt's place in the list alone.
    """

    temperature: float
    top_k: int
    top_p: float
    seed: int


GREEDY = Sampling(temperature=0.0, top_k=0, top_p=1.0, seed=0)


def choose_tokens(logits: Float[Array, "B V"], keys: Key[Array, "B"], sampling: Sampling) -> Int[Array, "B"]:
    """The next token of every row.

    Temperature comes first, then top-k, then top-p over what is left, as in Hugging Face's generation.

    Args:
        logits: float32.
        keys: one a row; not read where the likeliest token is taken.
        sampling: how to draw.

    Returns:
        int32.
    """
    if sampling.temperature == 0:
        return jnp.argmax(logits, axis=-1).astype(jnp.int32)
    logits = logits / jnp.asarray(sampling.temperature, logits.dtype)
    if sampling.top_k == 0 and sampling.top_p == 1:
        return jax.vmap(jax.random.categorical)(keys, logits).astype(jnp.int32)
    vocabulary = logits.shape[-1]
    count = min(sampling.top_k or vocabulary, vocabulary)
    likeliest, tokens = jax.lax.top_k(logits, count)
    probabilities = jax.nn.softmax(likeliest, axis=-1)
    # the token with which the sum reaches top_p is kept, so at least one always is
    before = jnp.cumsum(probabilities, axis=-1) - probabilities
    trimmed = jnp.where(before < sampling.top_p, likeliest, -jnp.inf)
    drawn = jax.vmap(jax.random.categorical)(keys, trimmed)
    return jnp.take_along_axis(tokens, drawn[:, None], axis=-1)[:, 0].astype(jnp.int32)
