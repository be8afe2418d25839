"""Where a run stands in its data: a few numbers, saved once for all hosts, from which any process count goes on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from flan_jax.errors import InputError


@dataclass(frozen=True)
class Position:
    """The batch that comes next, and what the plan was made from.

    Attributes:
        step: batches before it, over all windows.
        window: the window its first row is of.
        row: that row's place in the window.
        stage_starts: first window of each stage of rates that has begun.
        seed: seed of the order.
        order_version: version of the keyed order.
        packing_version: version of the packing rule.
        window_examples: examples a window draws.
        rows: rows of a batch, all hosts together.
        capacities: positions of a row on each side.
        records: fingerprint of the prepared records of all tasks.
        mixture: fingerprint of tasks, rates and stages.
    """

    step: int
    window: int
    row: int
    stage_starts: tuple[int, ...]
    seed: int
    order_version: int
    packing_version: int
    window_examples: int
    rows: int
    capacities: tuple[int, ...]
    records: str
    mixture: str

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values, under 300 bytes as text."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}

    @classmethod
    def from_dict(cls, tree: Mapping[str, Any]) -> Position:
        """The position in a mapping that `to_dict` made.

        Raises:
            InputError: a field is missing or unknown.
        """
        names = {field.name for field in fields(cls)}
        if set(tree) != names:
            wrong = ", ".join(sorted(names ^ set(tree)))
            raise InputError(f"data position: fields do not match this version ({wrong}); start a new run")
        values: dict[str, Any] = dict(tree)
        for name in ("stage_starts", "capacities"):
            values[name] = tuple(values[name])
        return cls(**values)

    def check_same_plan(self, other: Position) -> None:
        """Compares what both were planned from.

        Raises:
            InputError: they differ; the sentence names each difference and what it means.
        """
        meaning = {
            "seed": "run.seed",
            "order_version": "order version of this release",
            "packing_version": "packing version of this release",
            "window_examples": "examples a window",
            "rows": "batch.rows",
            "capacities": "row lengths",
            "records": "prepared records",
            "mixture": "mixture, rates or stages",
        }
        changed = [
            f"{meaning[name]} ({getattr(self, name)} saved, {getattr(other, name)} now)"
            for name in meaning
            if getattr(self, name) != getattr(other, name)
        ]
        if changed:
            raise InputError(
                f"data position: the saved run was fed from another plan: {'; '.join(changed)}; restore what changed, "
                "or start a new run in another run.dir"
            )
