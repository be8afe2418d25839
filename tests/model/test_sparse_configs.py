"""What a config.json leaves out is what transformers' configuration classes say."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import pytest
from transformers import AutoConfig

from flan_jax.errors import InputError
from flan_jax.model.family import family_of
from flan_jax.weights.architecture import read_architecture

LLAMA = {
    "model_type": "llama",
    "vocab_size": 96,
    "hidden_size": 24,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
}
T5 = {"model_type": "t5", "vocab_size": 96, "d_model": 24, "d_kv": 8, "d_ff": 32, "num_layers": 2, "num_heads": 4}
SCALING = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}
SPARSE = {
    "llama, sizes alone": LLAMA,
    "llama, nulls": {
        **LLAMA,
        "num_key_value_heads": None,
        "head_dim": None,
        "rope_scaling": None,
    },
    "llama of 4.x": {**LLAMA, "num_key_value_heads": 2, "rope_theta": 500000.0, "torch_dtype": "bfloat16"},
    "llama of 4.x, scaled": {**LLAMA, "rope_scaling": {"type": "linear", "factor": 2.0}, "mlp_bias": True},
    "llama of 4.x, long": {**LLAMA, "rope_theta": 5e5, "rope_scaling": SCALING, "max_position_embeddings": 4096},
    "llama of 5.x": {**LLAMA, "rope_parameters": {"rope_type": "default", "rope_theta": 3e4}, "dtype": "bfloat16"},
    "llama of 5.x, long": {**LLAMA, "rope_parameters": {**SCALING, "original_max_position_embeddings": 64}},
    "t5, sizes alone": T5,
    "t5 1.0 of 4.x": {**T5, "dropout_rate": 0.2, "n_positions": 512, "tie_word_embeddings": True},
    "t5 1.1 of 4.x": {**T5, "feed_forward_proj": "gated-gelu", "tie_word_embeddings": False, "num_decoder_layers": 3},
    "t5 1.1 of 5.x": {
        **T5,
        "feed_forward_proj": "gated-gelu",
        "tie_word_embeddings": True,
        "scale_decoder_outputs": False,
    },
}

ROPE_WORDS = ("rope_theta", "rope_type", "type")


def of_llama(config) -> dict:
    rope = config.rope_parameters
    return {
        "vocabulary": config.vocab_size,
        "width": config.hidden_size,
        "mlp": config.intermediate_size,
        "layers": config.num_hidden_layers,
        "heads": config.num_attention_heads,
        "kv_heads": config.num_key_value_heads,
        "head_dim": config.head_dim,
        "epsilon": config.rms_norm_eps,
        "is_tied": config.tie_word_embeddings,
        "attention_bias": config.attention_bias,
        "mlp_bias": config.mlp_bias,
        "stddev": config.initializer_range,
        "max_length": config.max_position_embeddings,
        "rotary": (rope["rope_theta"], rope["rope_type"], {k: rope[k] for k in rope if k not in ROPE_WORDS}),
    }


def of_t5(config) -> dict:
    return {
        "vocabulary": config.vocab_size,
        "width": config.d_model,
        "mlp": config.d_ff,
        "heads": config.num_heads,
        "head_dim": config.d_kv,
        "encoder_layers": config.num_layers,
        "decoder_layers": config.num_decoder_layers,
        "buckets": config.relative_attention_num_buckets,
        "max_distance": config.relative_attention_max_distance,
        "dropout_rate": config.dropout_rate,
        "epsilon": config.layer_norm_epsilon,
        "stddev_factor": config.initializer_factor,
        "activation": {"gelu_new": "gelu_tanh"}.get(config.dense_act_fn, config.dense_act_fn),
        "is_gated": config.is_gated_act,
        "is_tied": config.scale_decoder_outputs,
        "pad_token_id": config.pad_token_id,
        "eos_token_id": config.eos_token_id,
    }


@pytest.mark.parametrize("name", SPARSE)
def test_what_is_left_out_is_the_reference_s(tmp_path: Path, name: str):
    (tmp_path / "config.json").write_text(json.dumps(SPARSE[name]))
    settings = read_architecture(tmp_path)
    ours = family_of(settings, "test").architecture.from_hf(settings)
    config = AutoConfig.from_pretrained(tmp_path)
    theirs = (of_llama if config.model_type == "llama" else of_t5)(config)
    fields = {key: getattr(ours, key) for key in theirs}
    if "rotary" in fields:
        fields["rotary"] = (ours.rotary.theta, ours.rotary.kind, dict(ours.rotary.scaling))
    assert fields == theirs
    assert set(theirs) | {"decoder_start_token_id"} >= {field.name for field in dataclasses.fields(ours)}


def test_the_class_is_asked_for_what_is_left_out_alone():
    full = family_of(LLAMA, "test").architecture.from_hf(LLAMA).to_hf()
    script = (
        "import json, sys; from flan_jax.model.architecture.decoder import LlamaArchitecture\n"
        "for settings in json.loads(sys.argv[1]):\n"
        "    LlamaArchitecture.from_hf(settings); print('transformers' in sys.modules)"
    )
    words = [sys.executable, "-c", script, json.dumps([full, LLAMA])]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True"]


def test_code_that_a_config_names_is_never_run(tmp_path: Path):
    (tmp_path / "code.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nclass Config: pass\n")
    (tmp_path / "config.json").write_text(json.dumps({**LLAMA, "auto_map": {"AutoConfig": "code.Config"}}))
    settings = read_architecture(tmp_path)
    assert family_of(settings, "test").architecture.from_hf(settings).width == 24
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "own", "auto_map": {"AutoConfig": "code.Config"}}))
    with pytest.raises(InputError, match="model_type 'own' is not supported; supported are llama, t5"):
        family_of(read_architecture(tmp_path), f"model '{tmp_path}'")
    assert not (tmp_path / "ran").exists()
