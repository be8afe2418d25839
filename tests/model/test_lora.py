from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from building import LLAMA, decoder_rows, logits_of, moved, parts_of
from flax import nnx

from flan_jax.config import LoraConfig
from flan_jax.errors import InputError
from flan_jax.model.adapters.lora import LoraSettings, folded, resolve_targets

PROJECTIONS = {
    "blocks.attention.query": "model.layers.{layer}.self_attn.q_proj",
    "blocks.attention.output": "model.layers.{layer}.self_attn.o_proj",
    "blocks.mlp.up": "model.layers.{layer}.mlp.up_proj",
    "decoder.blocks.attention.query": "decoder.block.{layer}.layer.0.SelfAttention.q",
}


@pytest.mark.parametrize(
    ("targets", "found"),
    [
        (("all-linear",), set(PROJECTIONS)),
        (("query",), {"blocks.attention.query", "decoder.blocks.attention.query"}),
        (("q_proj", "up"), {"blocks.attention.query", "blocks.mlp.up"}),
        (("mlp.up_proj",), {"blocks.mlp.up"}),
        (("SelfAttention.q",), {"decoder.blocks.attention.query"}),
        (("decoder.blocks.attention.query",), {"decoder.blocks.attention.query"}),
    ],
)
def test_targets_go_by_our_names_and_by_theirs(targets, found):
    assert resolve_targets(targets, PROJECTIONS) == found


@pytest.mark.parametrize("target", ["qproj", "roj", "attention", ""])
def test_a_target_that_matches_nothing_is_refused_with_what_exists(target):
    with pytest.raises(InputError) as error:
        resolve_targets(("up", target), PROJECTIONS)
    for part in (f"'{target}' matches no projection", "all-linear", "query (q_proj)", "up (up_proj)"):
        assert part in str(error.value)


def test_no_target_is_refused():
    with pytest.raises(InputError, match=r"'tuning.lora.targets' is empty; allowed: all-linear, query \(q_proj\)"):
        resolve_targets((), PROJECTIONS)


@pytest.mark.parametrize(("scaling", "scale"), [("lora", 3.0), ("rslora", 6.0)])
def test_scale_is_alpha_over_rank_or_its_root(scaling, scale):
    config = LoraConfig(rank=4, alpha=12.0, scaling=scaling)
    assert LoraSettings.from_config(config, PROJECTIONS).scale == scale


def lora_parts(**lora):
    # the base is drawn by its own stream of random numbers: the same with and without adapters
    return parts_of({"architecture": LLAMA}, {"method": "lora", "lora": {"rank": 3, "alpha": 5.0, **lora}})


def arrays_of(state):
    return {".".join(map(str, path)): np.asarray(leaf.get_value()) for path, leaf in nnx.to_flat_state(state)}


def test_new_adapters_change_nothing_and_the_base_is_the_same():
    whole, parts = parts_of({"architecture": LLAMA}), lora_parts()
    base, frozen = arrays_of(whole.tuned), arrays_of(parts.frozen)
    assert base.keys() == frozen.keys()
    for path, array in base.items():
        np.testing.assert_array_equal(array, frozen[path])
    np.testing.assert_array_equal(logits_of(parts, decoder_rows()), logits_of(whole, decoder_rows()))


def test_new_adapters_are_drawn_as_peft_draws_them():
    adapters = arrays_of(lora_parts(rank=64).tuned)
    assert not any(array.any() for path, array in adapters.items() if path.endswith("lora_b"))
    first = adapters["blocks.attention.output.lora_a"]
    bound = 1 / np.sqrt(LLAMA["num_attention_heads"] * LLAMA["head_dim"])
    assert first.shape == (3, 4, 6, 64)
    assert 0.99 * bound < np.abs(first).max() <= bound
    assert abs(first.std() - bound / np.sqrt(3)) < 0.02 * bound


def test_adapters_are_only_where_they_are_asked_for():
    tuned = arrays_of(lora_parts(targets=["q_proj", "down"]).tuned)
    names = ("blocks.attention.query.lora_a", "blocks.attention.query.lora_b")
    assert set(tuned) == {*names, "blocks.mlp.down.lora_a", "blocks.mlp.down.lora_b"}


def test_folded_weights_say_what_the_adapter_says():
    parts = moved(lora_parts(scaling="rslora"))
    expected = logits_of(parts, decoder_rows())
    base, adapters = arrays_of(parts.frozen), arrays_of(parts.tuned)
    assert parts.blueprint.lora is not None
    scale = parts.blueprint.lora.scale

    def plain(path: str) -> jax.Array:
        module = path.removesuffix("kernel")
        if f"{module}lora_a" not in adapters:
            return base[path]
        return folded(*map(jnp.asarray, (base[path], adapters[f"{module}lora_a"], adapters[f"{module}lora_b"])), scale)

    unadapted = parts_of({"architecture": LLAMA})
    assert not np.allclose(logits_of(unadapted, decoder_rows()), expected, atol=1e-2), "the adapter did nothing"
    leaves = [plain(path) for path in arrays_of(unadapted.tuned)]
    state = jax.tree.unflatten(jax.tree.structure(unadapted.tuned), leaves)
    found = logits_of(replace(unadapted, tuned=state), decoder_rows())
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
