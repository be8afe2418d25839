"""What T5's weights are called in Hugging Face's files."""

from __future__ import annotations

from flan_jax.model.architecture.encoder_decoder import T5Architecture
from flan_jax.model.names import HEAD, Name, linear_names


def t5_names(architecture: T5Architecture) -> tuple[Name, ...]:
    """Names of a T5 encoder-decoder's tensors."""
    copies = ("encoder.embed_tokens.weight", "decoder.embed_tokens.weight")
    head = () if architecture.is_tied else (Name("unembedding.table", HEAD),)
    return (
        Name("embedding.table", "shared.weight", aliases=copies),
        *_t5_stack(architecture, "encoder", ("attention",)),
        *_t5_stack(architecture, "decoder", ("attention", "cross_attention")),
        *head,
    )


def _t5_stack(architecture: T5Architecture, stack: str, attentions: tuple[str, ...]) -> tuple[Name, ...]:
    """Names within the encoder or the decoder; their sublayers are numbered, the MLP is the last."""
    modules = {"attention": "SelfAttention", "cross_attention": "EncDecAttention"}
    ours, theirs = f"{stack}.blocks.", f"{stack}.block.{{layer}}.layer."
    names = [
        # one table for all layers, kept in their first
        Name(f"{stack}.relative_bias.table", f"{stack}.block.0.layer.0.SelfAttention.relative_attention_bias.weight"),
        Name(f"{stack}.final_norm.scale", f"{stack}.final_layer_norm.weight"),
    ]
    for number, attention in enumerate(attentions):
        names.append(Name(f"{ours}{attention}_norm.scale", f"{theirs}{number}.layer_norm.weight"))
        for projection in ("query", "key", "value", "output"):
            module = f"{theirs}{number}.{modules[attention]}.{projection[0]}."
            names += linear_names(f"{ours}{attention}.{projection}", module, has_bias=False)
    mlp = f"{theirs}{len(attentions)}."
    names.append(Name(f"{ours}mlp_norm.scale", mlp + "layer_norm.weight"))
    inner = {"gate": "wi_0", "up": "wi_1"} if architecture.is_gated else {"up": "wi"}
    for projection, tensor in {**inner, "down": "wo"}.items():
        names += linear_names(f"{ours}mlp.{projection}", f"{mlp}DenseReluDense.{tensor}.", has_bias=False)
    return tuple(names)
