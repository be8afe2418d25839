import jax
import jax.numpy as jnp
import numpy as np
import pytest

from flan_jax.model.nn.attention import Visibility, attend

HEADS, KV_HEADS, WIDTH = 6, 3, 8


def plain(query, key, value, seen, scale, bias):
    """The same by its definition, with all scores at once."""
    key, value = (np.repeat(x, HEADS // KV_HEADS, axis=2) for x in (key, value))
    scores = jnp.einsum("btnh,bsnh->bnts", query, key) * scale
    scores = scores + (0 if bias is None else bias[None])
    weights = jax.nn.softmax(jnp.where(seen[:, None], scores, -1e30), axis=-1)
    return jnp.einsum("bnts,bsnh->btnh", weights, value)


def example(length, keys, causal, branches):
    """Operands, who sees whom, and the same as a mask made by loops."""
    rng = np.random.default_rng(0)
    shapes = [(2, length, HEADS, WIDTH), (2, keys, KV_HEADS, WIDTH), (2, keys, KV_HEADS, WIDTH)]
    operands = [jnp.asarray(rng.standard_normal(shape, np.float32)) for shape in shapes]
    key_segments = np.sort(rng.integers(0, 4, (2, keys)), axis=1).astype(np.int32)
    query_segments = key_segments if causal else np.sort(rng.integers(0, 4, (2, length)), axis=1).astype(np.int32)
    key_segments[:, :4] = query_segments[:, :4] = np.arange(4)  # every segment has a key: none is empty
    branch = rng.integers(0, 3, (2, length)).astype(np.int32) if branches else None
    seen = np.zeros((2, length, keys), bool)
    for row, t, s in np.ndindex(seen.shape):
        same = query_segments[row, t] == key_segments[row, s]
        open_branch = branch is None or branch[row, s] in (0, branch[row, t])
        seen[row, t, s] = same and open_branch and (not causal or s <= t)
    branches = None if branch is None else jnp.asarray(branch)
    segments = jnp.asarray(query_segments), jnp.asarray(key_segments)
    return operands, Visibility(*segments, branches, branches, causal=causal), seen


@pytest.mark.parametrize(
    ("length", "keys", "causal", "branches", "with_bias"),
    [(150, 150, True, True, False), (130, 70, False, False, True), (140, 140, True, False, True)],
)
def test_chunks_equal_the_whole_and_their_gradients(length, keys, causal, branches, with_bias, strict_types):
    operands, visibility, seen = example(length, keys, causal, branches)
    rng = np.random.default_rng(1)
    bias = rng.standard_normal((HEADS, length, keys), np.float32) if with_bias else None
    weights = rng.standard_normal(operands[0].shape, np.float32)

    def total(function):
        def loss(query, key, value, bias):
            return jnp.sum(function(query, key, value, bias) * weights)

        arguments = (0, 1, 2, 3) if with_bias else (0, 1, 2)
        return jax.jit(jax.value_and_grad(loss, arguments))(*operands, bias)

    found = total(lambda q, k, v, b: attend(q, k, v, visibility, scale=0.3, bias=b))
    with jax.numpy_rank_promotion("allow"):
        expected = total(lambda q, k, v, b: plain(q, k, v, seen, 0.3, b))
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)


def test_a_query_that_sees_nothing_gives_numbers():
    operands, _, _ = example(8, 8, False, False)
    visibility = Visibility(jnp.full((2, 8), 1, jnp.int32), jnp.full((2, 8), 2, jnp.int32))
    found, pull = jax.vjp(lambda *x: attend(*x, visibility, scale=1.0), *operands)
    assert np.isfinite(found).all()
    assert all(np.isfinite(gradient).all() for gradient in pull(found))


def test_no_array_of_all_scores_is_made():
    """Neither pass holds all T × S scores of a head, with the weights' types of training."""
    length = 1024
    query = jax.ShapeDtypeStruct((1, length, 2, 8), jnp.bfloat16)
    segments = jax.ShapeDtypeStruct((1, length), jnp.int32)

    def loss(query, key, value, segments):
        attended = attend(query, key, value, Visibility(segments, segments, causal=True), scale=1.0)
        return jnp.sum(attended.astype(jnp.float32))

    jaxpr = jax.make_jaxpr(jax.grad(loss, (0, 1, 2)))(query, query, query, segments)
    assert f"{length},{length}]" not in str(jaxpr)
