"""What a Llama is in a GGUF file: its settings, and its tensors under their Hugging Face names.

Sources: names, gguf-py/gguf/tensor_mapping.py; row order, `LlamaModel.permute` in convert_hf_to_gguf.py; both in
https://github.com/ggml-org/llama.cpp.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from flan_jax.errors import InputError
from flan_jax.weights.gguf import GgufSource
from flan_jax.weights.gguf_file import GgufFile, setting
from flan_jax.weights.gguf_rows import read_rows

ROPE_FACTORS = "rope_freqs.weight"  # Llama 3.1 scaling, one factor a frequency; a setting, no weight
_NAMES = {
    "token_embd.weight": "model.embed_tokens.weight",
    "output_norm.weight": "model.norm.weight",
    "output.weight": "lm_head.weight",
}
_BLOCK_NAMES = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}


def gguf_weights(file: GgufFile) -> GgufSource:
    """The tensors of a GGUF file's Llama under their Hugging Face names, in their row order.

    Raises:
        InputError: a tensor has no place in a dense Llama, or reaches beyond the file.
    """
    num_heads = setting(file, "attention.head_count")
    heads = {"q_proj": num_heads, "k_proj": setting(file, "attention.head_count_kv", num_heads)}
    names = {_huggingface_name(file, name): name for name in file.tensors if name != ROPE_FACTORS}
    turned = {name: count for name in names for part, count in heads.items() if f".{part}." in name}
    return GgufSource(file, names, turned)


def _huggingface_name(file: GgufFile, name: str) -> str:
    block = re.fullmatch(r"blk\.(\d+)\.(\w+)\.(weight|bias)", name)
    if block and block[2] in _BLOCK_NAMES:
        return f"model.layers.{block[1]}.{_BLOCK_NAMES[block[2]]}.{block[3]}"
    if name in _NAMES:
        return _NAMES[name]
    raise InputError(
        f"weights '{file.path}': tensor '{name}' has no place in a dense Llama; only those can be read from GGUF"
    )


def gguf_settings(file: GgufFile) -> dict[str, Any]:
    """The settings of a GGUF file's Llama, as a Hugging Face config.json would state them.

    Raises:
        InputError: it has experts, a setting is missing, or its rotary scaling is none of ours.
    """
    if file.metadata.get("llama.expert_count", 0):
        raise InputError(
            f"GGUF file '{file.path}': architecture is llama with experts; dense llama is what can be read from GGUF"
        )
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
