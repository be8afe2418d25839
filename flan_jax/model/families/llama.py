"""What a Llama's weights are called in Hugging Face's files."""

from __future__ import annotations

from flan_jax.model.architecture.decoder import LlamaArchitecture
from flan_jax.model.names import HEAD, Name, linear_names


def llama_names(architecture: LlamaArchitecture) -> tuple[Name, ...]:
    """Names of a Llama decoder's tensors."""
    layer = "model.layers.{layer}."
    names = [
        Name("embedding.table", "model.embed_tokens.weight"),
        Name("blocks.attention_norm.scale", layer + "input_layernorm.weight"),
        Name("blocks.mlp_norm.scale", layer + "post_attention_layernorm.weight"),
        Name("final_norm.scale", "model.norm.weight"),
    ]
    for projection in ("query", "key", "value", "output"):
        module = f"{layer}self_attn.{projection[0]}_proj."
        names += linear_names(f"blocks.attention.{projection}", module, architecture.attention_bias)
    for projection in ("gate", "up", "down"):
        names += linear_names(f"blocks.mlp.{projection}", f"{layer}mlp.{projection}_proj.", architecture.mlp_bias)
    if not architecture.is_tied:
        names.append(Name("unembedding.table", HEAD))
    return tuple(names)
