import itertools

import numpy as np
import pytest
from building import LLAMA, config_of
from t5_reference import ARCHITECTURES

from flan_jax.errors import InputError
from flan_jax.model.blueprint import Blueprint, blueprint_of, flat_parameters
from flan_jax.model.family import family_of
from flan_jax.model.files import describe
from flan_jax.model.names import Name

SETTINGS = {
    **ARCHITECTURES,
    "llama": LLAMA,
    "llama_tied_with_bias": {**LLAMA, "tie_word_embeddings": True, "attention_bias": True, "mlp_bias": True},
}


def blueprint_for(config) -> Blueprint:
    return blueprint_of(config, describe(config.model))


@pytest.mark.parametrize("name", SETTINGS)
def test_the_table_names_every_parameter_once(name):
    blueprint = blueprint_for(config_of({"architecture": SETTINGS[name]}))
    _, tuned, _ = blueprint.abstract()
    bases = [entry.ours for entry in blueprint.family.names(blueprint.architecture)]
    assert sorted(bases) == sorted(flat_parameters(tuned))


@pytest.mark.parametrize("name", SETTINGS)
def test_every_adapter_has_a_name(name):
    blueprint = blueprint_for(config_of({"architecture": SETTINGS[name]}, {"method": "lora"}))
    _, tuned, frozen = blueprint.abstract()
    kernels = [path for path in flat_parameters(frozen) if path.endswith(".kernel")]
    assert len(flat_parameters(tuned)) == 2 * len(kernels)
    assert set(flat_parameters(tuned)) <= set(blueprint.names)


@pytest.mark.parity
@pytest.mark.parametrize("name", SETTINGS)
def test_names_and_shapes_are_those_of_transformers(name):
    transformers = pytest.importorskip("transformers", reason="needs the extra 'parity'")
    torch = pytest.importorskip("torch", reason="needs the extra 'parity'")
    settings = SETTINGS[name]
    kind = {"t5": "T5ForConditionalGeneration", "llama": "LlamaForCausalLM"}[settings["model_type"]]
    with torch.device("meta"):
        model = getattr(transformers, kind)(transformers.AutoConfig.for_model(**settings))
    theirs = {key: tuple(value.shape) for key, value in model.state_dict().items() if "embed_tokens" not in key}
    theirs["model.embed_tokens.weight"] = theirs["shared.weight"] = (settings["vocab_size"], model.config.hidden_size)
    blueprint = blueprint_for(config_of({"architecture": settings}))
    ours = {}
    for path, parameter in flat_parameters(blueprint.abstract()[1]).items():
        entry, shape = blueprint.names[path], parameter.get_value().shape
        ours |= dict.fromkeys(entry.their_names(shape), entry.their_shape(shape))
    unused = {"model.embed_tokens.weight", "shared.weight"}
    if settings["tie_word_embeddings"]:
        unused.add("lm_head.weight")
    assert ours.items() <= theirs.items()
    assert theirs.keys() - ours.keys() <= unused


@pytest.mark.parametrize(("input_dims", "their_shape"), [(None, (4, 6, 2)), (0, (48,)), (1, (12, 4)), (2, (2, 24))])
def test_any_part_is_read_as_if_from_the_whole(input_dims, their_shape):
    name = Name("x.kernel", "x.weight", input_dims=input_dims)
    layer = np.arange(48).reshape(4, 6, 2)
    theirs = name.to_theirs(layer)
    assert theirs.shape == their_shape == name.their_shape(layer.shape)
    cuts = [slice(0, 4), slice(1, 3)], [slice(0, 6), slice(2, 5)], [slice(0, 2), slice(1, 2)]
    for index in itertools.product(*cuts):
        found = name.read_part(lambda slices: theirs[slices], index, layer.shape)
        np.testing.assert_array_equal(found, layer[index])


def test_an_unknown_family_is_refused():
    with pytest.raises(InputError, match="model 'x': model_type 'mamba' is not supported; supported are llama, t5"):
        family_of({"model_type": "mamba"}, "model 'x'")


def test_the_config_sets_the_rate_of_dropout():
    def blueprint(settings, tuning=None, **model):
        return blueprint_for(config_of({"architecture": settings, **model}, tuning))

    assert blueprint(ARCHITECTURES["t5_1_1"]).has_dropout
    assert not blueprint(ARCHITECTURES["t5_1_1"], dropout=0.0).has_dropout
    assert not blueprint(LLAMA, dropout=0.0).has_dropout
    assert blueprint(LLAMA, {"method": "lora", "lora": {"dropout": 0.1}}).has_dropout
    with pytest.raises(InputError, match=r"'model\.dropout' is 0.1, and Llama has no dropout of its own"):
        blueprint(LLAMA, dropout=0.1)
