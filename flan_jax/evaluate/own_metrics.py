"""Metrics that a task brings along from elsewhere, such as a SeqIO task's own `metric_fns`, beside ours.

They see all targets and predictions at once and give one number. So there are no values of single examples, and no
interval can be drawn from them; and since their range is their own, they enter no mean. What is computed are the
functions themselves, with the task's own postprocessing, on the examples as the task's own source gives them.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flan_jax.data.sources.held_back import HoldBack
from flan_jax.data.spec.fields import Dropped, fields_of
from flan_jax.data.spec.own_metrics import ExampleRecord, MeasuredSource, MetricFunctions
from flan_jax.data.spec.source import VALIDATION
from flan_jax.data.spec.task import TaskSpec
from flan_jax.errors import InputError
from flan_jax.evaluate.questions import EvaluationItem

NOT_A_NUMBER = "gives no finite number"


@dataclass(frozen=True)
class OwnScores:
    """What a task's own metrics gave.

    Attributes:
        scores: the numbers, on the functions' own scale.
        left_out: what is not there, by name, with the reason.
    """

    scores: Mapping[str, float]
    left_out: Mapping[str, str]


@dataclass(frozen=True)
class OwnMetrics:
    """A task's own metrics on one set of questions; what does not depend on the model is made once.

    Attributes:
        functions: the task's own.
        examples: the questions as the task's source gives them.
        targets: their targets, postprocessed.
    """

    functions: MetricFunctions
    examples: tuple[Mapping[str, Any], ...]
    targets: tuple[Any, ...]

    def __call__(self, texts: Sequence[str]) -> OwnScores:
        """The scores of generated texts, one for each question."""
        pairs = zip(texts, self.examples, strict=True)
        predictions = [self.functions.prediction(text, example) for text, example in pairs]
        scores, left_out = {}, dict(self.functions.left_out)
        for name, value in self.functions.compute(self.targets, predictions).items():
            number = _number(value)
            if number is None:
                left_out[name] = NOT_A_NUMBER
            else:
                scores[name] = number
        return OwnScores(scores, left_out)


def own_metrics(spec: TaskSpec, items: Sequence[EvaluationItem]) -> OwnMetrics | None:
    """The metrics that a task's source brings, made ready for these questions; None where it brings none.

    Raises:
        InputError: the source no longer has an example that the store has a question of.
    """
    source = spec.source.source if isinstance(spec.source, HoldBack) else spec.source
    functions = source.metric_functions() if isinstance(source, MeasuredSource) else None
    if functions is None:
        return None
    assert isinstance(source, MeasuredSource), "only such a source has functions"
    by_id = _examples(spec, source, {item.example_id for item in items})
    examples = tuple(by_id[item.example_id] for item in items)
    return OwnMetrics(functions, examples, tuple(functions.target(example) for example in examples))


def _examples(spec: TaskSpec, source: MeasuredSource, ids: set[int]) -> dict[int, Mapping[str, Any]]:
    """Those examples of the validation split by their ids, read as the questions were."""
    carrying = source.with_examples()
    parted = dataclasses.replace(spec.source, source=carrying) if isinstance(spec.source, HoldBack) else carrying
    examples: dict[int, Mapping[str, Any]] = {}
    for item in fields_of(dataclasses.replace(spec, source=parted), VALIDATION):
        if isinstance(item, Dropped) or item[0] not in ids:
            continue
        record = item[1]
        assert isinstance(record, ExampleRecord), f"task '{spec.name}' maps the records of a source with own metrics"
        examples[item[0]] = record.example
        if len(examples) == len(ids):
            return examples
    raise InputError(
        f"evaluation of task '{spec.name}': the store has a question of example {min(ids - examples.keys())}, which "
        f"source {source.name} no longer has; prepare the store again"
    )


def _number(value: Any) -> float | None:
    """A finite number as float, of whatever kind it comes; None for anything else."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None
