"""The maps of FLAN 2021's reading, question answering, formatting and structure tasks, on records in TFDS's form."""

import itertools
from typing import Any

import pytest

from flan_jax.data.registry import Skip, TaskSpec, get_task
from flan_jax.data.render.example import Example
from flan_jax.data.render.renderer import Renderer
from flan_jax.data.spec.fields import record_fields

TASKS = {
    "reading_comprehension": ("squad_v1", "squad_v2", "drop", "multirc", "openbookqa", "bool_q"),
    "read_comp_and_common_sense": ("record", "cosmos_qa"),
    "open_domain_qa": ("trivia_qa", "natural_questions", "arc_challenge", "arc_easy"),
    "conversational_qa": ("quac", "coqa"),
    "math": ("math_dataset",),
    "text_formatting": ("true_case", "fix_punct", "word_segment"),
    "structure_to_text": ("web_nlg_en", "common_gen", "e2e_nlg", "dart"),
}
NAMES = [name for names in TASKS.values() for name in names]


def mapped(name: str, **changes: Any) -> list[Any]:
    """What the task's map gives for its sample with some fields changed."""
    spec = get_task(name)
    assert spec.sample is not None
    return record_fields(spec, {**spec.sample, **changes})


def prompts(spec: TaskSpec, *, options_shown: bool = True) -> list[Example]:
    renderer = Renderer(spec, mode="instruction", options_shown=options_shown, option_style="dash", seed=0)
    fields = mapped(spec.name)[-1]
    return list(renderer.render_all(fields, example_id=0))


@pytest.mark.parametrize("name", NAMES)
def test_ten_templates_that_differ_and_keep_the_answer(name: str):
    spec = get_task(name)
    assert name in TASKS[spec.cluster]
    assert len({template.prompt for template in spec.templates}) == 10
    assert sum(template.inverted for template in spec.templates) <= 3
    for options_shown in (True, False):
        for example in prompts(spec, options_shown=options_shown):
            prompt = example.messages[0].content
            assert prompt == prompt.strip()
            assert "\n\n\n" not in prompt
            assert example.target


def test_squad_gives_every_annotators_answer_once():
    (fields,) = mapped("squad_v1", title="Beyonc%C3%A9_Knowles", answers={"text": ["reef", "the reef", "reef "]})
    assert fields["answer"] == ["reef", "the reef"]
    assert fields["title"] == "Beyoncé Knowles"
    assert mapped("squad_v1", answers={"text": []}) == [Skip("record without an answer")]


def test_squad_v2_tells_what_has_no_answer():
    assert mapped("squad_v2", is_impossible=True)[0]["answer"] == ["unanswerable"]
    assert mapped("squad_v2", is_impossible=False, answers={"text": ["1871"]})[0]["answer"] == ["1871"]
    for example, template in zip(prompts(get_task("squad_v2")), get_task("squad_v2").templates, strict=True):
        assert "unanswerable" in example.messages[0].content, template


def test_multirc_judges_the_record_s_answer_without_its_mark_up():
    (fields,) = mapped("multirc", paragraph="<b>Sent 1: </b>It rained.<br><b>Sent 2: </b>We stayed.<br>", label=0)
    assert fields["paragraph"] == "It rained. We stayed."
    assert fields["candidate"] == "She mended the strap of her bag"
    assert fields["label"] == "no"


def test_record_accepts_each_name_that_is_an_option():
    entities = ["Ann Lee", "Ohio", "Lee", "Ohio"]
    (fields,) = mapped("record", entities=entities, answers=["Lee", "Ann Lee", "Mrs. Lee"], query="@placeholder won.")
    assert fields["entities"] == ["Ann Lee", "Ohio", "Lee"]
    assert fields["answer"] == ["Lee", "Ann Lee"]
    assert (fields["query"], fields["gapped"]) == ("@placeholder won.", "_____ won.")
    assert fields["passage"].endswith("\n* Repairs of the Solveig took a month")
    assert "@highlight" not in fields["passage"]
    assert mapped("record", entities=["Ohio"], answers=["Lee"]) == [Skip("record without an answer")]


def test_cosmos_options_can_stand_in_any_order():
    (fields,) = mapped("cosmos_qa", label=3)
    assert fields["answer"] == "None of these"
    assert fields["choices"][1] == "The baby kept her too busy to sit down."
    assert mapped("cosmos_qa", label=-1) == [Skip("label that is not published")]


def test_trivia_and_natural_questions_accept_every_answer():
    assert mapped("trivia_qa")[0]["answer"] == ["Loire", "River Loire", "La Loire", "Loire River"]
    assert mapped("natural_questions", question="who wrote it ?")[0]["question"] == "who wrote it?"


@pytest.mark.parametrize(("labels", "key"), [([0, 1, 2], 1), (["A", "B", "C"], "B"), (["1", "2", "3"], "2")])
def test_arc_reads_its_key_through_the_labels(labels: list[Any], key: Any):
    choices = {"text": ["ice", "steam", "fog"], "label": labels}
    (fields,) = mapped("arc_easy", choices=choices, answerKey=key)
    assert fields["answer"] == "steam"
    assert mapped("arc_easy", choices=choices, answerKey="E") == [Skip("answer that is none of the choices")]


def test_quac_s_mark_for_no_answer_is_a_word_and_leaves_the_text():
    (fields,) = mapped("quac", orig_answer={"text": "CANNOTANSWER"}, answers={"text": ["CANNOTANSWER", "in Milan"]})
    assert fields["answer"] == ["unanswerable", "in Milan"]
    assert fields["context"].endswith("silver medal.")
    assert mapped("quac", background="")[0]["background"] == "Ada Brand"


def test_coqa_gives_an_example_a_turn_with_the_turns_before():
    turns = mapped("coqa")
    assert [turn["question"] for turn in turns] == ["What did Pym keep?", "Where?", "Who did not do what it said?"]
    assert turns[0]["history"] == ""
    assert turns[2]["dialogue"] == (
        "Q: What did Pym keep?\nA: a parrot\nQ: Where?\nA: in his shop\nQ: Who did not do what it said?"
    )
    for turn in turns:
        assert turn["answer"] not in turn["dialogue"]
    (skipped,) = mapped("coqa", questions=["Who?"])
    assert isinstance(skipped, Skip)


def test_true_case_takes_capitals_only():
    (fields,) = mapped("true_case", en="Ærø  Is an Island.")
    assert fields == {"lowered": "ærø is an island.", "answer": "Ærø Is an Island."}
    assert mapped("true_case", en="nothing to do") == [Skip("sentence without capitals")]


@pytest.mark.parametrize(
    ("text", "bare"),
    [
        ("Yes, it's 3.5 km - or so!", "Yes it's 3.5 km or so"),
        ("“Wait” (he said)…", "Wait he said"),
        ("The item(s) I'd seen.", "The item s I'd seen"),
        ("well-known, isn't it?", "well-known isn't it"),
        ("¿Qué? £20/£30.", "Qué £20 £30"),
    ],
)
def test_fix_punct_keeps_marks_inside_words(text: str, bare: str):
    (fields,) = mapped("fix_punct", en=text)
    assert fields == {"bare": bare, "answer": text}


def test_fix_punct_leaves_out_what_has_nothing_to_fix():
    assert mapped("fix_punct", en="no marks here") == [Skip("sentence without punctuation")]
    assert mapped("fix_punct", en="***") == [Skip("sentence without words")]


def test_word_segment_takes_blanks_only():
    assert mapped("word_segment", en="a \u00a0b  c.") == [{"joined": "abc.", "answer": "a b c."}]
    assert mapped("word_segment", en="Home") == [Skip("text of one word")]


def test_no_sentence_serves_two_formatting_tasks():
    spans = []
    for name in TASKS["text_formatting"]:
        for split in get_task(name).splits.values():
            start, end = split.removeprefix("train[").removesuffix("]").split(":")
            spans.append((int(start), int(end)))
    spans.sort()
    assert all(start < end for start, end in spans)
    assert all(end <= following for (_, end), (following, _) in itertools.pairwise(spans))


def test_web_nlg_triples_read_as_words():
    (fields,) = mapped("web_nlg_en", input=['Aarhus_Airport | cityServed | "Aarhus, Denmark"'], category="SportsTeam")
    assert fields["triples"] == "Aarhus Airport | city served | Aarhus, Denmark"
    assert fields["category"] == "sports team"
    assert mapped("web_nlg_en", input=["no triple"]) == [Skip("triple without three parts")]


def test_e2e_attributes_read_as_words():
    (fields,) = mapped(
        "e2e_nlg", meaning_representation="name[Bob's, Bar], eatType[pub], priceRange[£20-25], near[Zizzi]"
    )
    assert fields["attributes"] == "name: Bob's, Bar\nkind of place: pub\nprice range: £20-25\nclose to: Zizzi"


def test_dart_triples_have_no_marks_of_the_file():
    (fields,) = mapped("dart", tripleset=["[TABLECONTEXT] [TITLE] List of towns", "Atlanta AREA_CODE 404"])
    assert fields["triples"] == "TABLE TITLE List of towns\nAtlanta AREA CODE 404"
    (fields,) = mapped("dart", tripleset=["Zizzi familyFriendly yes", '3Arena ARCHITECT "HOK McSVE"'])
    assert fields["triples"] == "Zizzi family friendly yes\n3Arena ARCHITECT HOK McSVE"


@pytest.mark.parametrize("name", TASKS["structure_to_text"])
def test_generation_accepts_the_target_and_its_references(name: str):
    (fields,) = mapped(name, target="One.", references=["Two.", "One.", ""])
    assert fields["answer"] == ["One.", "Two."]
    assert mapped(name, target="", references=[]) == [Skip("record without an answer")]


def test_math_reads_an_area_each_and_the_same_share_of_it():
    spec = get_task("math_areas")
    areas = [part.removeprefix("tfds:math_dataset/").partition("__")[0] for part in spec.source.name.split(" + ")]
    assert len(areas) == len(set(areas)) == 8
    assert spec.splits == {"train": "train[:4000]", "validation": "test[:250]"}
