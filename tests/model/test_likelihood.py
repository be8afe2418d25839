import jax
import jax.numpy as jnp
import numpy as np
import pytest

from flan_jax.model.nn.likelihood import CHUNK, token_log_likelihoods
from flan_jax.model.nn.matmul import unembed


def likelihoods(hidden, head, targets, is_asked):
    return token_log_likelihoods(lambda states: unembed(states, head), hidden, targets, is_asked)


@pytest.mark.parametrize("length", [5, CHUNK, 2 * CHUNK + 3])
def test_equals_the_whole_log_softmax(length, strict_types):
    rng = np.random.default_rng(0)
    hidden = jnp.asarray(rng.normal(size=(3, length, 8)), jnp.float32)
    head = jnp.asarray(rng.normal(size=(11, 8)), jnp.float32)
    targets = jnp.asarray(rng.integers(0, 11, (3, length)), jnp.int32)
    wanted = jnp.asarray(rng.random((3, length)) < np.array([[0.0], [0.3], [1.0]]))
    found = jax.jit(likelihoods)(hidden, head, targets, wanted)
    whole = jax.nn.log_softmax(jnp.einsum("btd,vd->btv", hidden, head), axis=-1)
    expected = jnp.where(wanted, jnp.take_along_axis(whole, targets[..., None], axis=2)[..., 0], jnp.zeros(()))
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_bfloat16_states_give_float32_sums():
    hidden, head = jnp.ones((1, 4, 8), jnp.bfloat16), jnp.ones((11, 8), jnp.float32)
    found = likelihoods(hidden, head, jnp.zeros((1, 4), jnp.int32), jnp.ones((1, 4), bool))
    assert found.dtype == jnp.float32
    np.testing.assert_allclose(found, -np.log(11), rtol=1e-6)


def test_no_array_holds_all_logits():
    rows, length, width, vocabulary = 2, 512, 8, 1000
    text = (
        jax.jit(likelihoods)
        .lower(
            jnp.zeros((rows, length, width)),
            jnp.zeros((vocabulary, width)),
            jnp.zeros((rows, length), jnp.int32),
            jnp.zeros((rows, length), bool),
        )
        .as_text()
    )
    assert f"tensor<{rows}x{CHUNK}x{vocabulary}xf32>" in text
    assert f"tensor<{rows}x{length}x{vocabulary}xf32>" not in text
