"""Proof that an export says what the running model says: the logits of both, compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import numpy as np
from flax import nnx
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from flan_jax.model.load import Parts

# Largest logit difference that rounding to the written type explains, relative to the largest logit
_ROUNDING = {"float32": 1e-3, "bfloat16": 0.1}
_PROBED = 8  # decoder tokens on which encoder-decoder models are compared


@dataclass(frozen=True)
class Parity:
    """How far the logits of an export, loaded again, are from the running model's; both computed in float32.

    Attributes:
        form: peft or huggingface.
        dtype: of the written tensors.
        prompts: number of prompts compared.
        positions: number of token positions compared.
        max_abs_difference: largest difference of one logit.
        mean_abs_difference: mean over all logits.
        max_abs_logit: largest logit of the running model.
        same_argmax: share of positions whose likeliest token is the same.
    """

    form: str
    dtype: str
    prompts: int
    positions: int
    max_abs_difference: float
    mean_abs_difference: float
    max_abs_logit: float
    same_argmax: float

    def text(self) -> str:
        """The report in words."""
        return (
            f"This {self.form} export ({self.dtype}) was loaded again and compared with the running model, both\n"
            f"computing in float32, on {self.positions} positions of {self.prompts} prompts. Logits differ by at most\n"
            f"{self.max_abs_difference:.3g} and {self.mean_abs_difference:.3g} in the mean, the largest being "
            f"{self.max_abs_logit:.3g};\nthe likeliest token is the same at {self.same_argmax:.2%} of positions.\n"
        )


def prove(
    running: Parts, again: Parts, mesh: Mesh, prompts: Sequence[Sequence[int]], *, form: str, dtype: str
) -> Parity:
    """The parity of two models.

    Raises:
        ArithmeticError: they differ by more than rounding explains.
    """
    batch, real = _probe(running, prompts, mesh)
    expected, reloaded = (_logits(parts, batch, mesh)[real] for parts in (running, again))
    difference = np.abs(expected - reloaded)
    parity = Parity(
        form=form,
        dtype=dtype,
        prompts=len(prompts),
        positions=len(expected),
        max_abs_difference=float(difference.max()),
        mean_abs_difference=float(difference.mean()),
        max_abs_logit=float(np.abs(expected).max()),
        same_argmax=float(np.mean(expected.argmax(-1) == reloaded.argmax(-1))),
    )
    # written so that NaN fails too
    if not parity.max_abs_difference <= _ROUNDING[dtype] * max(1.0, parity.max_abs_logit):
        raise ArithmeticError(f"the export does not say what the running model says, nothing was kept: {parity.text()}")
    return parity


def _probe(parts: Parts, prompts: Sequence[Sequence[int]], mesh: Mesh) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """A batch of the prompts, padded on the right and with empty rows, and which of its positions are compared."""
    over = mesh.shape["data"] * mesh.shape["fsdp"]
    shape = (-(-len(prompts) // over) * over, max(map(len, prompts)))
    inputs, segments = np.zeros(shape, np.int32), np.zeros(shape, np.int32)
    for row, prompt in enumerate(prompts):
        inputs[row, : len(prompt)] = prompt
        segments[row, : len(prompt)] = 1
    if parts.family.kind == "decoder":
        positions = np.broadcast_to(np.arange(shape[1], dtype=np.int32), shape)
        return {"inputs": inputs, "segments": segments, "positions": positions}, segments > 0
    # the decoder is given the prompt's own first tokens: any will do to compare
    decoder = {"decoder_inputs": inputs[:, :_PROBED], "decoder_segments": segments[:, :_PROBED]}
    return {"encoder_inputs": inputs, "encoder_segments": segments, **decoder}, decoder["decoder_segments"] > 0


def _logits(parts: Parts, batch: Mapping[str, np.ndarray], mesh: Mesh) -> np.ndarray:
    """Logits in float32 compute, [B, T, V]."""
    parts = parts.with_compute_dtype("float32")
    with jax.set_mesh(mesh):
        return np.asarray(_run(parts.graphdef, NamedSharding(mesh, PartitionSpec()), parts.tuned, parts.frozen, batch))


# the graph is a static argument, so that two models of one structure share a compilation
@partial(jax.jit, static_argnums=(0, 1))
def _run(
    graphdef: nnx.GraphDef[Any],
    whole: NamedSharding,
    tuned: nnx.State,
    frozen: nnx.State,
    batch: Mapping[str, jax.Array],
) -> jax.Array:
    module = nnx.merge(graphdef, tuned, frozen)
    # whole on every device, so that the host reads them from its own
    return jax.lax.with_sharding_constraint(module.logits(module.hidden(batch)), whole)
