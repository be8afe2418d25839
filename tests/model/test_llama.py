from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from building import logits_of, model_directory, moved, parts_of
from flax import nnx
from llama_reference import ARCHITECTURES, GOLDEN, GOLDEN_NAMES, rows, torch_logits, torch_model

from flan_jax.errors import InputError
from flan_jax.model.architecture.decoder import LlamaArchitecture

# what is compared here is the same program twice; how well it is compiled does not matter
FAST_COMPILE = {"xla_backend_optimization_level": 0}


def golden(name: str) -> dict[str, np.ndarray]:
    with np.load(GOLDEN / f"{name}.npz") as arrays:
        return dict(arrays)


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory):
    """Model directories made of the golden weights."""
    directories = {}
    for name in GOLDEN_NAMES:
        weights = {key: array for key, array in golden(name).items() if key != "logits"}
        directories[name] = str(model_directory(tmp_path_factory.mktemp(name), ARCHITECTURES[name], weights))
    return directories


@pytest.mark.parametrize("name", GOLDEN_NAMES)
def test_logits_equal_the_golden_ones(name, pretrained, strict_types):
    found = logits_of(parts_of({"path": pretrained[name]}), rows())
    np.testing.assert_allclose(found, golden(name)["logits"], rtol=1e-4, atol=1e-4)


@pytest.mark.parity
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_logits_equal_the_torch_reference(name, tmp_path):
    pytest.importorskip("transformers", reason="needs the extra 'parity'")
    pytest.importorskip("torch", reason="needs the extra 'parity'")
    model = torch_model(name)
    model.save_pretrained(tmp_path)
    batch = rows(seed=5)
    found = logits_of(parts_of({"path": str(tmp_path)}), batch)
    np.testing.assert_allclose(found, torch_logits(model, batch), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_architecture_survives_the_way_through_config_json(name):
    architecture = LlamaArchitecture.from_hf(ARCHITECTURES[name])
    assert LlamaArchitecture.from_hf(architecture.to_hf()) == architecture


def test_bfloat16_stays_near(pretrained):
    path = pretrained["llama_llama3"]
    low = logits_of(parts_of({"path": path, "compute_dtype": "bfloat16", "frozen_dtype": "bfloat16"}), rows())
    high = golden("llama_llama3")["logits"]
    assert np.abs(low - high).mean() < 0.03 * np.abs(high).mean()


@partial(jax.jit, static_argnums=0, compiler_options=FAST_COMPILE)
def compiled_gradient(graphdef, tuned, frozen, batch, weights, key):
    def loss(tuned):
        hidden = nnx.merge(graphdef, tuned, frozen).hidden(batch, dropout_key=key)
        return jnp.sum(jnp.sin(hidden.astype(jnp.float32)).sum(-1) * weights)

    return jax.value_and_grad(loss)(tuned)


def gradient(parts, batch, weights=None):
    """Loss and gradient of what is tuned, for a loss in which every weighted place counts on its own."""
    weights = np.ones(batch["inputs"].shape, np.float32) if weights is None else weights
    value, gradients = compiled_gradient(parts.graphdef, parts.tuned, parts.frozen, batch, weights, None)
    return np.asarray(value), [np.asarray(leaf) for leaf in jax.tree.leaves(gradients)]


@partial(jax.jit, static_argnums=0, compiler_options=FAST_COMPILE)
def compiled_hidden(graphdef, tuned, frozen, batch, key):
    return nnx.merge(graphdef, tuned, frozen).hidden(batch, dropout_key=key).astype(jnp.float32)


def hidden(parts, batch, key=None):
    return np.asarray(compiled_hidden(parts.graphdef, parts.tuned, parts.frozen, batch, key))


def assert_near(one, other, rtol=1e-4):
    np.testing.assert_allclose(one[0], other[0], rtol=rtol)
    for a, b in zip(one[1], other[1], strict=True):
        np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol * max(np.abs(b).max(), 1e-6))


def tuned_gradient(path, method="lora", **settings):
    return gradient(moved(parts_of({"path": path, **settings}, {"method": method})), rows())


@pytest.fixture(scope="module")
def usual(pretrained):
    """Gradients as the default settings make them."""
    return {method: tuned_gradient(pretrained["llama_default"], method) for method in ("lora", "full")}


@pytest.mark.parametrize(
    ("method", "change"), [("lora", {"remat": "none"}), ("lora", {"remat": "full"}), ("full", {"scan_unroll": 3})]
)
def test_recomputing_and_unrolling_change_nothing(method, change, usual, pretrained):
    assert_near(tuned_gradient(pretrained["llama_default"], method, **change), usual[method])


def test_bfloat16_gradients_of_adapters_stay_near(usual, pretrained):
    low = {"compute_dtype": "bfloat16", "frozen_dtype": "bfloat16"}
    _, found = tuned_gradient(pretrained["llama_default"], **low)
    # a bound on direction (cosine above 0.995), for a wrong or missing term; exactness is the float32 tests' business
    for one, other in zip(found, usual["lora"][1], strict=True):
        assert np.linalg.norm(one - other) < 0.1 * np.linalg.norm(other)


def packed_and_alone():
    """Three examples in one row with padding at its end, and each alone in a row."""
    rng = np.random.default_rng(3)
    packed = {name: np.zeros((1, 24), np.int32) for name in ("inputs", "segments", "positions")}
    alone, places, start = [], [], 0
    for segment, size in enumerate((7, 7, 7), 1):
        ids = rng.integers(0, 40, (1, size)).astype(np.int32)
        positions = np.arange(size, dtype=np.int32)[None]
        part = slice(start, start + size)
        packed["inputs"][:, part], packed["segments"][:, part], packed["positions"][:, part] = ids, segment, positions
        alone.append({"inputs": ids, "segments": np.ones_like(ids), "positions": positions})
        places.append(part)
        start += size
    return packed, alone, places


def test_packed_rows_equal_unpacked_ones(pretrained):
    parts = parts_of({"path": pretrained["llama_llama3"]})
    packed, alone, places = packed_and_alone()
    states = hidden(parts, packed)
    for single, place in zip(alone, places, strict=True):
        np.testing.assert_allclose(states[:, place], hidden(parts, single), rtol=1e-4, atol=1e-5)
    real = (packed["segments"] > 0).astype(np.float32)
    singles = [gradient(parts, single) for single in alone]
    summed = [sum(leaves) for leaves in zip(*(leaves for _, leaves in singles), strict=True)]
    assert_near(gradient(parts, packed, weights=real), (sum(value for value, _ in singles), summed))


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_nothing_attends_across_segments(dtype, pretrained):
    parts = parts_of({"path": pretrained["llama_llama3"], "compute_dtype": dtype})
    packed, _, places = packed_and_alone()
    before = hidden(parts, packed)
    for touched in range(3):
        other = {name: array.copy() for name, array in packed.items()}
        other["inputs"][:, places[touched]] = 39 - other["inputs"][:, places[touched]]
        after = hidden(parts, other)
        for segment, place in enumerate(places):
            assert np.array_equal(before[:, place], after[:, place]) == (segment != touched)


def test_branches_share_their_prompt_and_nothing_else(pretrained):
    """Options of a question behind one prompt score as each would behind a prompt of its own."""
    parts = parts_of({"path": pretrained["llama_llama3"]})
    rng = np.random.default_rng(4)
    prompt, options = rng.integers(0, 40, 6), [rng.integers(0, 40, size) for size in (3, 3, 3)]
    shared = {
        "inputs": np.concatenate([prompt, *options]),
        "segments": np.ones(15),
        "positions": np.concatenate([np.arange(6), *(6 + np.arange(len(option)) for option in options)]),
        "branches": np.repeat([0, 1, 2, 3], [6, 3, 3, 3]),
    }
    states = hidden(parts, {name: array[None].astype(np.int32) for name, array in shared.items()})
    for branch, option in enumerate(options, 1):
        ids = np.concatenate([prompt, option])[None].astype(np.int32)
        positions = np.arange(ids.size, dtype=np.int32)[None]
        alone = hidden(parts, {"inputs": ids, "segments": np.ones_like(ids), "positions": positions})
        found = states[0, shared["branches"] == branch]
        np.testing.assert_allclose(found, alone[0, 6:], rtol=1e-4, atol=1e-5)


def test_dropout_follows_its_key(pretrained):
    tuning = {"method": "lora", "lora": {"dropout": 0.5}}
    parts = moved(parts_of({"path": pretrained["llama_default"]}, tuning))
    plain, one, again, other = (
        hidden(parts, rows(), key) for key in (None, jax.random.key(0), jax.random.key(0), jax.random.key(1))
    )
    np.testing.assert_array_equal(one, again)
    assert (one != other).any()
    assert (one != plain).any()


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"num_key_value_heads": 4}, "multiple of 'num_key_value_heads' (4)"),
        ({"hidden_size": None}, "'hidden_size' must be a positive integer, found None"),
        ({"head_dim": 7}, "'head_dim' must be even"),
        ({"hidden_act": "gelu"}, "must be 'silu' for Llama, found 'gelu'"),
        ({"rope_scaling": {"rope_type": "yarn"}}, "rope type 'yarn' is not supported; allowed: default, linear"),
        ({"rope_scaling": {"rope_type": "linear"}}, "needs a number 'factor', found None"),
        ({"rope_parameters": {"partial_rotary_factor": 0.5}}, "'partial_rotary_factor' other than 1.0"),
    ],
)
def test_unusable_architectures_are_refused(change, part):
    with pytest.raises(InputError) as error:
        LlamaArchitecture.from_hf({**ARCHITECTURES["llama_default"], **change})
    assert part in str(error.value)


def test_rows_beyond_a_dynamic_scaling_are_refused():
    parts = parts_of({"architecture": {**ARCHITECTURES["llama_dynamic"], "max_position_embeddings": 36}})
    with pytest.raises(InputError, match=r"a row of 37 tokens is longer than 'max_position_embeddings' \(36\)"):
        hidden(parts, rows())
