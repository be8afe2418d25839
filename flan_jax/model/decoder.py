"""Llama decoders (Llama 1–3, SmolLM2, and what shares their architecture), stacked under one layer scan.

Embedding → L × (RMSNorm → grouped-query attention with rotary positions → RMSNorm → SwiGLU MLP) → RMSNorm → head, tied
to the embedding or not. Parameter paths: embedding.table, blocks.{attention_norm,attention.{query,key,value,output},
mlp_norm,mlp.{gate,up,down}}, final_norm.scale, unembedding.table (where untied).

Source: Touvron et al. 2023 (arXiv:2302.13971) section 2.2; Hugging Face's modeling_llama.py for the checkpoints' form.
"""

from __future__ import annotations

from collections.abc import Mapping

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int, Key

from flan_jax.errors import InputError
from flan_jax.model.adapters.lora import LoraSettings, lora_for
from flan_jax.model.architecture.decoder import LlamaArchitecture
from flan_jax.model.nn.attention import Visibility, attend
from flan_jax.model.nn.bits import PRODUCT, keep, to_bits
from flan_jax.model.nn.cache import Cache, fill_cache
from flan_jax.model.nn.layers import ComputeSettings, Embedding, Projection, RMSNorm, gated_silu, scan_layers
from flan_jax.model.nn.matmul import unembed
from flan_jax.model.nn.rotary import rotate, rotation
from flan_jax.parallel.mesh import constrain

Batch = Mapping[str, jax.Array]


class Attention(nnx.Module):
    """Grouped-query self-attention with rotary positions."""

    def __init__(
        self,
        architecture: LlamaArchitecture,
        path: str,
        *,
        rngs: nnx.Rngs,
        settings: ComputeSettings,
        lora: LoraSettings | None,
    ) -> None:
        a = architecture
        embed = {"embed": a.width}
        heads = {"heads": a.heads, "head_dim": a.head_dim}
        kv_heads = {"kv_heads": a.kv_heads, "head_dim": a.head_dim}

        def projection(name: str, inputs: dict[str, int], outputs: dict[str, int]) -> Projection:
            adapter = lora_for(lora, f"{path}.{name}")
            shared = {"stack": a.layers, "stddev": a.stddev, "rngs": rngs, "settings": settings}
            return Projection(inputs, outputs, lora=adapter, bias=a.attention_bias, **shared)

        self.query = projection("query", embed, heads)
        self.key = projection("key", embed, kv_heads)
        self.value = projection("value", embed, kv_heads)
        self.output = projection("output", heads, embed)
        self.scale = a.head_dim**-0.5

    def project(
        self, x: Float[Array, "B T D"], turn: tuple[Array, Array], keys: tuple[Key[Array, ""] | None, ...]
    ) -> tuple[Float[Array, "B T N H"], Float[Array, "B T K H"], Float[Array, "B T K H"]]:
        """Queries and keys, turned by their positions, and values."""
        query = rotate(self.query(x, dropout_key=keys[0]), *turn)
        key = rotate(self.key(x, dropout_key=keys[1]), *turn)
        # kept in place of the products they turn: attention's backward pass reads these alone
        return keep(query, PRODUCT), keep(key, PRODUCT), self.value(x, dropout_key=keys[2])


class Mlp(nnx.Module):
    """SwiGLU: down(silu(gate(x)) · up(x))."""

    def __init__(
        self,
        architecture: LlamaArchitecture,
        path: str,
        *,
        rngs: nnx.Rngs,
        settings: ComputeSettings,
        lora: LoraSettings | None,
    ) -> None:
        a = architecture
        embed, mlp = {"embed": a.width}, {"mlp": a.mlp}

        def projection(name: str, inputs: dict[str, int], outputs: dict[str, int]) -> Projection:
            adapter = lora_for(lora, f"{path}.{name}")
            shared = {"stack": a.layers, "stddev": a.stddev, "rngs": rngs, "settings": settings}
            return Projection(inputs, outputs, lora=adapter, bias=a.mlp_bias, **shared)

        self.gate = projection("gate", embed, mlp)
        self.up = projection("up", embed, mlp)
        self.down = projection("down", mlp, embed)

    def __call__(self, x: Float[Array, "B T D"], keys: tuple[Key[Array, ""] | None, ...]) -> Float[Array, "B T D"]:
        """The MLP's output for one layer."""
        gate, up = self.gate(x, dropout_key=keys[0]), self.up(x, dropout_key=keys[1])
        return self.down(gated_silu(gate, up), dropout_key=keys[2])


class Block(nnx.Module):
    """One layer, its parameters stacked over all layers."""

    def __init__(
        self, architecture: LlamaArchitecture, *, rngs: nnx.Rngs, settings: ComputeSettings, lora: LoraSettings | None
    ) -> None:
        a = architecture
        self.attention_norm = RMSNorm(a.width, epsilon=a.epsilon, stack=a.layers, settings=settings)
        self.attention = Attention(a, "blocks.attention", rngs=rngs, settings=settings, lora=lora)
        self.mlp_norm = RMSNorm(a.width, epsilon=a.epsilon, stack=a.layers, settings=settings)
        self.mlp = Mlp(a, "blocks.mlp", rngs=rngs, settings=settings, lora=lora)

    def __call__(
        self,
        x: Float[Array, "B T D"],
        turn: tuple[Array, Array],
        visibility: Visibility,
        dropout_key: Key[Array, ""] | None,
    ) -> tuple[Float[Array, "B T D"], tuple[Float[Array, "B T K H"], Float[Array, "B T K H"]]]:
        """The layer's output, and its keys and values for a cache."""
        keys = (None,) * 7 if dropout_key is None else tuple(jax.random.split(dropout_key, 7))
        query, key, value = self.attention.project(self.attention_norm(x), turn, keys[:3])
        attended = attend(query, key, value, visibility, scale=self.attention.scale)
        x = x + self.attention.output(attended, dropout_key=keys[3])
        x = x + self.mlp(self.mlp_norm(x), keys[4:])
        return constrain(x, ("batch", "length", "act_embed")), (key, value)

    def decode(
        self, x: Float[Array, "B 1 D"], cache: Cache, layer: Int[Array, ""], turn: tuple[Array, Array]
    ) -> tuple[Float[Array, "B 1 D"], Cache]:
        """The layer's output for the current token, its key and value written to the cache."""
        query, key, value = self.attention.project(self.attention_norm(x), turn, (None,) * 3)
        cache = cache.write(layer, key, value)
        x = x + self.attention.output(cache.attend(layer, query, scale=self.attention.scale))
        return x + self.mlp(self.mlp_norm(x), (None,) * 3), cache


class Llama(nnx.Module):
    """A Llama decoder; `hidden` for losses and scores, `start_decode` and `decode_step` for text, all `logits`."""

    kind = "decoder"

    def __init__(
        self, architecture: LlamaArchitecture, *, rngs: nnx.Rngs, settings: ComputeSettings, lora: LoraSettings | None
    ) -> None:
        a = architecture
        self.settings = settings
        self.embedding = Embedding(a.vocabulary, a.width, stddev=a.stddev, rngs=rngs, settings=settings)
        self.blocks = Block(a, rngs=rngs, settings=settings, lora=lora)
        self.final_norm = RMSNorm(a.width, epsilon=a.epsilon, stack=None, settings=settings)
        self.unembedding = (
            None if a.is_tied else Embedding(a.vocabulary, a.width, stddev=a.stddev, rngs=rngs, settings=settings)
        )
        self.architecture = a

    def head(self) -> Float[Array, "V D"]:
        """The output table, in its storage type."""
        return (self.embedding if self.unembedding is None else self.unembedding).table[...]

    def logits(self, hidden: Float[Array, "*B D"], head: Float[Array, "V D"] | None = None) -> Float[Array, "*B V"]:
        """Logits of every token, float32; losses, scores and generation all take them from here.

        Args:
            hidden: states of `hidden` or of decoding.
            head: the table of `head`, where it was read or cast once before; it holds all parameters that are read.
        """
        return unembed(hidden, self.head() if head is None else head)

    def hidden(self, batch: Batch, *, dropout_key: Key[Array, ""] | None = None) -> Float[Array, "B T D"]:
        """Normed last states of packed rows, in the compute type.

        Args:
            batch: int32 [B, T] `inputs`, `segments` (0 is padding), `positions`, and where options share a prompt
                `branches` (a key of branch 0 is seen by its whole segment, others by their own branch).
            dropout_key: of the adapters' dropout; none: no dropout.
        """
        branches = batch.get("branches")
        segments = batch["segments"]
        visibility = Visibility(segments, segments, branches, branches, causal=True)
        keys = None if dropout_key is None else jax.random.split(dropout_key, self.architecture.layers)
        self._check_length(segments.shape[1])
        turn = self._turn(batch["positions"])

        def layer(block: Block, x: jax.Array, key: jax.Array | None) -> tuple[jax.Array, None]:
            return block(x, turn, visibility, key)[0], None

        x, _ = scan_layers(self.blocks, layer, self._embed(batch["inputs"]), keys, settings=self.settings)
        return self.final_norm(x)

    def start_decode(self, batch: Batch, *, max_new_tokens: int) -> tuple[Float[Array, "B D"], Cache]:
        """The normed state after each prompt, and a cache with room for `max_new_tokens`.

        Args:
            batch: int32 [B, P] `inputs`, padded on the left, and `segments` (1, and 0 for padding).
            max_new_tokens: how often `decode_step` may be called.
        """
        segments = batch["segments"]
        self._check_length(segments.shape[1] + max_new_tokens)
        positions = jnp.maximum(jnp.cumsum(segments, axis=1) - 1, 0)
        visibility = Visibility(segments, segments, causal=True)
        turn = self._turn(positions)

        def layer(block: Block, x: jax.Array, _: None) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
            x, (key, value) = block(x, turn, visibility, None)
            return x, (to_bits(key), to_bits(value))

        x = self._embed(batch["inputs"])
        x, (keys, values) = scan_layers(self.blocks, layer, x, None, settings=self.settings)
        cache = fill_cache(keys, values, segments, positions[:, -1] + 1, max_new_tokens=max_new_tokens)
        return self.final_norm(x[:, -1]), cache

    def decode_step(self, state: Cache, tokens: Int[Array, "B"]) -> tuple[Float[Array, "B D"], Cache]:
        """The normed state after one more token a row, and the cache with it; donate `state` to write in place."""
        turn = self._turn(state.positions[:, None])

        def layer(block: Block, carry: tuple[jax.Array, Cache], i: jax.Array) -> tuple[tuple[jax.Array, Cache], None]:
            x, cache = carry
            return block.decode(x, cache, i, turn), None

        layers = jnp.arange(self.architecture.layers, dtype=jnp.int32)
        carry = (self._embed(tokens[:, None]), state)
        (x, cache), _ = scan_layers(self.blocks, layer, carry, layers, settings=self.settings)
        return self.final_norm(x[:, 0]), cache.advance()

    def _check_length(self, length: int) -> None:
        """Dynamic frequencies are those of rows up to the model's own length; longer ones would change with the row."""
        if self.architecture.rotary.kind == "dynamic" and length > self.architecture.max_length:
            raise InputError(
                f"a row of {length} tokens is longer than 'max_position_embeddings' ({self.architecture.max_length}), "
                "up to which the rope type 'dynamic' is supported; use shorter rows"
            )

    def _turn(self, positions: Int[Array, "B T"]) -> tuple[Array, Array]:
        return rotation(positions, self.architecture.rotary.frequencies(self.architecture.head_dim))

    def _embed(self, inputs: Int[Array, "B T"]) -> Float[Array, "B T D"]:
        return constrain(self.embedding(inputs), ("batch", "length", "act_embed"))
