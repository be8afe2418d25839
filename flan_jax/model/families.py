"""The model families: for each, how its architecture is read, which module computes it, what its tensors are called.

A family is a module file, an architecture class and one name table below; everything else (weights, adapters, export,
sharding) works from these. The table is used for reading, for writing and for PEFT's adapter names.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from flax import nnx

from flan_jax.errors import InputError
from flan_jax.model.llama import Llama
from flan_jax.model.llama_architecture import LlamaArchitecture
from flan_jax.model.names import Name
from flan_jax.model.t5 import T5
from flan_jax.model.t5_architecture import T5Architecture

_HEAD = "lm_head.weight"
Architecture = LlamaArchitecture | T5Architecture


@dataclass(frozen=True)
class Family:
    """One kind of model.

    Attributes:
        name: `model_type` in a Hugging Face `config.json`.
        kind: decoder or encoder_decoder.
        architecture: class with `from_hf` and `to_hf`.
        module: class of the model.
        names: every tensor a model of this architecture has, ours and theirs.
        head: name of the head's tensor, which files of tied models may hold as a copy of the embedding.
        ignored: patterns of tensor names that files may hold and nothing needs.
        peft_task: `task_type` of an adapter in PEFT's words.
    """

    name: str
    kind: str
    architecture: type[Any]
    module: Callable[..., nnx.Module]
    names: Callable[[Any], tuple[Name, ...]]
    head: str
    ignored: tuple[str, ...]
    peft_task: str


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
        names += _linear(f"blocks.attention.{projection}", module, architecture.attention_bias)
    for projection in ("gate", "up", "down"):
        names += _linear(f"blocks.mlp.{projection}", f"{layer}mlp.{projection}_proj.", architecture.mlp_bias)
    if not architecture.is_tied:
        names.append(Name("unembedding.table", _HEAD))
    return tuple(names)


def _linear(ours: str, theirs: str, has_bias: bool) -> list[Name]:
    """A projection's kernel, and its bias where it has one; attention's output alone contracts two dimensions."""
    names = [Name(f"{ours}.kernel", f"{theirs}weight", input_dims=2 if ours.endswith(".output") else 1)]
    return [*names, Name(f"{ours}.bias", f"{theirs}bias", input_dims=0)] if has_bias else names


def t5_names(architecture: T5Architecture) -> tuple[Name, ...]:
    """Names of a T5 encoder-decoder's tensors."""
    copies = ("encoder.embed_tokens.weight", "decoder.embed_tokens.weight")
    head = () if architecture.is_tied else (Name("unembedding.table", _HEAD),)
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
            names += _linear(f"{ours}{attention}.{projection}", module, has_bias=False)
    mlp = f"{theirs}{len(attentions)}."
    names.append(Name(f"{ours}mlp_norm.scale", mlp + "layer_norm.weight"))
    inner = {"gate": "wi_0", "up": "wi_1"} if architecture.is_gated else {"up": "wi"}
    for projection, tensor in {**inner, "down": "wo"}.items():
        names += _linear(f"{ours}mlp.{projection}", f"{mlp}DenseReluDense.{tensor}.", has_bias=False)
    return tuple(names)


FAMILIES: Mapping[str, Family] = {
    "llama": Family(
        name="llama",
        kind="decoder",
        architecture=LlamaArchitecture,
        module=Llama,
        names=llama_names,
        head=_HEAD,
        ignored=(r"model\.layers\.\d+\.self_attn\.rotary_emb\.inv_freq",),
        peft_task="CAUSAL_LM",
    ),
    "t5": Family(
        name="t5",
        kind="encoder_decoder",
        architecture=T5Architecture,
        module=T5,
        names=t5_names,
        head=_HEAD,
        ignored=(
            r"(encoder|decoder)\.embed_tokens\.weight",
            # written by early conversions, read by nothing: cross-attention has no position bias
            r"decoder\.block\.0\.layer\.1\.EncDecAttention\.relative_attention_bias\.weight",
        ),
        peft_task="SEQ_2_SEQ_LM",
    ),
}


def dropout_rate(architecture: Architecture) -> float:
    """Rate of the model's own dropout in training; Llama has none."""
    return architecture.dropout_rate if isinstance(architecture, T5Architecture) else 0.0


def with_dropout(architecture: Architecture, rate: float) -> Architecture:
    """The architecture with another dropout rate.

    Raises:
        InputError: the family has no dropout of its own, and the rate is not 0.
    """
    if isinstance(architecture, T5Architecture):
        return replace(architecture, dropout_rate=rate)
    if rate > 0:
        raise InputError(f"'model.dropout' is {rate}, and Llama has no dropout of its own; set 'tuning.lora.dropout'")
    return architecture


def family_of(settings: Mapping[str, Any], where: str) -> Family:
    """The family of a Hugging Face `config.json`; `where` opens the error sentence.

    Raises:
        InputError: `model_type` is missing or not one of ours.
    """
    kind = settings.get("model_type")
    if not isinstance(kind, str) or kind not in FAMILIES:
        raise InputError(f"{where}: model_type {kind!r} is not supported; supported are {', '.join(FAMILIES)}")
    return FAMILIES[kind]
