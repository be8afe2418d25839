"""The chunked cross-entropy against the plain one, in float32, values and gradients."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import NamedSharding, PartitionSpec

from flan_jax.config import MeshConfig
from flan_jax.model.nn.matmul import unembed
from flan_jax.parallel.mesh import make_mesh
from flan_jax.train.objectives.cross_entropy import CHUNKS_IN_BLOCK, CrossEntropy, cross_entropy

B, T, D, V = 4, 24, 16, 97


def make_inputs(share: float = 0.4, dtype: jnp.dtype = jnp.float32, rows: int = B, vocabulary: int = V):
    rng = np.random.default_rng(0)
    hidden = jnp.asarray(rng.normal(size=(rows, T, D)), dtype)
    head = jnp.asarray(rng.normal(size=(vocabulary, D)), jnp.float32)
    targets = jnp.asarray(rng.integers(0, vocabulary, (rows, T)), jnp.int32)
    weights = (rng.random((rows, T)) < share) * rng.choice([0.5, 1.0, 2.0], (rows, T))
    return hidden, head, targets, jnp.asarray(weights, jnp.float32)


def plain_token_losses(hidden, head, targets, weights):
    logits = hidden.astype(jnp.float32) @ head.T
    chosen = jnp.take_along_axis(jax.nn.log_softmax(logits), targets[..., None], axis=-1)[..., 0]
    return -chosen * weights


def plain_sum(hidden, head, targets, weights):
    return plain_token_losses(hidden, head, targets, weights).sum()


def chunked_sum(hidden, head, targets, weights, *, chunk=8, groups=1):
    return cross_entropy(hidden, head, targets, weights, logits=unembed, chunk=chunk, groups=groups).loss_sum


@pytest.mark.parametrize(
    ("chunk", "groups", "share"), [(1, 1, 0.4), (5, 1, 1.0), (8, 2, 0.0), (7, 4, 0.02), (7, 4, 0.4), (1000, 1, 0.4)]
)
def test_equals_plain(chunk: int, groups: int, share: float, strict_types: None) -> None:
    inputs = make_inputs(share)
    found: CrossEntropy = jax.jit(lambda *xs: cross_entropy(*xs, logits=unembed, chunk=chunk, groups=groups))(*inputs)
    np.testing.assert_allclose(found.token_losses, plain_token_losses(*inputs), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(found.loss_sum, plain_sum(*inputs), rtol=1e-5)
    np.testing.assert_allclose(found.weight_sum, inputs[3].sum(), rtol=1e-6)


@pytest.mark.parametrize(("chunk", "groups", "wanted"), [(3, 1, (0,)), (8, 2, (1,)), (7, 4, (0, 1)), (30, 1, (0, 1))])
def test_gradients_equal_plain(chunk: int, groups: int, wanted: tuple[int, ...]) -> None:
    inputs = make_inputs()
    expected = jax.grad(plain_sum, argnums=wanted)(*inputs)
    # a factor after the loss, as the cotangent
    found = jax.jit(
        jax.grad(lambda *xs: 3.0 * chunked_sum(*xs, chunk=chunk, groups=groups), argnums=wanted),
    )(*inputs)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, 3.0 * other, rtol=1e-5, atol=1e-5)


def test_many_blocks_of_the_head_gradient() -> None:
    # chunks of one position: the loop over blocks of chunks runs several times, the last one partly
    inputs = make_inputs(share=0.6)
    expected = jax.grad(plain_sum, argnums=1)(*inputs)
    np.testing.assert_allclose(jax.grad(chunked_sum, argnums=1)(*inputs, chunk=1), expected, rtol=1e-5, atol=1e-5)


def test_token_losses_carry_no_gradient() -> None:
    hidden, *rest = make_inputs()
    gradient = jax.grad(lambda h: cross_entropy(h, *rest, logits=unembed, chunk=8, groups=1).token_losses.sum())(hidden)
    assert not np.any(gradient)


def test_what_has_no_weight_does_not_matter() -> None:
    hidden, head, targets, weights = make_inputs()
    unweighted = weights == 0
    spoiled = jnp.where(unweighted[..., None], jnp.nan, hidden), head, jnp.where(unweighted, 0, targets), weights
    value, gradient = jax.value_and_grad(chunked_sum, argnums=(0, 1))(hidden, head, targets, weights)
    spoiled_value, spoiled_gradient = jax.value_and_grad(chunked_sum, argnums=(0, 1))(*spoiled)
    assert value == spoiled_value
    jax.tree.map(np.testing.assert_array_equal, gradient, spoiled_gradient)
    assert not np.any(gradient[0][unweighted])


@pytest.mark.parametrize("vocabulary", [33, 256])
def test_bfloat16_stays_near_float32(vocabulary: int) -> None:
    hidden, head, targets, weights = make_inputs(dtype=jnp.bfloat16, vocabulary=vocabulary)
    head = head.astype(jnp.bfloat16).astype(jnp.float32)
    value, (dhidden, dhead) = jax.jit(jax.value_and_grad(chunked_sum, argnums=(0, 1)))(hidden, head, targets, weights)
    wide = hidden.astype(jnp.float32), head, targets, weights
    expected, (expected_dhidden, expected_dhead) = jax.value_and_grad(plain_sum, argnums=(0, 1))(*wide)
    # float32 products of bfloat16 inputs: the loss is exact to float32; gradients to bfloat16's 8 bits
    np.testing.assert_allclose(value, expected, rtol=1e-5)
    assert dhidden.dtype == jnp.bfloat16
    assert dhead.dtype == jnp.float32
    np.testing.assert_allclose(dhidden.astype(jnp.float32), expected_dhidden, rtol=2e-2, atol=5e-2)
    np.testing.assert_allclose(dhead, expected_dhead, rtol=2e-2, atol=5e-2)


def test_no_array_of_all_logits_is_made() -> None:
    inputs = make_inputs(vocabulary=512)
    text = jax.jit(jax.grad(chunked_sum, argnums=0)).lower(*inputs).compile().as_text()
    assert f"[{B * T},512]" not in text
    assert f"[{B},{T},512]" not in text


def test_the_heads_gradient_is_a_product_of_bfloat16() -> None:
    """The CPU backend widens operands of a product that it has no bfloat16 kernel for, at half the speed."""
    inputs = make_inputs(dtype=jnp.bfloat16, vocabulary=512)
    text = jax.jit(jax.grad(partial(chunked_sum, chunk=4), argnums=1)).lower(*inputs).compile().as_text()
    block = 4 * CHUNKS_IN_BLOCK
    assert f"bf16[{block},512]" in text
    assert f"f32[{block},512]" not in text


@pytest.mark.parametrize("shape", [(8, 1, 1), (2, 2, 2)])
def test_sharded_equals_whole(shape: tuple[int, int, int]) -> None:
    data, fsdp, tensor = shape
    mesh = make_mesh(MeshConfig(data=data, fsdp=fsdp, tensor=tensor))
    hidden, head, targets, weights = make_inputs(rows=8, vocabulary=256)
    rows = NamedSharding(mesh, PartitionSpec(("data", "fsdp")))
    vocabulary = NamedSharding(mesh, PartitionSpec("tensor", "fsdp"))
    placed = [
        jax.device_put(x, s)
        for x, s in zip((hidden, head, targets, weights), (rows, vocabulary, rows, rows), strict=True)
    ]
    groups = data * fsdp

    with jax.set_mesh(mesh):
        step = jax.jit(
            jax.value_and_grad(lambda *xs: chunked_sum(*xs, chunk=5, groups=groups), argnums=(0, 1)),
            out_shardings=(None, (rows, vocabulary)),
        )
        value, gradients = step(*placed)
        text = step.lower(*placed).compile().as_text()
    expected, expected_gradients = jax.value_and_grad(plain_sum, argnums=(0, 1))(hidden, head, targets, weights)
    np.testing.assert_allclose(value, expected, rtol=1e-5)
    for one, other in zip(gradients, expected_gradients, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)
    # sorting and gathering stay on their device: hidden states are never gathered whole
    assert f"f32[{groups},{T * 8 // groups},{D}]" not in text
