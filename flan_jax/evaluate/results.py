"""Evaluations on disk: `results.json` with the scores, beside it `predictions.jsonl` with every prediction.

Both are written under a temporary name and renamed; results.json comes last and holds the checksum of the predictions,
so a folder whose results.json fits its predictions is complete.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from flan_jax.errors import InputError
from flan_jax.evaluate.protocol import Evaluation, OptionLikelihoods, Prediction, TaskResult
from flan_jax.evaluate.questions import EvaluationItem
from flan_jax.evaluate.subsets import TaskSubsets
from flan_jax.files.whole import new_file

RESULTS = "results.json"
PREDICTIONS = "predictions.jsonl"
FORMAT = 1


def write_evaluation(
    directory: str | Path,
    evaluation: Evaluation,
    *,
    about: Mapping[str, Any],
    subsets: Sequence[TaskSubsets] = (),
) -> Path:
    """Writes an evaluation with all its predictions.

    Args:
        directory: folder, made when missing; results of an earlier evaluation there are replaced.
        evaluation: what to write.
        about: plain JSON values kept with the results, e.g. the checkpoint's step and fingerprints.
        subsets: scores on clean and dirty questions, where they were told apart.

    Returns:
        Path of results.json.

    Raises:
        InputError: the folder or a file in it cannot be written.
    """
    directory = Path(directory)
    predictions = "".join(
        _json(_prediction_fields(prediction)) + "\n"
        for result in evaluation.results
        for prediction in result.per_example
    ).encode()
    tasks = [
        {field.name: getattr(result, field.name) for field in dataclasses.fields(result) if field.name != "per_example"}
        for result in evaluation.results
    ]
    results = {
        "format": FORMAT,
        "label": evaluation.label,
        "about": dict(about),
        "summary": evaluation.summary(),
        "tasks": tasks,
        "subsets": [dataclasses.asdict(one) for one in subsets],
        "predictions": {"file": PREDICTIONS, "sha256": hashlib.sha256(predictions).hexdigest()},
    }
    try:
        directory.mkdir(parents=True, exist_ok=True)
        _replace(directory / PREDICTIONS, predictions)
        _replace(directory / RESULTS, (_json(results, indent=2) + "\n").encode())
    except OSError as e:
        raise InputError(
            f"evaluation folder '{directory}': cannot be written ({e.strerror}); free space, or choose another folder"
        ) from e
    return directory / RESULTS


def read_evaluation(directory: str | Path) -> Evaluation:
    """The evaluation in a folder. Its questions come back without ids, which only the model needs.

    Raises:
        InputError: the folder holds no results, or they do not fit the predictions beside them.
    """
    directory = Path(directory)
    try:
        results = json.loads((directory / RESULTS).read_bytes())
        lines = (directory / PREDICTIONS).read_bytes()
    except OSError as e:
        raise InputError(
            f"evaluation folder '{directory}': '{e.filename}' cannot be read ({e.strerror}); run the evaluation again"
        ) from e
    except ValueError as e:
        raise InputError(f"evaluation folder '{directory}': {RESULTS} is not valid JSON ({e})") from e
    if results.get("format") != FORMAT:
        raise InputError(
            f"evaluation folder '{directory}': format is {results.get('format')!r}, this version reads {FORMAT}"
        )
    if hashlib.sha256(lines).hexdigest() != results["predictions"]["sha256"]:
        raise InputError(
            f"evaluation folder '{directory}': {PREDICTIONS} is not the file {RESULTS} was written with; "
            "run the evaluation again"
        )
    predictions: dict[str, list[Prediction]] = {}
    for line in lines.splitlines():
        prediction = _prediction(json.loads(line))
        predictions.setdefault(prediction.item.task, []).append(prediction)
    tasks = [TaskResult(**fields, per_example=tuple(predictions[fields["task"]])) for fields in results["tasks"]]
    return Evaluation(results["label"], tuple(tasks))


def _prediction_fields(prediction: Prediction) -> dict[str, Any]:
    item, likelihoods = prediction.item, prediction.likelihoods
    return {
        "task": item.task,
        "example_id": item.example_id,
        "template_id": item.template_id,
        "prompt": item.prompt,
        "options": item.options,
        "answer_index": item.answer_index,
        "references": item.references,
        "choice": None if likelihoods is None else likelihoods.choice(per_token=False),
        "log_likelihoods": None if likelihoods is None else likelihoods.sums,
        "option_lengths": None if likelihoods is None else likelihoods.lengths,
        "text": prediction.text,
        "answer": prediction.answer,
        "values": prediction.values,
        "statistics": prediction.statistics,
    }


def _prediction(fields: Mapping[str, Any]) -> Prediction:
    sums, lengths = fields["log_likelihoods"], fields["option_lengths"]
    return Prediction(
        item=EvaluationItem(
            task=fields["task"],
            example_id=fields["example_id"],
            template_id=fields["template_id"],
            prompt=fields["prompt"],
            prompt_ids=(),
            options=tuple(fields["options"]),
            option_ids=(),
            answer_index=fields["answer_index"],
            references=tuple(fields["references"]),
        ),
        likelihoods=None if sums is None else OptionLikelihoods(tuple(sums), tuple(lengths)),
        text=fields["text"],
        answer=fields["answer"],
        values=fields["values"],
        statistics={metric: tuple(row) for metric, row in fields["statistics"].items()},
    )


def _json(value: Any, *, indent: int | None = None) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, indent=indent)


def _replace(path: Path, content: bytes) -> None:
    with new_file(path) as temporary:
        temporary.write_bytes(content)
