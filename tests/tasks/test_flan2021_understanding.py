"""FLAN 2021, understanding: the maps that compute something, on records as their data sets have them."""

from typing import Any

import pytest
from rendering import render

from flan_jax.config import TemplateMode
from flan_jax.data.registry import Skip, get_task
from flan_jax.data.spec.fields import record_fields
from flan_jax.tasks.flan2021 import common_sense, coreference


def fields_of(task: str, **changes: Any) -> Any:
    """The fields of the task's sample with some of its raw fields changed."""
    spec = get_task(task)
    assert spec.sample is not None
    (fields,) = record_fields(spec, {**spec.sample, **changes})
    return fields


def text_of(task: str, changes: dict[str, Any], *, mode: TemplateMode = "instruction") -> tuple[str, str]:
    example = render(
        get_task(task),
        fields_of(task, **changes),
        example_id=0,
        rendering=0,
        mode=mode,
        options_shown=True,
        option_style="dash",
        seed=0,
        evaluation=True,
    )
    return example.messages[0].content, example.target


@pytest.mark.parametrize(
    ("task", "field", "expected"),
    [
        ("anli_r1", "label", ["true", "cannot be known", "false"]),
        ("cb", "label", ["yes", "no", "unclear"]),
        ("rte", "label", ["yes", "no"]),
        ("mnli_matched", "label", ["yes", "maybe", "no"]),
        ("mnli_mismatched", "label", ["yes", "maybe", "no"]),
        ("qnli", "label", ["yes", "no"]),
        ("wnli", "label", ["no", "yes"]),
        ("snli", "label", ["entailment", "neutral", "contradiction"]),
        ("glue_mrpc", "label", ["no", "yes"]),
        ("glue_qqp", "label", ["not a duplicate", "duplicate"]),
        ("paws_wiki", "label", ["different", "the same"]),
        ("wsc", "label", ["no", "yes"]),
        ("wic", "label", ["no", "yes"]),
        ("cola", "label", ["unacceptable", "acceptable"]),
        ("trec", "label-coarse", ["description", "entity", "abbreviation", "person", "number", "location"]),
        ("imdb_reviews", "label", ["negative", "positive"]),
        ("yelp_polarity_reviews", "label", ["dissatisfied", "satisfied"]),
        ("sst2", "label", ["negative", "positive"]),
    ],
)
def test_labels_are_told_in_the_order_of_the_data_set(task: str, field: str, expected: list[str]):
    assert [text_of(task, {field: number})[1] for number in range(len(expected))] == expected


@pytest.mark.parametrize(("mismatch", "split"), [(False, "validation_matched"), (True, "validation_mismatched")])
def test_both_parts_of_multinli_share_their_training_data(mismatch: bool, split: str):
    spec = get_task("mnli_mismatched" if mismatch else "mnli_matched")
    assert spec.source.name == "tfds:glue/mnli:2.0.0"
    assert dict(spec.splits) == {"train": "train", "validation": split}


@pytest.mark.parametrize(
    ("score", "answer"),
    [(0.0, "0"), (0.49, "0"), (0.5, "1"), (1.5, "2"), (2.5, "3"), (3.4, "3"), (4.5, "5"), (5.0, "5")],
)
def test_similarity_goes_to_the_nearest_whole_number_and_halves_up(score: float, answer: str):
    assert fields_of("stsb", label=score)["answer"] == answer


@pytest.mark.parametrize(
    ("task", "changes"),
    [
        ("stsb", {"label": -1.0}),
        ("hellaswag", {"label": -1}),
        ("story_cloze", {"label": -1}),
        ("story_cloze", {"label": 0}),
        ("wsc273", {"label": -1}),
        ("sentiment140", {"polarity": 2}),
        ("copa", {"label": -1}),
        ("winogrande", {"label": -1}),
        ("snli", {"label": -1}),
        ("definite_pronoun_resolution", {"pronoun": "they"}),
        ("wsc", {"span2_text": "himself"}),
    ],
)
def test_what_cannot_be_used_is_left_out_with_a_reason(task: str, changes: dict):
    fields = fields_of(task, **changes)
    assert isinstance(fields, Skip)
    assert fields.reason


def test_the_first_of_equal_pronouns_is_marked_and_no_part_of_a_word():
    fields = fields_of(
        "definite_pronoun_resolution",
        sentence="The bitter coffee annoyed the guest, so it went back and it stayed there.",
        pronoun="it",
        candidates=["The bitter coffee", "the guest"],
        label=0,
    )
    assert fields["marked"] == "The bitter coffee annoyed the guest, so *it* went back and it stayed there."
    assert fields["answer"] == "The bitter coffee"


@pytest.mark.parametrize(("label", "answer"), [(0, "Olga"), (1, "Hanna"), ("1", "Olga"), ("2", "Hanna")])
def test_the_gap_is_filled_by_number_or_by_name(label: int | str, answer: str):
    assert fields_of("winogrande", label=label)["answer"] == answer


def wsc(text: str, noun: str, noun_word: int, pronoun: str, pronoun_word: int) -> str:
    fields = fields_of(
        "wsc",
        text=text,
        span1_text=noun,
        span1_index=noun_word,
        span2_text=pronoun,
        span2_index=pronoun_word,
    )
    return fields["marked"]


def test_spans_of_wsc_are_marked_at_their_words():
    text = "He saw the hen. The hen  saw him, and he ran from the hen."
    assert wsc(text, "The hen", 4, "he", 9) == "He saw the hen. [The hen] saw him, and *he* ran from the hen."
    assert wsc(text, "the hen", 12, "He", 0) == "*He* saw the hen. The hen saw him, and he ran from [the hen]."


def test_a_pronoun_of_wsc_may_follow_a_quote_and_stand_before_its_noun():
    text = 'When asked, Tom said: "They are mine," and gave the two keys back.'
    marked = wsc(text, "the two keys", 9, "They", 4)
    assert marked == 'When asked, Tom said: "*They* are mine," and gave [the two keys] back.'


def test_a_noun_phrase_of_wsc_in_pieces_is_named_without_a_mark():
    changes = {
        "text": "Ada met Ben, and they talked.",
        "span1_text": "Ada and Ben",
        "span1_index": 0,
        "span2_text": "they",
        "span2_index": 4,
    }
    prompt, _ = text_of("wsc", changes, mode="none")
    assert prompt.startswith("Ada met Ben, and *they* talked.\n*they* = [Ada and Ben]")


def test_a_noun_phrase_of_wsc_that_holds_the_pronoun_is_not_marked():
    assert wsc("The man lost his hat.", "his hat", 3, "his", 3) == "The man lost *his* hat."


def test_the_pronoun_of_wsc273_is_marked_in_its_place():
    assert " because *he* had " in fields_of("wsc273")["marked"]
    assert fields_of("wsc273", label=1)["answer"] == "the actor"
    assert dict(get_task("wsc273").splits) == {"validation": "test"}


def test_markup_of_movie_reviews_becomes_line_breaks():
    assert fields_of("imdb_reviews", text=" Good.<br /><br />Very <br>good. ")["text"] == "Good.\nVery\ngood."


def test_entities_of_tweets_become_signs():
    fields = fields_of("sentiment140", text="love it &lt;3 &amp; &quot;more&quot; ", polarity=4)
    assert (fields["text"], fields["answer"]) == ('love it <3 & "more"', "positive")


def test_escapes_of_business_reviews_become_signs():
    text = fields_of("yelp_polarity_reviews", text=r'A ""great"" \""place\"" \"here\".\nGo! C:\temp')["text"]
    assert text == 'A "great" "place" "here".\nGo! C:\\temp'


def test_phrases_lose_their_last_blank():
    assert fields_of("sst2", sentence="a gem ")["sentence"] == "a gem"


@pytest.mark.parametrize(
    ("question", "opening"),
    [("cause", "The street lamps went out because"), ("effect", "The street lamps went out so")],
)
def test_a_premise_opens_the_sentence_that_the_answer_ends(question: str, opening: str):
    fields = fields_of("copa", question=question, label=1)
    assert fields["opening"] == opening
    assert fields["answer"] == "The neighbors walked their dog."


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("[header] How to knit [title] Choose a yarn. [step] Wool is warm", "How to knit. Choose a yarn. Wool is warm"),
        ("[substeps] Hold the needle. [substeps] Make a loop.", "Hold the needle. Make a loop."),
        ("Is it wool? [title] It is!  [step] Good", "Is it wool? It is! Good"),
        ("a [sic] remains", "a [sic] remains"),
        ("[header]", ""),
    ],
)
def test_tags_of_guides_become_sentence_ends(text: str, clean: str):
    assert common_sense.without_tags(text) == clean


def test_contexts_of_hellaswag_begin_sentences_with_a_capital():
    fields = fields_of("hellaswag", context="A man sits on a roof. he takes a tile, e.g. an old one", label=3)
    assert fields["context"] == "A man sits on a roof. He takes a tile, e.g. an old one"
    assert fields["answer"] == "Never tell the pot that it has been replaced by a larger one."


def test_endings_of_stories_are_numbered_from_one():
    assert [fields_of("story_cloze", label=number)["answer"][:12] for number in (1, 2)] == [
        "Mara proudly",
        "Mara decided",
    ]


def test_solutions_are_numbered_from_nought():
    assert fields_of("piqa", label=1)["answer"] == "Rub an ice cube along its runners."


def test_marks_are_only_made_where_a_phrase_is_found():
    assert fields_of("wsc", text="Nobody is here.") == coreference.NOT_FOUND
