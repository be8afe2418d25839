"""Tasks that read their authors' own files: what their maps compute, and the real files where they are at hand."""

from collections import Counter
from pathlib import Path

import pytest

from flan_jax.config import DataConfig
from flan_jax.data.registry import Skip, get_task
from flan_jax.data.registry.resolve import resolve_mixture
from flan_jax.data.render.example import Example
from flan_jax.data.render.examples import examples
from flan_jax.data.spec.fields import Dropped, record_fields

DATA = Path(__file__).parents[3] / "shared" / "data"
FILES = {
    "clinc150": "clinc150/train.jsonl",
    "query_wellformedness": "query_wellformedness/train.jsonl",
    "web_questions": "webquestions/trainmodel.json",
    "gap": "gap/gap-development.tsv",
    "gsm8k": "gsm8k/train.jsonl",
    "dart_release": "dart/dev.jsonl",
    "e2e_challenge": "e2e/devset.csv",
}


def fields_of_sample(name: str, **changes):
    spec = get_task(name)
    assert spec.sample is not None
    [fields] = record_fields(spec, {**spec.sample, **changes})
    return fields


def test_an_intent_stands_among_ten_that_depend_on_the_request_alone():
    fields = fields_of_sample("clinc150")
    assert fields["answer"] in fields["intents"]
    assert len(set(fields["intents"])) == len(fields["intents"]) == 10
    assert fields == fields_of_sample("clinc150")
    assert fields["intents"] != fields_of_sample("clinc150", text="set an alarm")["intents"]
    assert fields_of_sample("clinc150", intent="oos") == Skip("request out of scope, which has no intent")


def test_the_pronoun_is_marked_and_candidates_are_the_options():
    fields = fields_of_sample("gap")
    assert "where *she* had" in fields["text"]
    assert (fields["choices"], fields["answer"]) == (["Ada Brook", "Clara Winter", "neither of them"], "Clara Winter")
    assert fields_of_sample("gap", **{"B-coref": "FALSE"})["answer"] == "neither of them"
    assert isinstance(fields_of_sample("gap", **{"Pronoun-offset": 2}), Skip)


def test_a_worked_solution_loses_its_marks_and_keeps_its_result():
    fields = fields_of_sample("gsm8k", answer="Half of 2,400 is <<2400/2=1200>>1200.\n\n#### 1,200")
    assert (fields["rationale"], fields["answer"]) == ("Half of 2,400 is 1200.", "1200")
    assert isinstance(fields_of_sample("gsm8k", answer="It is 4."), Skip)


@pytest.mark.parametrize("name", FILES)
def test_the_authors_files_are_read(name: str):
    path = DATA / FILES[name]
    if not path.exists():
        pytest.skip(f"the real file {FILES[name]} is not here")
    data = DataConfig(mixture=name, sources={name: str(path)}, max_examples=1_000_000)
    spec = resolve_mixture(data).specs[name]
    items = [*examples(spec, "train", data), *examples(spec, "validation", data)]
    kept = [item for item in items if isinstance(item, Example)]
    dropped = Counter(item.reason for item in items if isinstance(item, Dropped))
    assert len(kept) >= 0.9 * len(items), dropped
    if spec.answer_pattern is not None:
        import re

        assert all(re.search(spec.answer_pattern, item.target) for item in kept)


def test_one_input_with_several_texts_stays_on_one_side():
    path = DATA / FILES["e2e_challenge"]
    if not path.exists():
        pytest.skip("the real file e2e/devset.csv is not here")
    data = DataConfig(mixture="e2e_challenge", sources={"e2e_challenge": str(path)})
    source = resolve_mixture(data).specs["e2e_challenge"].source
    train, validation = ({record["mr"] for record in source.records(split)} for split in ("train", "validation"))
    assert train
    assert validation
    assert not train & validation
