"""What a T5 is: the settings of its `config.json`, under our names, read from and written in Hugging Face's form.

Covers T5 1.0 (ReLU, tied embeddings, scaled output) and T5 1.1 / Flan-T5 (gated GELU, untied, unscaled).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from flan_jax.errors import InputError
from flan_jax.weights.architecture import with_defaults

_MAY_BE_LEFT_OUT = (
    *("relative_attention_num_buckets", "relative_attention_max_distance", "dropout_rate", "layer_norm_epsilon"),
    *("initializer_factor", "feed_forward_proj", "tie_word_embeddings", "pad_token_id", "eos_token_id"),
)
_REQUIRED = ("vocab_size", "d_model", "d_kv", "d_ff", "num_layers", "num_heads")
# feed_forward_proj → (activation, gated); 'gated-gelu' means the tanh form, whatever its name says (transformers 5.24,
# models/t5/configuration_t5.py)
_ACTIVATIONS = {
    "relu": ("relu", False),
    "gated-gelu": ("gelu_tanh", True),
    "gated-relu": ("relu", True),
    "gated-silu": ("silu", True),
}


@dataclass(frozen=True)
class T5Architecture:
    """Sizes and switches of a T5 encoder-decoder."""

    kind: ClassVar[Literal["decoder", "encoder_decoder"]] = "encoder_decoder"
    max_length: ClassVar[int | None] = None  # positions are relative: no text is too long for them

    vocabulary: int  # V
    width: int  # D
    mlp: int  # F
    heads: int  # N
    head_dim: int  # H; need not be D / N
    encoder_layers: int
    decoder_layers: int
    buckets: int  # relative position buckets, of both directions together in the encoder
    max_distance: int  # from this distance in tokens on, all positions share the last bucket
    dropout_rate: float
    epsilon: float  # added to the mean square in norms
    stddev_factor: float  # of new weights
    activation: str  # relu | gelu_tanh | silu
    is_gated: bool
    is_tied: bool  # the head is the embedding, and final states are multiplied by D ** -0.5
    decoder_start_token_id: int
    pad_token_id: int
    eos_token_id: int

    @classmethod
    def from_hf(cls, settings: Mapping[str, Any]) -> T5Architecture:
        """The architecture that a Hugging Face `config.json` describes; what it leaves out is transformers' default.

        Raises:
            InputError: a size is missing or not positive, or the activation is not known.
        """
        for key in _REQUIRED:
            if not isinstance(settings.get(key), int) or settings[key] < 1:
                raise InputError(f"T5 config: '{key}' must be a positive integer, found {settings.get(key)!r}")
        full = with_defaults("t5", settings, _MAY_BE_LEFT_OUT)
        projection = full["feed_forward_proj"]
        if projection not in _ACTIVATIONS:
            allowed = ", ".join(_ACTIVATIONS)
            raise InputError(f"T5 config: feed_forward_proj '{projection}' is not supported; supported are {allowed}")
        activation, is_gated = _ACTIVATIONS[projection]
        # T5 1.0 ties and scales, 1.1 does neither, and one key says both: tie_word_embeddings. transformers 5 writes it
        # as true for every T5 and tells 1.1 by scale_decoder_outputs (configuration_t5.py, __post_init__).
        is_tied = full.get("scale_decoder_outputs", full["tie_word_embeddings"])
        eos_token_id = full["eos_token_id"]
        return cls(
            vocabulary=full["vocab_size"],
            width=full["d_model"],
            head_dim=full["d_kv"],
            mlp=full["d_ff"],
            heads=full["num_heads"],
            encoder_layers=full["num_layers"],
            decoder_layers=full.get("num_decoder_layers", full["num_layers"]),
            buckets=full["relative_attention_num_buckets"],
            max_distance=full["relative_attention_max_distance"],
            dropout_rate=float(full["dropout_rate"]),
            epsilon=float(full["layer_norm_epsilon"]),
            stddev_factor=float(full["initializer_factor"]),
            activation=activation,
            is_gated=is_gated,
            is_tied=is_tied,
            decoder_start_token_id=full.get("decoder_start_token_id", full["pad_token_id"]),
            pad_token_id=full["pad_token_id"],
            eos_token_id=eos_token_id[0] if isinstance(eos_token_id, list) else eos_token_id,
        )

    def to_hf(self) -> dict[str, Any]:
        """The settings as a Hugging Face `config.json`, every key stated."""
        projection = next(key for key, form in _ACTIVATIONS.items() if form == (self.activation, self.is_gated))
        return {
            "architectures": ["T5ForConditionalGeneration"],
            "model_type": "t5",
            "is_encoder_decoder": True,
            "vocab_size": self.vocabulary,
            "d_model": self.width,
            "d_kv": self.head_dim,
            "d_ff": self.mlp,
            "num_heads": self.heads,
            "num_layers": self.encoder_layers,
            "num_decoder_layers": self.decoder_layers,
            "relative_attention_num_buckets": self.buckets,
            "relative_attention_max_distance": self.max_distance,
            "dropout_rate": self.dropout_rate,
            "layer_norm_epsilon": self.epsilon,
            "initializer_factor": self.stddev_factor,
            "feed_forward_proj": projection,
            "tie_word_embeddings": self.is_tied,
            "decoder_start_token_id": self.decoder_start_token_id,
            "pad_token_id": self.pad_token_id,
            "eos_token_id": self.eos_token_id,
        }
