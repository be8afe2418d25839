"""Values that are no text, in the place of texts: left out and counted under one reason, in every form."""

import json
from pathlib import Path
from typing import Any

import pytest

from flan_jax.config import DataConfig
from flan_jax.data.forms.forms import FORMS, form_task
from flan_jax.data.render.examples import NO_UNICODE, examples
from flan_jax.data.spec.fields import Dropped
from flan_jax.data.spec.schema import Skip

NAN = float("nan")
SOUND: dict[str, dict[str, Any]] = {
    "alpaca": {"instruction": "Say it.", "input": "", "output": "it"},
    "dolly": {"instruction": "Say it.", "context": "", "response": "it"},
    "self-instruct": {"prompt": "Say it.", "completion": "it"},
    "openorca": {"system_prompt": "", "question": "Say it.", "response": "it"},
    "prompt-completion": {"prompt": "Say it.", "completion": "it"},
    "messages": {"messages": [{"role": "user", "content": "Say it."}, {"role": "assistant", "content": "it"}]},
    "sharegpt": {"conversations": [{"from": "human", "value": "Say it."}, {"from": "gpt", "value": "it"}]},
    "p3": {"inputs_pretokenized": "Say it.", "targets_pretokenized": "it"},
    "natural-instructions": {
        "definition": "Say it.",
        "positive_examples": [],
        "input": "it",
        "outputs": ["it"],
    },
}
NO_TEXTS = [None, True, NAN, float("inf"), {"a": 1}, ["it", None], [[]]]


def harmed(value: Any, harm: Any) -> list[Any]:
    """The value with each text in it replaced, one at a time."""
    if isinstance(value, str):
        return [harm] if value in ("Say it.", "it") else []
    if isinstance(value, dict):
        return [{**value, key: changed} for key, inner in value.items() for changed in harmed(inner, harm)]
    return [
        [*value[:place], changed, *value[place + 1 :]]
        for place, inner in enumerate(value)
        for changed in harmed(inner, harm)
    ]


@pytest.mark.parametrize("form", SOUND)
@pytest.mark.parametrize("harm", NO_TEXTS, ids=repr)
def test_what_is_no_text_is_left_out_under_a_reason(form: str, harm: Any):
    read = FORMS[form].map
    assert not isinstance(read(SOUND[form]), Skip)
    for record in harmed(SOUND[form], harm):
        if record.get("definition", "") is harm:
            continue  # of the task file, which is refused when it is read
        fields = read(record)
        assert isinstance(fields, Skip), (record, fields)
        assert fields.reason


@pytest.mark.parametrize(
    ("form", "field"), [("alpaca", "output"), ("dolly", "response"), ("prompt-completion", "completion")]
)
def test_numbers_are_written_as_they_are(form: str, field: str):
    fields = FORMS[form].map({**SOUND[form], field: 42})
    assert isinstance(fields, dict)
    assert fields["answer"] == "42"


def test_of_several_accepted_answers_those_that_are_text_stay():
    fields = FORMS["natural-instructions"].map({**SOUND["natural-instructions"], "outputs": [None, "it", {"a": 1}]})
    assert isinstance(fields, dict)
    assert fields["outputs"] == ["it"]


@pytest.mark.usefixtures("own_registry")
def test_a_lone_surrogate_is_left_out_and_counted(tmp_path: Path):
    path = tmp_path / "x.jsonl"
    sound = [{"prompt": f"Say {n}.", "completion": f"{n} \U0001f600"} for n in range(30)]
    path.write_text(
        "".join(json.dumps(record) + "\n" for record in [*sound, {"prompt": "Say.", "completion": "\ud83d"}])
    )
    task = form_task("prompt-completion", str(path))
    made = [item for split in ("train", "validation") for item in examples(task, split, DataConfig())]
    assert [item.reason for item in made if isinstance(item, Dropped)] == [NO_UNICODE]
    assert len(made) == 31
