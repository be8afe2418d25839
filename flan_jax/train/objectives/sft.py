"""Supervised fine-tuning: the cross-entropy of the tokens that carry a loss weight."""

from __future__ import annotations

from typing import Any

from jaxtyping import Array, Key

from flan_jax.train.objectives.cross_entropy import cross_entropy
from flan_jax.train.objectives.objective import Batch, Layout, Objective, Terms, Weighted


def _terms(model: Any, batch: Batch, dropout_key: Key[Array, ""] | None, layout: Layout) -> Terms:
    """The weighted loss of a micro-batch, and the same by task."""
    losses = cross_entropy(
        model.hidden(batch, dropout_key=dropout_key),
        model.head(),
        batch["targets"],
        batch["weights"],
        logits=model.logits,
        chunk=layout.chunk,
        groups=layout.groups,
    )
    by_task = Weighted(layout.by_task(losses.token_losses, batch), layout.by_task(batch["weights"], batch))
    return Weighted(losses.loss_sum, losses.weight_sum), {"loss": by_task}


SFT = Objective("sft", fields=("targets", "weights", "tasks"), metrics=("loss",), terms=_terms)
