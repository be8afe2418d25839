"""The model families: for each, how its architecture is read, which module computes it, what its tensors are called.

A family is a module file, an architecture class and one name table below; everything else (weights, adapters, export,
sharding) works from these. The table is used for reading, for writing and for PEFT's adapter names. What a model is can
be asked without JAX; only its module brings it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from flan_jax.errors import InputError
from flan_jax.model.architecture.decoder import LlamaArchitecture
from flan_jax.model.architecture.encoder_decoder import T5Architecture
from flan_jax.model.families import llama_gguf
from flan_jax.model.families.llama import llama_names
from flan_jax.model.families.t5 import t5_names
from flan_jax.model.names import HEAD, Name
from flan_jax.weights.gguf import GgufSource
from flan_jax.weights.gguf_file import GgufFile

Architecture = LlamaArchitecture | T5Architecture


@dataclass(frozen=True)
class GgufForm:
    """How a family is read from GGUF: settings as a config.json states them, tensors by Hugging Face's names."""

    settings: Callable[[GgufFile], dict[str, Any]]
    weights: Callable[[GgufFile], GgufSource]


@dataclass(frozen=True)
class Family:
    """One kind of model.

    Attributes:
        name: `model_type` in a Hugging Face `config.json`.
        kind: decoder or encoder_decoder.
        architecture: class with `from_hf` and `to_hf`.
        module: makes the model, an `nnx.Module`.
        names: every tensor a model of this architecture has, ours and theirs.
        head: name of the head's tensor, which files of tied models may hold as a copy of the embedding.
        ignored: patterns of tensor names that files may hold and nothing needs.
        peft_task: `task_type` of an adapter in PEFT's words.
        gguf: how it is read from GGUF files that name it as their architecture; none: it is not.
    """

    name: str
    kind: str
    architecture: type[Any]
    module: Callable[..., Any]
    names: Callable[[Any], tuple[Name, ...]]
    head: str
    ignored: tuple[str, ...]
    peft_task: str
    gguf: GgufForm | None

    @property
    def is_encoder_decoder(self) -> bool:
        """Whether inputs and targets are separate."""
        return self.kind == "encoder_decoder"


def _llama(*args: Any, **kwargs: Any) -> Any:
    from flan_jax.model.decoder import Llama  # late: brings JAX

    return Llama(*args, **kwargs)


def _t5(*args: Any, **kwargs: Any) -> Any:
    from flan_jax.model.encoder_decoder import T5

    return T5(*args, **kwargs)


FAMILIES: Mapping[str, Family] = {
    "llama": Family(
        name="llama",
        kind="decoder",
        architecture=LlamaArchitecture,
        module=_llama,
        names=llama_names,
        head=HEAD,
        ignored=(r"model\.layers\.\d+\.self_attn\.rotary_emb\.inv_freq",),
        peft_task="CAUSAL_LM",
        gguf=GgufForm(llama_gguf.gguf_settings, llama_gguf.gguf_weights),
    ),
    "t5": Family(
        name="t5",
        kind="encoder_decoder",
        architecture=T5Architecture,
        module=_t5,
        names=t5_names,
        head=HEAD,
        ignored=(
            r"(encoder|decoder)\.embed_tokens\.weight",
            # written by early conversions, read by nothing: cross-attention has no position bias
            r"decoder\.block\.0\.layer\.1\.EncDecAttention\.relative_attention_bias\.weight",
        ),
        peft_task="SEQ_2_SEQ_LM",
        gguf=None,
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
