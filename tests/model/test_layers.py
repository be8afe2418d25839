import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from building import LLAMA, parts_of
from flax import nnx

from flan_jax.model.nn.bits import from_bits, to_bits
from flan_jax.model.nn.layers import ComputeSettings, Projection, RMSNorm, drop, scan_layers
from flan_jax.model.nn.matmul import product, project

LOW = ComputeSettings(jnp.dtype(jnp.bfloat16), jnp.dtype(jnp.bfloat16), "dots", 1)
HIGH = ComputeSettings(jnp.dtype(jnp.float32), jnp.dtype(jnp.float32), "dots", 1)


@pytest.mark.parametrize("rows", [1, 3, 8, 20])
@pytest.mark.parametrize(("contracted", "kernel_shape"), [(1, (12, 4, 6)), (2, (3, 4, 10))])
def test_products_and_their_gradients(rows, contracted, kernel_shape, strict_types):
    rng = np.random.default_rng(0)
    x = jnp.asarray(rng.standard_normal((rows, 2, *kernel_shape[:contracted]), np.float32))
    kernel = jnp.asarray(rng.standard_normal(kernel_shape, np.float32))
    weights = rng.standard_normal((rows, 2, *kernel_shape[contracted:]), np.float32)

    def loss(function):
        return jax.value_and_grad(lambda x, kernel: jnp.sum(function(x, kernel) * weights), (0, 1))(x, kernel)

    found = loss(lambda x, kernel: project(x, kernel, contracted))
    expected = loss(lambda x, kernel: jnp.tensordot(x, kernel, contracted))
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-4)


def test_bfloat16_products_round_once_and_keep_the_kernels_gradient_in_float32():
    rng = np.random.default_rng(1)
    x = jnp.asarray(rng.standard_normal((5, 64)), jnp.bfloat16)
    kernel = jnp.asarray(rng.standard_normal((64, 7)), jnp.float32)
    exact = np.asarray(x, np.float32) @ np.asarray(kernel.astype(jnp.bfloat16), np.float32)
    np.testing.assert_array_equal(project(x, kernel, 1), exact.astype(jnp.bfloat16))
    gradient = jax.grad(lambda kernel: jnp.sum(project(x, kernel, 1).astype(jnp.float32)))(kernel)
    assert gradient.dtype == jnp.float32
    np.testing.assert_allclose(gradient[:, 0], np.asarray(x, np.float32).sum(0), rtol=1e-5, atol=1e-5)


def test_a_float32_result_of_bfloat16_is_not_rounded():
    x, table = jnp.ones((2, 300), jnp.bfloat16), jnp.ones((5, 300), jnp.bfloat16)
    # bfloat16 numbers are 2 apart there: 301 is none of them
    found = product(x.at[:, 0].set(2), table, ((1,), (1,)), jnp.dtype(jnp.float32))
    np.testing.assert_array_equal(found, np.full((2, 5), 301, np.float32))


def compiled_gradient_text() -> str:
    settings = {"architecture": {**LLAMA, "num_hidden_layers": 5, "intermediate_size": 33}}
    low = {"compute_dtype": "bfloat16", "frozen_dtype": "bfloat16"}
    parts = parts_of({**settings, **low}, {"method": "lora", "lora": {"rank": 3}})
    ids = jnp.ones((2, 19), jnp.int32)
    batch = {"inputs": ids, "segments": ids, "positions": ids}

    def loss(tuned, frozen):
        return jnp.sum(nnx.merge(parts.graphdef, tuned, frozen).hidden(batch).astype(jnp.float32))

    return jax.jit(jax.grad(loss)).lower(parts.tuned, parts.frozen).compile().as_text()


def test_a_lora_step_neither_widens_stacks_nor_makes_gradients_of_frozen_weights():
    text = compiled_gradient_text()
    results = [line.partition(" = ")[2] for line in text.splitlines()]
    # 5 layers of the MLP's kernels [16, 33], of its adapter's [16, 3], and of its saved products [2, 19, 33]
    stacks = [line for line in results if re.match(r"\w+\[5,(16,33|33,16|2,19,33)\]", line)]
    assert stacks
    assert not [line for line in stacks if line.startswith("f32")]
    products = [line for line in results if re.search(r"\bdot\(", line)]
    assert [line for line in products if re.match(r"f32\[(16,3|3,33)\]", line)], "the adapters' gradients"
    assert not [line for line in products if re.match(r"\w+\[(16,33|33,16)\]", line)], "a frozen kernel's gradient"


def test_bits_are_the_array_itself():
    x = jnp.asarray([[1.5, -2.0, jnp.inf, 3e-40]], jnp.bfloat16)
    assert to_bits(x).dtype == jnp.uint16
    np.testing.assert_array_equal(from_bits(to_bits(x)), x)
    assert to_bits(x.astype(jnp.float32)).dtype == jnp.float32


def test_a_tuned_bfloat16_stack_is_an_error_not_a_missing_gradient():
    with pytest.raises(TypeError, match="keep what is tuned in float32"):
        jax.grad(lambda x: jnp.sum(from_bits(to_bits(x)).astype(jnp.float32)))(jnp.ones(3, jnp.bfloat16))


@pytest.mark.parametrize("settings", [LOW, HIGH])
def test_norm_has_float32_statistics(settings, strict_types):
    norm = RMSNorm(300, epsilon=1e-3, stack=None, settings=settings)
    x = np.random.default_rng(0).standard_normal((2, 4, 300)).astype(np.float32) + 5
    x = jnp.asarray(x, settings.compute_dtype)
    wide = np.asarray(x, np.float64)
    expected = wide / np.sqrt((wide**2).mean(-1, keepdims=True) + 1e-3)
    found = norm(x)
    assert found.dtype == settings.compute_dtype
    np.testing.assert_allclose(np.asarray(found, np.float64), expected, rtol=4e-3 if settings is LOW else 1e-5)


def test_dropped_entries_are_zero_and_the_rest_scaled():
    x = jnp.ones((200, 50), jnp.float32)
    found = np.asarray(drop(x, 0.2, jax.random.key(0)))
    assert set(np.unique(found)) == {np.float32(0), np.float32(1.25)}
    assert abs(found.mean() - 1) < 0.02


def test_scanned_layers_are_the_layers_in_order():
    rngs = nnx.Rngs(params=2, lora=1)  # weights under which no value is what is left of much larger ones
    stacked = Projection({"embed": 6}, {"mlp": 6}, stack=4, stddev=0.5, rngs=rngs, settings=HIGH, lora=None, bias=True)
    x = jnp.ones((2, 6))
    found, inputs = scan_layers(stacked, lambda one, x, i: (one(x) + i, x), x, jnp.arange(4.0), settings=HIGH)
    for layer in range(4):
        np.testing.assert_allclose(inputs[layer], x, rtol=1e-5)
        x = x @ stacked.kernel[layer] + stacked.bias[layer] + layer
    np.testing.assert_allclose(found, x, rtol=1e-5)
