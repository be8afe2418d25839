"""T5 encoder-decoders (1.0, 1.1, Flan-T5), each stack under one layer scan, inputs and targets packed on both sides.

Embedding → encoder: E × (RMSNorm → self-attention → RMSNorm → MLP) → RMSNorm; decoder: the same with causal
self-attention and cross-attention between. No attention scale (the initial weights hold it) and no positions but the
relative bias, one table a stack. Several segments share a row on either side: a token sees its own segment, and
cross-attention sees the encoder segment of the same number, or of the number that `cross_segments` names, so that many
candidate targets can read one encoded input.

Parameter paths: embedding.table, {encoder,decoder}.{relative_bias.table, final_norm.scale, blocks.attention_norm.scale,
blocks.attention.{query,key,value,output}.kernel, blocks.mlp_norm.scale, blocks.mlp.{gate,up,down}.kernel}, in the
decoder blocks.cross_attention_norm and blocks.cross_attention too, and unembedding.table where untied.

bfloat16 or float32 only: T5's residual stream grows past what float16 holds. Dropout acts where T5's does, on the
stack's input and output, on each sublayer's output and within the MLP, but for the attention weights: no T × S array of
them is kept to drop from.

Source: Raffel et al. 2020 (arXiv:1910.10683) section 2.1; Shazeer 2020 (arXiv:2002.05202) for the gated MLP; Hugging
Face's modeling_t5.py for the checkpoints' form.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int, Key, Shaped

from flan_jax.model.adapters.lora import LoraSettings, lora_for
from flan_jax.model.architecture.encoder_decoder import T5Architecture
from flan_jax.model.nn.array_tree import array_tree
from flan_jax.model.nn.attention import Visibility, attend
from flan_jax.model.nn.bits import from_bits, to_bits
from flan_jax.model.nn.layers import ComputeSettings, Embedding, Projection, RMSNorm, drop, scan_layers
from flan_jax.model.nn.matmul import unembed
from flan_jax.model.nn.relative_bias import RelativeBias
from flan_jax.parallel.mesh import constrain

Batch = Mapping[str, jax.Array]
KeyOrNone = Key[Array, ""] | None
_ACTIVATIONS = {"relu": jax.nn.relu, "gelu_tanh": partial(jax.nn.gelu, approximate=True), "silu": jax.nn.silu}
_STATES = ("batch", "length", "act_embed")


@array_tree
@dataclass(frozen=True)
class T5DecodeState:
    """What generation carries from token to token.

    Keys and values are `bits.to_bits` of what they say, as only their slices are ever computed with.

    Attributes:
        step: tokens seen so far, int32 [].
        keys: self-attention cache [L, B, P, N, H]; places from `step` on are not yet filled.
        values: as `keys`.
        cross_keys: of the encoded input [L, B, S, N, H], made once.
        cross_values: as `cross_keys`.
        encoder_segments: int32 [B, S], 0 at padding.
    """

    step: Int[Array, ""]
    keys: Shaped[Array, "L B P N H"]
    values: Shaped[Array, "L B P N H"]
    cross_keys: Shaped[Array, "L B S N H"]
    cross_values: Shaped[Array, "L B S N H"]
    encoder_segments: Int[Array, "B S"]


@dataclass(frozen=True)
class Build:
    """What every module of one stack is made with."""

    architecture: T5Architecture
    stack: str  # encoder | decoder
    layers: int
    rngs: nnx.Rngs
    settings: ComputeSettings
    lora: LoraSettings | None

    def projection(self, path: str, inputs: dict[str, int], outputs: dict[str, int], variance: float) -> Projection:
        """A projection at `path` below the stack's blocks, with new values of this variance (for factor 1)."""
        return Projection(
            inputs,
            outputs,
            stack=self.layers,
            stddev=self.architecture.stddev_factor * math.sqrt(variance),
            rngs=self.rngs,
            settings=self.settings,
            lora=lora_for(self.lora, f"{self.stack}.blocks.{path}"),
        )

    def norm(self, *, is_stacked: bool) -> RMSNorm:
        """A norm of the model width."""
        a = self.architecture
        stack = self.layers if is_stacked else None
        return RMSNorm(a.width, epsilon=a.epsilon, stack=stack, settings=self.settings)


class Attention(nnx.Module):
    """Multi-head attention without scale or positions of its own; self- or cross-attention by what is handed in."""

    def __init__(self, build: Build, path: str) -> None:
        a = build.architecture
        embed, heads = {"embed": a.width}, {"heads": a.heads, "head_dim": a.head_dim}
        # Source: mesh_tensorflow transformer/attention.py; the query's variance holds the missing 1/sqrt(H) twice
        self.query = build.projection(f"{path}.query", embed, heads, 1 / (a.width * a.head_dim))
        self.key = build.projection(f"{path}.key", embed, heads, 1 / a.width)
        self.value = build.projection(f"{path}.value", embed, heads, 1 / a.width)
        self.output = build.projection(f"{path}.output", heads, embed, 1 / (a.heads * a.head_dim))

    def keys_values(
        self, x: Float[Array, "B S D"], dropout_key: KeyOrNone
    ) -> tuple[Float[Array, "B S N H"], Float[Array, "B S N H"]]:
        """Keys and values of `x`."""
        for_key, for_value = _split(dropout_key, 2)
        return self.key(x, dropout_key=for_key), self.value(x, dropout_key=for_value)

    def __call__(
        self,
        x: Float[Array, "B T D"],
        keys_values: tuple[Float[Array, "B S N H"], Float[Array, "B S N H"]],
        visibility: Visibility,
        bias: Float[Array, "N T S"] | None,
        dropout_key: KeyOrNone,
    ) -> Float[Array, "B T D"]:
        """What the queries of `x` gather."""
        for_query, for_output = _split(dropout_key, 2)
        query = self.query(x, dropout_key=for_query)
        return self.output(attend(query, *keys_values, visibility, scale=1.0, bias=bias), dropout_key=for_output)


class Mlp(nnx.Module):
    """down(activation(up(x))), or gated: down(activation(gate(x)) · up(x))."""

    def __init__(self, build: Build) -> None:
        a = build.architecture
        embed, mlp = {"embed": a.width}, {"mlp": a.mlp}
        self.gate = build.projection("mlp.gate", embed, mlp, 1 / a.width) if a.is_gated else None
        self.up = build.projection("mlp.up", embed, mlp, 1 / a.width)
        self.down = build.projection("mlp.down", mlp, embed, 1 / a.mlp)
        self.activation = a.activation
        self.dropout_rate = a.dropout_rate

    def __call__(self, x: Float[Array, "B T D"], dropout_key: KeyOrNone) -> Float[Array, "B T D"]:
        """The MLP's output for one layer."""
        for_gate, for_up, for_inner, for_down = _split(dropout_key, 4)
        activation = _ACTIVATIONS[self.activation]
        inner = self.up(x, dropout_key=for_up)
        if self.gate is None:
            inner = activation(inner)
        else:
            inner = activation(self.gate(x, dropout_key=for_gate)) * inner
        return self.down(_drop(inner, self.dropout_rate, for_inner), dropout_key=for_down)


class Block(nnx.Module):
    """One layer, its parameters stacked over the layers of its stack; the decoder's has cross-attention."""

    def __init__(self, build: Build) -> None:
        self.attention_norm = build.norm(is_stacked=True)
        self.attention = Attention(build, "attention")
        reads_encoder = build.stack == "decoder"
        self.cross_attention_norm = build.norm(is_stacked=True) if reads_encoder else None
        self.cross_attention = Attention(build, "cross_attention") if reads_encoder else None
        self.mlp_norm = build.norm(is_stacked=True)
        self.mlp = Mlp(build)
        self.dropout_rate = build.architecture.dropout_rate

    def attend_self(
        self, x: Float[Array, "B T D"], visibility: Visibility, bias: Float[Array, "N T T"], dropout_key: KeyOrNone
    ) -> Float[Array, "B T D"]:
        """`x` plus what self-attention over the row gathers."""
        for_keys, for_rest, for_sum = _split(dropout_key, 3)
        normed = self.attention_norm(x)
        keys_values = self.attention.keys_values(normed, for_keys)
        return x + _drop(self.attention(normed, keys_values, visibility, bias, for_rest), self.dropout_rate, for_sum)

    def attend_cached(
        self,
        x: Float[Array, "B 1 D"],
        cache: tuple[Shaped[Array, "L B P N H"], Shaped[Array, "L B P N H"]],
        place: tuple[Int[Array, ""], Int[Array, ""]],
        bias: Float[Array, "N 1 P"],
    ) -> tuple[Float[Array, "B 1 D"], tuple[Shaped[Array, "L B P N H"], Shaped[Array, "L B P N H"]]]:
        """`x` plus what self-attention over the cache gathers, and the cache with this token's keys and values in it.

        Args:
            x: states of the newest token.
            cache: keys and values of all layers, as bits, written in place.
            place: layer, and token number.
            bias: of this token against every place of the cache.
        """
        layer, step = place
        normed = self.attention_norm(x)
        new = self.attention.keys_values(normed, None)
        start = (layer, 0, step, 0, 0)
        keys, values = (
            jax.lax.dynamic_update_slice(old, to_bits(part[None]), start) for old, part in zip(cache, new, strict=True)
        )
        filled = (jnp.arange(keys.shape[2]) <= step).astype(jnp.int32)
        seen = Visibility(jnp.ones(x.shape[:2], jnp.int32), jnp.broadcast_to(filled, keys.shape[1:3]))
        cached = (from_bits(keys[layer]), from_bits(values[layer]))
        return x + self.attention(normed, cached, seen, bias, None), (keys, values)

    def attend_encoded(
        self,
        x: Float[Array, "B T D"],
        keys_values: tuple[Float[Array, "B S N H"], Float[Array, "B S N H"]],
        visibility: Visibility,
        dropout_key: KeyOrNone,
    ) -> Float[Array, "B T D"]:
        """`x` plus what cross-attention gathers from the encoded input."""
        assert self.cross_attention is not None, "the encoder has no cross-attention"
        assert self.cross_attention_norm is not None
        for_rest, for_sum = _split(dropout_key, 2)
        gathered = self.cross_attention(self.cross_attention_norm(x), keys_values, visibility, None, for_rest)
        return x + _drop(gathered, self.dropout_rate, for_sum)

    def feed_forward(self, x: Float[Array, "B T D"], dropout_key: KeyOrNone) -> Float[Array, "B T D"]:
        """`x` plus the MLP's output."""
        for_inner, for_sum = _split(dropout_key, 2)
        return x + _drop(self.mlp(self.mlp_norm(x), for_inner), self.dropout_rate, for_sum)


class Stack(nnx.Module):
    """The encoder or the decoder."""

    def __init__(self, build: Build) -> None:
        a = build.architecture
        self.relative_bias = RelativeBias(
            a.buckets,
            a.heads,
            max_distance=a.max_distance,
            is_bidirectional=build.stack == "encoder",
            stddev=a.stddev_factor / math.sqrt(a.width),
            rngs=build.rngs,
            settings=build.settings,
        )
        self.blocks = Block(build)
        self.final_norm = build.norm(is_stacked=False)
        self.layers = build.layers


class T5(nnx.Module):
    """A T5 encoder-decoder; `hidden` for losses and scores, `start_decode` and `decode_step` for text, all `logits`."""

    kind = "encoder_decoder"

    def __init__(
        self, architecture: T5Architecture, *, rngs: nnx.Rngs, settings: ComputeSettings, lora: LoraSettings | None
    ) -> None:
        a = architecture
        self.architecture = a
        self.settings = settings
        self.embedding = Embedding(a.vocabulary, a.width, stddev=a.stddev_factor, rngs=rngs, settings=settings)
        self.encoder = Stack(Build(a, "encoder", a.encoder_layers, rngs, settings, lora))
        self.decoder = Stack(Build(a, "decoder", a.decoder_layers, rngs, settings, lora))
        stddev = a.stddev_factor / math.sqrt(a.width)
        self.unembedding = (
            None if a.is_tied else Embedding(a.vocabulary, a.width, stddev=stddev, rngs=rngs, settings=settings)
        )

    def head(self) -> Float[Array, "V D"]:
        """The output table, in its storage type."""
        return (self.embedding if self.unembedding is None else self.unembedding).table[...]

    def logits(self, hidden: Float[Array, "*B D"], head: Float[Array, "V D"] | None = None) -> Float[Array, "*B V"]:
        """Logits of every token, float32; losses, scores and generation all take them from here.

        Args:
            hidden: states of `hidden` or of decoding; where head and embedding are tied, they are scaled first.
            head: the table of `head`, where it was read or cast once before; it holds all parameters that are read.
        """
        a = self.architecture
        scaled = hidden * jnp.asarray(a.width**-0.5, hidden.dtype) if a.is_tied else hidden
        return unembed(scaled, self.head() if head is None else head)

    def hidden(self, batch: Batch, *, dropout_key: KeyOrNone = None) -> Float[Array, "B T D"]:
        """Normed last states of the decoder on packed rows, in the compute type.

        Args:
            batch: int32 `encoder_inputs`, `encoder_segments` [B, S], `decoder_inputs`, `decoder_segments` [B, T], and
                `cross_segments` [B, T] where a decoder segment reads an encoder segment of another number.
            dropout_key: of the model's own dropout and the adapters'; none: no dropout.
        """
        for_encoder, for_decoder = _split(dropout_key, 2)
        encoded = self.encode(batch["encoder_inputs"], batch["encoder_segments"], dropout_key=for_encoder)
        segments = batch["decoder_segments"]
        own = Visibility(segments, segments, causal=True)
        cross = Visibility(batch.get("cross_segments", segments), batch["encoder_segments"])
        for_input, for_layers, for_output = _split(for_decoder, 3)
        x = self._embed(batch["decoder_inputs"], for_input)
        places = jnp.arange(segments.shape[1])
        bias = self.decoder.relative_bias(places, places)

        def layer(block: Block, x: jax.Array, key: KeyOrNone) -> tuple[jax.Array, None]:
            for_self, for_keys, for_cross, for_mlp = _split(key, 4)
            assert block.cross_attention is not None
            x = block.attend_self(x, own, bias, for_self)
            x = block.attend_encoded(x, block.cross_attention.keys_values(encoded, for_keys), cross, for_cross)
            return constrain(block.feed_forward(x, for_mlp), _STATES), None

        keys = _layer_keys(for_layers, self.decoder.layers)
        x, _ = scan_layers(self.decoder.blocks, layer, x, keys, settings=self.settings)
        return self._finish(x, for_output)

    def encode(
        self, inputs: Int[Array, "B S"], segments: Int[Array, "B S"], *, dropout_key: KeyOrNone = None
    ) -> Float[Array, "B S D"]:
        """Normed last states of the encoder, in the compute type."""
        for_input, for_layers, for_output = _split(dropout_key, 3)
        visibility = Visibility(segments, segments)
        places = jnp.arange(segments.shape[1])
        bias = self.encoder.relative_bias(places, places)

        def layer(block: Block, x: jax.Array, key: KeyOrNone) -> tuple[jax.Array, None]:
            for_self, for_mlp = _split(key, 2)
            x = block.feed_forward(block.attend_self(x, visibility, bias, for_self), for_mlp)
            return constrain(x, _STATES), None

        keys = _layer_keys(for_layers, self.encoder.layers)
        x, _ = scan_layers(self.encoder.blocks, layer, self._embed(inputs, for_input), keys, settings=self.settings)
        return _drop(self.encoder.final_norm(x), self.architecture.dropout_rate, for_output)

    def start_decode(self, batch: Batch, *, max_new_tokens: int) -> tuple[Float[Array, "B D"], T5DecodeState]:
        """Last states that predict the first new token, and the state to go on from.

        Args:
            batch: int32 `encoder_inputs`, `encoder_segments` [B, S]; segments are 1, padding 0 on either side.
            max_new_tokens: most tokens that will be handed to `decode_step`.
        """
        a = self.architecture
        segments = batch["encoder_segments"]
        encoded = self.encode(batch["encoder_inputs"], segments)

        def layer(block: Block, encoded: jax.Array, _: None) -> tuple[jax.Array, Any]:
            assert block.cross_attention is not None
            return encoded, jax.tree.map(to_bits, block.cross_attention.keys_values(encoded, None))

        _, (cross_keys, cross_values) = scan_layers(self.decoder.blocks, layer, encoded, None, settings=self.settings)
        rows = segments.shape[0]
        # one place more than new tokens: the start token has the first
        shape = (a.decoder_layers, rows, max_new_tokens + 1, a.heads, a.head_dim)
        empty = to_bits(jnp.zeros(shape, self.settings.compute_dtype))
        state = T5DecodeState(jnp.zeros((), jnp.int32), empty, empty, cross_keys, cross_values, segments)
        return self.decode_step(state, jnp.full((rows,), a.decoder_start_token_id, jnp.int32))

    def decode_step(self, state: T5DecodeState, tokens: Int[Array, "B"]) -> tuple[Float[Array, "B D"], T5DecodeState]:
        """Last states after `tokens`, and the next state."""
        x = self._embed(tokens[:, None], None)
        bias = self.decoder.relative_bias(state.step[None], jnp.arange(state.keys.shape[2]))
        cross = Visibility(jnp.ones(x.shape[:2], jnp.int32), state.encoder_segments)

        def layer(block: Block, carry: Any, inputs: Any) -> tuple[Any, None]:
            x, cache = carry
            number, keys_values = inputs
            x, cache = block.attend_cached(x, cache, (number, state.step), bias)
            x = block.attend_encoded(x, jax.tree.map(from_bits, keys_values), cross, None)
            return (block.feed_forward(x, None), cache), None

        # the cache is carried, not a scanned output: XLA then writes it in place
        carry = (x, (state.keys, state.values))
        inputs = (jnp.arange(self.decoder.layers), (state.cross_keys, state.cross_values))
        (x, (keys, values)), _ = scan_layers(self.decoder.blocks, layer, carry, inputs, settings=self.settings)
        step = state.step + 1
        new = T5DecodeState(step, keys, values, state.cross_keys, state.cross_values, state.encoder_segments)
        return self._finish(x, None)[:, 0], new

    def _embed(self, ids: Int[Array, "B T"], dropout_key: KeyOrNone) -> Float[Array, "B T D"]:
        x = _drop(self.embedding(ids), self.architecture.dropout_rate, dropout_key)
        return constrain(x, _STATES)

    def _finish(self, x: Float[Array, "B T D"], dropout_key: KeyOrNone) -> Float[Array, "B T D"]:
        return _drop(self.decoder.final_norm(x), self.architecture.dropout_rate, dropout_key)


def _split(key: KeyOrNone, number: int) -> tuple[KeyOrNone, ...]:
    """`number` keys made of one; all none where there is none."""
    return (None,) * number if key is None else tuple(jax.random.split(key, number))


def _layer_keys(key: KeyOrNone, layers: int) -> Key[Array, "L"] | None:
    return None if key is None else jax.random.split(key, layers)


def _drop(x: Float[Array, "..."], rate: float, key: KeyOrNone) -> Float[Array, "..."]:
    return x if key is None or rate == 0 else drop(x, rate, key)
