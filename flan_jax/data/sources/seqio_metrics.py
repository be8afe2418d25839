"""The metric functions of a SeqIO task, with its postprocessing, called as `seqio.Evaluator` calls them.

Functions of (targets, predictions) are computed; predictions are the texts that the model wrote, decoded by its own
tokenizer. SeqIO itself is not imported here: a task is what its source hands over.

Source: seqio/metrics.py, PassthroughLegacyMetric (what is postprocessed, and with what); seqio/dataset_providers.py,
Task (which functions take what).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flan_jax.errors import InputError

_TARGETS = "targets"
_TARGETS_TEXT = "targets_pretokenized"


@dataclass(frozen=True)
class SeqioMetrics:
    """The functions of one task.

    Attributes:
        task: the `seqio.Task`.
        where: opens error sentences.
        left_out: its metrics that cannot be computed, by name, with the reason.
    """

    task: Any
    where: str
    left_out: Mapping[str, str]

    def target(self, example: Mapping[str, Any]) -> Any:
        """The target of an example, as the task's `postprocess_fn` gives it."""
        target = example[_TARGETS_TEXT] if _TARGETS_TEXT in example else example[_TARGETS]
        if not isinstance(target, bytes):
            target = self.task.output_features[_TARGETS].vocabulary.decode(list(target))
        text = target.decode("utf-8") if isinstance(target, bytes) else target
        return self._postprocessed(text, example, is_target=True)

    def prediction(self, text: str, example: Mapping[str, Any]) -> Any:
        """A generated text, as the task's `postprocess_fn` gives it."""
        return self._postprocessed(text, example, is_target=False)

    def _postprocessed(self, text: str, example: Mapping[str, Any], *, is_target: bool) -> Any:
        postprocess = self.task.postprocessor
        return text if postprocess is None else postprocess(text, example=example, is_target=is_target)

    def compute(self, targets: Sequence[Any], predictions: Sequence[Any]) -> Mapping[str, Any]:
        """What the functions give, under their own names; numbers taken out of SeqIO's `Scalar`.

        Raises:
            InputError: two functions give a metric of one name.
        """
        scores: dict[str, Any] = {}
        for function in self.task.predict_metric_fns:
            given = function(targets=list(targets), predictions=list(predictions))
            if twice := given.keys() & scores.keys():
                raise InputError(f"{self.where}: two metric functions give '{min(twice)}'; rename one of them")
            scores |= given
        return {name: getattr(value, "value", value) for name, value in scores.items()}


def seqio_metrics(task: Any, where: str) -> SeqioMetrics | None:
    """The metric functions of a `seqio.Task`; none where it states none.

    Raises:
        InputError: a function takes other arguments than SeqIO allows.
    """
    try:
        functions = task.metric_fns
    except ValueError as e:
        raise InputError(f"{where}: {e}; mend the task's metric_fns") from e
    # SeqIO lists an object for each function after those that are objects only
    objects = task.metric_objs[: len(task.metric_objs) - len(functions)]
    if not functions and not objects:
        return None
    reasons = {
        "takes the scores of targets": task.score_metric_fns,
        "takes values of beam search": task.predict_with_aux_metric_fns,
        "is a metric object, not a function": objects,
    }
    return SeqioMetrics(task, where, {_name(one): reason for reason, several in reasons.items() for one in several})


def _name(function: Any) -> str:
    """The name of a function, or of what a partial or an object is made of."""
    inner = getattr(function, "func", function)
    return getattr(inner, "__name__", type(inner).__name__)
