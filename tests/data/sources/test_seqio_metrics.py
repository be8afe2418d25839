"""A foreign SeqIO task's own metric functions: the numbers that SeqIO's evaluator itself gives for the same answers."""

import functools
import os
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest

from flan_jax.config import DataConfig
from flan_jax.data.registry import get_task
from flan_jax.data.render.example import Example
from flan_jax.data.render.examples import examples
from flan_jax.data.sources.seqio_metrics import seqio_metrics
from flan_jax.errors import InputError
from flan_jax.evaluate.own_metrics import own_metrics
from flan_jax.evaluate.questions import EvaluationItem

pytestmark = pytest.mark.seqio
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
seqio = pytest.importorskip("seqio", reason="needs the extra 'full'")

COUNT = 12


@pytest.fixture(autouse=True)
def clean_registry(own_registry: None) -> Iterator[None]:
    """Tasks of a test are gone after it, here and in SeqIO."""
    before = set(seqio.TaskRegistry.names())
    yield
    for name in set(seqio.TaskRegistry.names()) - before:
        seqio.TaskRegistry.remove(name)


def first_word(text: str, *, example: Any, is_target: bool) -> Any:
    """Targets with the number of their example, predictions by their first word."""
    return (text, int(example["number"])) if is_target else (text.split() or [""])[0]


def exact(targets: Sequence[Any], predictions: Sequence[Any]) -> dict[str, Any]:
    right = [target == prediction for (target, _), prediction in zip(targets, predictions, strict=True)]
    return {"exact": seqio.metrics.Scalar(100 * float(np.mean(right))), "sum": np.float32(sum(n for _, n in targets))}


def log(targets: Sequence[Any], predictions: Sequence[Any]) -> dict[str, Any]:
    return {"shown": seqio.metrics.Text("some text"), "length": float(np.mean([len(p) for p in predictions]))}


def ranked(targets: Sequence[Any], scores: Sequence[float], num_classes: int = 2) -> dict[str, Any]:
    return {"ranked": 0.0}


def beams(targets: Sequence[Any], predictions: Sequence[Any], aux_values: Any) -> dict[str, Any]:
    return {"beams": 0.0}


def add_task(name: str, *, splits: Sequence[str] = ("train", "validation"), **settings: Any) -> Any:
    import tensorflow as tf
    from seqio import test_utils

    feature = seqio.Feature(test_utils.sentencepiece_vocab())

    def rows(split: str, shuffle_files: bool, seed: int | None = None) -> Any:
        return tf.data.Dataset.range(COUNT).map(
            lambda i: {
                "inputs": tf.strings.join(["is ", tf.strings.as_string(i), " even"]),
                "targets": tf.where(i % 2 == 0, "is", "no"),  # words of the small vocabulary
                "number": i,
            }
        )

    return seqio.TaskRegistry.add(
        name,
        source=seqio.FunctionDataSource(rows, splits=splits),
        preprocessors=[seqio.preprocessors.tokenize, seqio.preprocessors.append_eos],
        output_features={"inputs": feature, "targets": feature},
        **settings,
    )


def questions(name: str) -> list[EvaluationItem]:
    spec = get_task(name)
    return [
        EvaluationItem(name, item.example_id, 0, item.messages[0].content, (1,), (), (), None, (item.target,))
        for item in examples(spec, "validation", DataConfig())
        if isinstance(item, Example)
    ]


def test_numbers_are_those_of_seqio_s_own_evaluator():
    task = add_task("even", postprocess_fn=first_word, metric_fns=[exact, log])
    items = questions("seqio:even")
    assert len(items) == COUNT
    texts = ["is it so", "is", "", "me"] * (COUNT // 4)
    own = own_metrics(get_task("seqio:even"), items)
    assert own is not None
    ours = own(texts)
    assert ours.left_out == {"shown": "gives no finite number"}

    vocabulary = task.output_features["targets"].vocabulary
    rows = list(task.get_dataset(None, "validation", shuffle=False).as_numpy_iterator())
    theirs: dict[str, Any] = {}
    for function in task.predict_metric_fns:
        metric = seqio.metrics.LegacyMetric.empty(function, task.postprocessor)
        tokens = np.array([[*ids, *[1] * (20 - len(ids))] for ids in map(vocabulary.encode, texts)])
        theirs |= metric.from_model_output(rows, tokens, task.output_features).compute()
    assert ours.scores["exact"] == theirs["exact"].value == pytest.approx(100 / 4)
    assert ours.scores["sum"] == theirs["sum"] == sum(range(COUNT))
    assert ours.scores["length"] == pytest.approx(np.mean([2, 2, 0, 2]))


def test_held_back_examples_are_met_again():
    add_task("only_train", splits=("train",), postprocess_fn=first_word, metric_fns=[exact])
    items = questions("seqio:only_train")
    own = own_metrics(get_task("seqio:only_train"), items)
    assert own is not None
    numbers = [int(item.prompt.split()[1]) for item in items]
    scores = own([item.references[0] for item in items]).scores
    assert scores == {"exact": 100.0, "sum": float(sum(numbers))}


def test_targets_that_are_ids_are_decoded():
    import tensorflow as tf
    from seqio import test_utils

    vocabulary = test_utils.sentencepiece_vocab()
    feature = seqio.Feature(vocabulary)
    ids = vocabulary.encode("is")
    task = seqio.TaskRegistry.add(
        "bare",
        source=seqio.FunctionDataSource(
            lambda split, shuffle_files, seed=None: tf.data.Dataset.from_tensors({"inputs": [5], "targets": ids}),
            splits=["train", "validation"],
        ),
        preprocessors=[],
        output_features={"inputs": feature, "targets": feature},
        metric_fns=[log],
    )
    functions = seqio_metrics(task, "source bare")
    assert functions is not None
    assert functions.target({"targets": np.array(ids)}) == vocabulary.decode(ids)


def test_what_cannot_be_computed_is_named():
    add_task("scored", metric_fns=[functools.partial(ranked, num_classes=3), beams])
    own = own_metrics(get_task("seqio:scored"), questions("seqio:scored")[:2])
    assert own is not None
    scores = own(["a", "b"])
    assert scores.scores == {}
    assert scores.left_out == {"ranked": "takes the scores of targets", "beams": "takes values of beam search"}


def test_tasks_without_metrics_have_none_and_wrong_ones_are_refused():
    assert seqio_metrics(add_task("none"), "x") is None
    task = add_task("wrong", metric_fns=[lambda answers: {}])
    with pytest.raises(
        InputError, match=r"source seqio:wrong: Metric functions must have .*mend the task's metric_fns"
    ):
        seqio_metrics(task, "source seqio:wrong")
    twice = seqio_metrics(add_task("twice", metric_fns=[exact, exact], postprocess_fn=first_word), "source seqio:twice")
    assert twice is not None
    with pytest.raises(InputError, match="source seqio:twice: two metric functions give 'exact'; rename one"):
        twice.compute([("yes", 1)], ["yes"])
