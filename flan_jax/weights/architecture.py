"""The settings of a model's architecture as they stand beside its weights, in the form of a config.json."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from flan_jax.errors import InputError
from flan_jax.files.whole import read_json
from flan_jax.weights.gguf_file import ROPE_FACTORS, GgufFile, open_gguf, setting
from flan_jax.weights.gguf_rows import read_rows
from flan_jax.weights.hub import local_model


def read_architecture(path: str | Path) -> dict[str, Any]:
    """The architecture of the model at `path`, in the form of a Hugging Face config.json.

    Args:
        path: A model directory with config.json, a .safetensors file beside one, a .gguf file, or a hub name.

    Raises:
        InputError: the hub gives none, config.json is missing or malformed, or the GGUF file holds no dense Llama.
    """
    path = local_model(path)
    if not path.exists():
        raise InputError(
            f"model '{path}': no such file or folder; give a Hugging Face model directory or a .gguf file "
            "('make quickstart' fetches the weights of the quickstart)"
        )
    if path.suffix.lower() == ".gguf":
        return _gguf_architecture(open_gguf(path))
    config_path = (path if path.is_dir() else path.parent) / "config.json"
    architecture = read_json(config_path, f"model '{path}'")
    if "model_type" not in architecture:
        raise InputError(f"model '{path}': {config_path} has no 'model_type'; give a Hugging Face model directory")
    return architecture


def _gguf_architecture(file: GgufFile) -> dict[str, Any]:
    kind = file.metadata.get("general.architecture")
    if kind != "llama" or file.metadata.get("llama.expert_count", 0):
        found = "llama with experts" if kind == "llama" else kind
        raise InputError(f"GGUF file '{file.path}': architecture is {found}; dense llama is what can be read from GGUF")
    num_heads = setting(file, "attention.head_count")
    model_dim = setting(file, "embedding_length")
    vocabulary = file.tensors.get("token_embd.weight")
    if vocabulary is None:
        raise InputError(f"GGUF file '{file.path}': no tensor 'token_embd.weight'; it holds no whole model")
    architecture = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_act": "silu",
        "hidden_size": model_dim,
        "intermediate_size": setting(file, "feed_forward_length"),
        "num_hidden_layers": setting(file, "block_count"),
        "num_attention_heads": num_heads,
        "num_key_value_heads": setting(file, "attention.head_count_kv", num_heads),
        "head_dim": setting(file, "attention.key_length", model_dim // num_heads),
        "max_position_embeddings": setting(file, "context_length"),
        # stored as float32: seven digits give the number that was meant
        "rms_norm_eps": float(f"{setting(file, 'attention.layer_norm_rms_epsilon'):.7g}"),
        "rope_theta": setting(file, "rope.freq_base", 10000.0),
        "rope_scaling": _rope_scaling(file),
        "vocab_size": vocabulary.shape[0],
        "tie_word_embeddings": "output.weight" not in file.tensors,
        "attention_bias": "blk.0.attn_q.bias" in file.tensors,
        "mlp_bias": "blk.0.ffn_up.bias" in file.tensors,
    }
    for name, stored in (("bos", "bos"), ("eos", "eos"), ("pad", "padding")):
        token_id = file.metadata.get(f"tokenizer.ggml.{stored}_token_id")
        if token_id is not None:
            architecture[f"{name}_token_id"] = token_id
    return architecture


def _rope_scaling(file: GgufFile) -> dict[str, Any] | None:
    if ROPE_FACTORS in file.tensors:
        return _llama3_scaling(file)
    kind = file.metadata.get("llama.rope.scaling.type", "none")
    if kind == "none":
        return None
    if kind == "linear":
        return {"rope_type": "linear", "factor": setting(file, "rope.scaling.factor")}
    raise InputError(f"GGUF file '{file.path}': rotary scaling '{kind}'; none, linear and Llama 3.1's can be read")


def _llama3_scaling(file: GgufFile) -> dict[str, Any]:
    """Llama 3.1's scaling settings, which GGUF holds only as the factors they give (Llama 3.1–3.3: 8 or 32)."""
    factors = read_rows(file, file.tensors[ROPE_FACTORS], slice(None)).astype(np.float64)
    scaling = {
        "rope_type": "llama3",
        "factor": float(factors.max()),
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192,
    }
    theta = setting(file, "rope.freq_base", 10000.0)
    turns = scaling["original_max_position_embeddings"] / (
        2 * np.pi * theta ** (np.arange(factors.size) / factors.size)
    )
    low, high = scaling["low_freq_factor"], scaling["high_freq_factor"]
    smooth = np.clip((turns - low) / (high - low), 0.0, 1.0)
    expected = 1.0 / ((1.0 - smooth) / scaling["factor"] + smooth)
    if not np.allclose(factors, expected, rtol=1e-4):
        raise InputError(
            f"GGUF file '{file.path}': its rotary factors are not those of Llama 3.1's scaling with frequency factors "
            "1 and 4 over 8192 positions; use the model's safetensors instead"
        )
    return scaling
