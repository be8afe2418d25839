"""What a Llama model is: its sizes and switches, read from and written to the keys of a Hugging Face config.json."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from flan_jax.errors import InputError
from flan_jax.model.architecture.rotary import Rotary


@dataclass(frozen=True)
class LlamaArchitecture:
    """What a Llama model is; sizes by the dimension letters of `layers`."""

    kind: ClassVar[Literal["decoder", "encoder_decoder"]] = "decoder"
    decoder_start_token_id: ClassVar[int] = 0  # unused: a decoder's rows begin with their first token
    vocabulary: int  # V
    width: int  # D
    mlp: int  # F
    layers: int  # L
    heads: int  # N
    kv_heads: int  # K
    head_dim: int  # H
    epsilon: float  # added to the mean square in norms
    rotary: Rotary
    is_tied: bool  # the head is the embedding
    attention_bias: bool  # bias on query, key, value and output
    mlp_bias: bool  # bias on gate, up and down
    stddev: float  # of new weights
    max_length: int  # positions the model was made for

    @classmethod
    def from_hf(cls, config: Mapping[str, Any]) -> LlamaArchitecture:
        """Reads the keys of a Hugging Face config.json; defaults are transformers' own.

        Raises:
            InputError: a size is missing or no positive integer, heads do not group, or the activation is not SiLU.
        """
        size = _sizes(config)
        heads = size("num_attention_heads")
        kv_heads = size("num_key_value_heads", heads)
        if heads % kv_heads:
            raise InputError(
                f"config.json: 'num_attention_heads' ({heads}) must be a multiple of 'num_key_value_heads' ({kv_heads})"
            )
        if config.get("hidden_act", "silu") != "silu":
            raise InputError(f"config.json: 'hidden_act' must be 'silu' for Llama, found {config['hidden_act']!r}")
        width = size("hidden_size")
        head_dim = size("head_dim", width // heads)
        if head_dim % 2:
            raise InputError(f"config.json: 'head_dim' must be even for rotary positions, found {head_dim}")
        return cls(
            vocabulary=size("vocab_size"),
            width=width,
            mlp=size("intermediate_size"),
            layers=size("num_hidden_layers"),
            heads=heads,
            kv_heads=kv_heads,
            head_dim=head_dim,
            epsilon=float(config.get("rms_norm_eps", 1e-6)),
            rotary=Rotary.from_hf(config),
            is_tied=bool(config.get("tie_word_embeddings", False)),
            attention_bias=bool(config.get("attention_bias", False)),
            mlp_bias=bool(config.get("mlp_bias", False)),
            stddev=float(config.get("initializer_range", 0.02)),
            max_length=size("max_position_embeddings", 2048),
        )

    def to_hf(self) -> dict[str, Any]:
        """The keys of a config.json that transformers loads as the same model."""
        return {
            "architectures": ["LlamaForCausalLM"],
            "model_type": "llama",
            "hidden_act": "silu",
            "vocab_size": self.vocabulary,
            "hidden_size": self.width,
            "intermediate_size": self.mlp,
            "num_hidden_layers": self.layers,
            "num_attention_heads": self.heads,
            "num_key_value_heads": self.kv_heads,
            "head_dim": self.head_dim,
            "rms_norm_eps": self.epsilon,
            "tie_word_embeddings": self.is_tied,
            "attention_bias": self.attention_bias,
            "mlp_bias": self.mlp_bias,
            "initializer_range": self.stddev,
            "max_position_embeddings": self.max_length,
            **self.rotary.to_hf(),
        }


def _sizes(config: Mapping[str, Any]) -> Any:
    """A reader of positive integers from `config`, with a default where the key is absent or null."""

    def size(key: str, default: int | None = None) -> int:
        value = config.get(key)
        value = default if value is None else value
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise InputError(f"config.json: '{key}' must be a positive integer, found {value!r}")
        return value

    return size
