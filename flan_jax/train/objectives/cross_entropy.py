"""Cross-entropy over a large vocabulary, computed only where the loss weight is above zero, in chunks.

Where the head is wide (49k entries and a 576-wide model) it costs more than a third of a training step. Three things
keep it small: positions of weight zero (prompts, padding) never meet the head; the gradient is made in the forward
pass, chunk by chunk, so that no [B, T, V] array exists and no logits are computed twice; and all matrix products stay
in the compute type with float32 accumulation, which is also what keeps them on the fast kernels of each backend.

    hidden [B, T, D] ── sort: weighted positions first, per group ──► [G, P, D]
       for each chunk of C positions, as many as the fullest group needs:
           the model's logits [G, C, V] → loss [G, C], dlogits → dh [G, C, D]
       for each block of chunks, where the head is tuned: dlogits [G, block, V] → dhead [G, D, V]
    dh ── undo the sort ──► [B, T, D]

What lies between states and logits is the model's alone: here it is a function, and its gradient is `jax.vjp`'s. Of a
head without factors or caps, as `matmul.unembed` is, the second vjp of a block costs no second forward product; of one
with a cap the block's logits are made again.

A group is what one (data, fsdp) shard holds, so sorting and gathering never cross devices; with the vocabulary
sharded, the reductions over V are all-reduces of [G, C]. Letters beside the common ones: G groups, P positions of a
group, C positions of a chunk.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Num

from flan_jax.model.nn.bits import from_bits, to_bits
from flan_jax.parallel.mesh import constrain

# The head's gradient is [V, D] in float32, and each addition to it reads and writes all of it: chunks are gathered
# into blocks first. Measured at V 49152, D 576 on two cores, chunks of 128: 1 → 0.36 ms a token, 8 → 0.10.
CHUNKS_IN_BLOCK = 8

Logits = Callable[[jax.Array, jax.Array], jax.Array]


class CrossEntropy(NamedTuple):
    """Sums to be divided once, after accumulation and over all devices.

    Attributes:
        loss_sum: float32 scalar, sum of weight × negative log-likelihood; the only differentiable one.
        weight_sum: float32 scalar, sum of the weights.
        token_losses: float32 [B, T], weight × negative log-likelihood of each position.
    """

    loss_sum: Float[Array, ""]
    weight_sum: Float[Array, ""]
    token_losses: Float[Array, "B T"]


def cross_entropy(
    hidden: Float[Array, "B T D"],
    head: Float[Array, "V D"],
    targets: Int[Array, "B T"],
    weights: Float[Array, "B T"],
    *,
    logits: Logits,
    chunk: int,
    groups: int,
) -> CrossEntropy:
    """The weighted negative log-likelihood of `targets` under softmax(logits(hidden, head)).

    Differentiable in `hidden` and `head`, through `loss_sum` only. The gradient of `head` is computed, in float32,
    only if something asks for it.

    Args:
        hidden: final states in the compute type.
        head: output matrix, any float type.
        targets: int32 in [0, V).
        weights: float32, at least 0; where 0, `hidden` and `targets` do not matter.
        logits: the model's: (states [C, D], head [V, D]) → float32 [C, V]. It reads `head` in the type of the states,
            and no other parameter.
        chunk: positions of one group that meet the head at a time.
        groups: shards of the batch dimension; divides B.
    """
    with jax.named_scope("cross_entropy"):
        sums: Any = _summed(hidden, head, targets, weights, logits, chunk, groups)
        loss_sum, token_losses = sums
        return CrossEntropy(loss_sum, weights.sum(), token_losses)


@functools.partial(jax.custom_vjp, nondiff_argnums=(4, 5, 6))
def _summed(
    hidden: Array, head: Array, targets: Array, weights: Array, logits: Logits, chunk: int, groups: int
) -> tuple[Array, Array]:
    token_losses, _, _ = _in_chunks(
        hidden, head, targets, weights, logits, chunk, groups, hidden_gradient=False, head_gradient=False
    )
    return token_losses.sum(), token_losses


def _summed_forward(hidden: Any, head: Any, targets: Any, weights: Any, logits: Logits, chunk: int, groups: int) -> Any:
    # with symbolic zeros each argument says whether its gradient is asked for
    token_losses, hidden_gradient, head_gradient = _in_chunks(
        hidden.value,
        head.value,
        targets.value,
        weights.value,
        logits,
        chunk,
        groups,
        hidden_gradient=hidden.perturbed,
        head_gradient=head.perturbed,
    )
    return (token_losses.sum(), token_losses), (hidden_gradient, head_gradient)


def _summed_backward(logits: Logits, chunk: int, groups: int, gradients: Any, cotangents: Any) -> Any:
    scale = cotangents[0]
    if isinstance(scale, jax.custom_derivatives.SymbolicZero):
        return None, None, None, None
    hidden_gradient, head_gradient = (None if g is None else g * scale.astype(g.dtype) for g in gradients)
    return hidden_gradient, head_gradient, None, None


_summed.defvjp(_summed_forward, _summed_backward, symbolic_zeros=True)


class _Sums(NamedTuple):
    """What the loop over chunks fills; None where it is not asked for. `dh` and `dlogits` are held by `to_bits`."""

    losses_gp: Float[Array, "G P"]
    dh_gpd: Num[Array, "G P D"] | None
    dlogits_gbv: Num[Array, "G block V"] | None
    dhead_gdv: Float[Array, "G D V"] | None


def _in_chunks(
    hidden: Float[Array, "B T D"],
    head: Float[Array, "V D"],
    targets: Int[Array, "B T"],
    weights: Float[Array, "B T"],
    logits: Logits,
    chunk: int,
    groups: int,
    *,
    hidden_gradient: bool,
    head_gradient: bool,
) -> tuple[Float[Array, "B T"], Float[Array, "B T D"] | None, Float[Array, "V D"] | None]:
    """Losses by position and, where asked for, the gradients of their sum."""
    b, t, d = hidden.shape
    positions = b * t // groups
    chunk = min(chunk, positions)
    chunks_in_block = min(CHUNKS_IN_BLOCK, -(-positions // chunk)) if head_gradient else 1
    block = chunk * chunks_in_block
    padding = -positions % block

    order_gp = jnp.argsort(weights.reshape(groups, positions) == 0, axis=1, stable=True)
    inverse_gp = jnp.argsort(order_gp, axis=1)

    def sort(x: Array) -> Array:
        x = _take(x.reshape(groups, positions, *x.shape[2:]), order_gp)
        return jnp.pad(x, ((0, 0), (0, padding)) + ((0, 0),) * (x.ndim - 2))

    def unsort(x: Array) -> Array:
        return _take(x, inverse_gp).reshape(b, t, *x.shape[2:])

    # head[V_tensor, D_fsdp] -> all-gather over fsdp, once before the loop; cast there too
    whole_head_vd = constrain(head, ("vocab", "act_embed"))
    head_vd = constrain(head.astype(hidden.dtype), ("vocab", "act_embed"))
    weights_gp = sort(weights)
    # zeros where the weight is zero: such a row adds nothing to the head's gradient, whatever its logits
    h_gpd = jnp.where(weights_gp[..., None] > 0, sort(to_bits(hidden)), 0)
    one_chunk = functools.partial(
        _one_chunk,
        h_gpd=h_gpd,
        logits=lambda h_cd: logits(h_cd, head_vd),
        targets_gp=sort(targets),
        weights_gp=weights_gp,
        chunk=chunk,
        chunks_in_block=chunks_in_block,
    )

    def one_block(i: Array, sums: _Sums) -> _Sums:
        sums = jax.lax.fori_loop(
            i * chunks_in_block, jnp.minimum((i + 1) * chunks_in_block, num_chunks), one_chunk, sums
        )
        if sums.dhead_gdv is None or sums.dlogits_gbv is None:
            return sums
        h_gbd = from_bits(jax.lax.dynamic_slice_in_dim(h_gpd, i * block, block, axis=1))
        gradient_gdv = _head_gradient(logits, whole_head_vd, h_gbd, from_bits(sums.dlogits_gbv))
        return sums._replace(dhead_gdv=sums.dhead_gdv + gradient_gdv)

    fullest = (weights_gp > 0).sum(axis=1).max()
    num_chunks = (fullest + chunk - 1) // chunk
    num_blocks = (num_chunks + chunks_in_block - 1) // chunks_in_block
    vocabulary = head.shape[0]
    sums = _Sums(
        losses_gp=jnp.zeros(weights_gp.shape, jnp.float32),
        dh_gpd=jnp.zeros_like(h_gpd) if hidden_gradient else None,
        dlogits_gbv=to_bits(jnp.zeros((groups, block, vocabulary), hidden.dtype)) if head_gradient else None,
        dhead_gdv=jnp.zeros((groups, d, vocabulary), jnp.float32) if head_gradient else None,
    )
    sums = jax.lax.fori_loop(0, num_blocks, one_block, sums)
    return (
        unsort(sums.losses_gp),
        None if sums.dh_gpd is None else from_bits(unsort(sums.dh_gpd)),
        None if sums.dhead_gdv is None else sums.dhead_gdv.sum(axis=0).T.astype(head.dtype),
    )


def _one_chunk(
    i: Array,
    sums: _Sums,
    *,
    h_gpd: Num[Array, "G P D"],
    logits: Callable[[jax.Array], jax.Array],
    targets_gp: Int[Array, "G P"],
    weights_gp: Float[Array, "G P"],
    chunk: int,
    chunks_in_block: int,
) -> _Sums:
    """Adds the losses and gradients of chunk `i` of every group; `h_gpd` is held by `to_bits`."""
    groups = h_gpd.shape[0]

    def cut(x: Array) -> Array:
        # groups and chunk become one axis: a product of two matrices keeps its fast kernel on CPU where one of
        # three axes makes the compiler transpose the head
        return jax.lax.dynamic_slice_in_dim(x, i * chunk, chunk, axis=1).reshape(groups * chunk, *x.shape[2:])

    def put(x: Array, chunk_c: Array, place: Array) -> Array:
        chunk_gc = chunk_c.reshape(groups, chunk, *chunk_c.shape[1:])
        return jax.lax.dynamic_update_slice_in_dim(x, chunk_gc, place * chunk, axis=1)

    h_cd, targets_c, weights_c = from_bits(cut(h_gpd)), cut(targets_gp), cut(weights_gp)
    logits_cv, gradient_of = jax.vjp(logits, h_cd)
    # softmax in float32: bfloat16 loses the tail
    largest_c = logits_cv.max(axis=1)
    normaliser_c = largest_c + jnp.log(jnp.exp(logits_cv - largest_c[:, None]).sum(axis=1))
    target_logits_c = jnp.take_along_axis(logits_cv, targets_c[:, None], axis=1)[:, 0]
    sums = sums._replace(losses_gp=put(sums.losses_gp, (normaliser_c - target_logits_c) * weights_c, i))
    if sums.dh_gpd is None and sums.dlogits_gbv is None:
        return sums

    is_target_cv = jax.lax.broadcasted_iota(jnp.int32, logits_cv.shape, 1) == targets_c[:, None]
    dlogits_cv = (jnp.exp(logits_cv - normaliser_c[:, None]) - is_target_cv) * weights_c[:, None]
    if sums.dh_gpd is not None:
        (dh_cd,) = gradient_of(dlogits_cv)
        sums = sums._replace(dh_gpd=put(sums.dh_gpd, to_bits(dh_cd), i))
    if sums.dlogits_gbv is not None:
        narrow_cv = dlogits_cv.astype(h_cd.dtype)
        sums = sums._replace(dlogits_gbv=put(sums.dlogits_gbv, to_bits(narrow_cv), i % chunks_in_block))
    return sums


def _head_gradient(
    logits: Logits,
    head_vd: Float[Array, "V D"],
    h_gbd: Float[Array, "G block D"],
    dlogits_gbv: Float[Array, "G block V"],
) -> Float[Array, "G D V"]:
    """Each group's own sum in float32, so that devices add theirs up once, after the last block."""
    # turned, as the product comes out of its kernel: the sum over blocks then needs no transposition
    head_dv = head_vd.astype(jnp.float32).T

    def one_group(h_bd: Array, dlogits_bv: Array) -> Array:
        _, gradient_of = jax.vjp(lambda head_dv: logits(h_bd, head_dv.T), head_dv)
        return gradient_of(dlogits_bv.astype(jnp.float32))[0]

    # one product of two matrices where there is one group; of three axes where there are more
    return one_group(h_gbd[0], dlogits_gbv[0])[None] if len(h_gbd) == 1 else jax.vmap(one_group)(h_gbd, dlogits_gbv)


def _take(x: Array, index_gp: Int[Array, "G P"]) -> Array:
    return jnp.take_along_axis(x, index_gp.reshape(index_gp.shape + (1,) * (x.ndim - 2)), axis=1)
