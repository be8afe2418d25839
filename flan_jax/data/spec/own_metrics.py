"""What a source may bring along beside records: its task's own metric functions, and examples as they see them.

`evaluate.own_metrics` computes them; `sources.seqio_metrics` has those of SeqIO tasks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from flan_jax.data.spec.source import SplitSource


class ExampleRecord(dict[str, Any]):
    """A record that carries the example it was made of. Its content alone decides on which side of a parting it is."""

    def __init__(self, fields: Mapping[str, Any], example: Mapping[str, Any]):
        super().__init__(fields)
        self.example = example


@runtime_checkable
class MetricFunctions(Protocol):
    """A task's own metric functions."""

    @property
    def left_out(self) -> Mapping[str, str]:
        """Functions that cannot be computed, by name, with the reason."""
        ...

    def target(self, example: Mapping[str, Any]) -> Any:
        """The target of an example, postprocessed."""
        ...

    def prediction(self, text: str, example: Mapping[str, Any]) -> Any:
        """A generated text, postprocessed."""
        ...

    def compute(self, targets: Sequence[Any], predictions: Sequence[Any]) -> Mapping[str, Any]:
        """What the functions give, by the names they choose."""
        ...


@runtime_checkable
class MeasuredSource(Protocol):
    """A source that brings metric functions along."""

    @property
    def name(self) -> str:
        """Short text that says where the records are from."""
        ...

    def metric_functions(self) -> MetricFunctions | None:
        """The functions; none where the task states none."""
        ...

    def with_examples(self) -> SplitSource:
        """The same source, whose records are `ExampleRecord`s."""
        ...
