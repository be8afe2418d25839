import jax
import jax.numpy as jnp
import numpy as np
import pytest

from flan_jax.generate.sampling import GREEDY, Sampling, choose_tokens

PROBABILITIES = np.array([0.05, 0.4, 0.15, 0.3, 0.1], np.float32)


def shares(sampling: Sampling, draws: int = 4000) -> np.ndarray:
    logits = jnp.broadcast_to(jnp.log(PROBABILITIES), (draws, 5))
    tokens = choose_tokens(logits, jax.random.split(jax.random.key(0), draws), sampling)
    assert tokens.dtype == jnp.int32
    return np.bincount(np.asarray(tokens), minlength=5) / draws


def expected(kept, temperature=1.0) -> np.ndarray:
    powered = np.where(np.isin(np.arange(5), kept), PROBABILITIES ** (1 / temperature), 0)
    return powered / powered.sum()


@pytest.mark.parametrize(
    ("sampling", "shares_expected"),
    [
        (Sampling(1.0, 0, 1.0, 0), expected([0, 1, 2, 3, 4])),
        (Sampling(0.5, 0, 1.0, 0), expected([0, 1, 2, 3, 4], 0.5)),
        (Sampling(1.0, 2, 1.0, 0), expected([1, 3])),
        (Sampling(1.0, 99, 1.0, 0), expected([0, 1, 2, 3, 4])),
        # 0.4 + 0.3 is below 0.75, so the third is kept with which the sum reaches it
        (Sampling(1.0, 0, 0.75, 0), expected([1, 3, 2])),
        (Sampling(1.0, 0, 0.01, 0), expected([1])),
        # among the two likeliest the first alone has 0.57
        (Sampling(1.0, 2, 0.5, 0), expected([1])),
        (GREEDY, expected([1])),
    ],
)
def test_draws_follow_the_trimmed_distribution(sampling, shares_expected, strict_types):
    np.testing.assert_allclose(shares(sampling), shares_expected, atol=0.03)
