"""Chain of thought: rows as they are published become question, options, answer and reasoning, and back again."""

import re
from collections import Counter
from pathlib import Path

import pytest

from flan_jax.config import DataConfig
from flan_jax.data.registry import HoldBack, TaskSpec, WebFileSource, get_task, load_modules
from flan_jax.data.registry.resolve import resolve_mixture
from flan_jax.data.render.renderer import Renderer
from flan_jax.data.sources.files import FileSource
from flan_jax.data.spec.fields import Dropped, fields_of, record_fields
from flan_jax.data.spec.schema import Skip
from flan_jax.evaluate.metrics import answer_reader, normalize
from flan_jax.tasks.cot import aqua, creak, esnli, rationales, sensemaking

SETS = ("aqua", "creak", "ecqa", "esnli", "gsm8k", "qasc", "qed", "sensemaking", "strategyqa")
ROWS = {  # of the public files, arXiv 2301.13688
    "aqua": 2728,
    "creak": 6915,
    "ecqa": 7112,
    "gsm8k": 7473,
    "qasc": 1084,
    "sensemaking": 6070,
    "strategyqa": 2061,
}
REAL = Path(__file__).parents[2].parent / "shared" / "data" / "flan_cot"
load_modules(())


def row(question: str, answer: str, rationale: str = "Because.") -> dict[str, str]:
    return {"question": question, "answer": answer, "rationale": rationale}


def three(name: str) -> tuple[TaskSpec, TaskSpec, TaskSpec]:
    return get_task(f"cot_{name}"), get_task(f"cot_{name}_direct"), get_task(f"cot_{name}_inverted")


@pytest.mark.parametrize("name", SETS)
def test_a_set_has_three_tasks_with_ten_straight_templates_each(name: str):
    reasoned, direct, inverted = three(name)
    assert reasoned.reasoning
    assert reasoned.metrics == ("exact_match",)
    assert ("accuracy" in direct.metrics) == (direct.options is not None)
    assert (inverted.metrics, inverted.options) == (("rouge_l",), None)
    for spec in (reasoned, direct, inverted):
        assert len({template.prompt for template in spec.templates}) == 10
        assert not any(template.inverted for template in spec.templates)
        assert isinstance(spec.source, HoldBack)
        assert isinstance(spec.source.source, WebFileSource)
        assert spec.source.source.address.endswith(f"/{name}_train.tsv")


@pytest.mark.parametrize("name", SETS)
def test_a_cue_at_the_end_of_a_prompt_stands_after_the_options(name: str):
    for spec in three(name)[:2]:
        (fields,) = record_fields(spec, spec.sample or {})
        assert not isinstance(fields, Skip)
        renderer = Renderer(spec, mode="instruction", options_shown=True, option_style="dash", seed=0)
        for example in renderer.render_all(fields, example_id=0):
            before, _, after = example.messages[0].content.rpartition("OPTIONS:")
            assert spec.options is None or not before.rstrip().endswith(":"), before
            assert spec.options is None or after


def test_inference_data_is_held_out_with_inference():
    assert {spec.cluster for spec in three("esnli")} == {"entailment"}
    clusters = {name: get_task(f"cot_{name}").cluster for name in SETS}
    assert clusters["gsm8k"] == clusters["aqua"] == "cot_math"
    assert clusters["qed"] == "cot_open_domain_qa"
    assert Counter(clusters.values())["cot_common_sense"] == 5


def test_options_are_read_from_the_question():
    listed = rationales.read_choice(row("Which?\nOptions:\n- red\n- blue\n- red\n- green", "blue"))
    assert listed == {
        "question": "Which?",
        "options": ["red", "blue", "green"],
        "answer": "blue",
        "rationale": "Because.",
    }
    lettered = rationales.read_choice(row("Sum?\nOptions:\n(A) 1 \n(B)  2\n(C) 3", "(B)"))
    assert (lettered["options"], lettered["answer"]) == (["1", "2", "3"], "2")
    both = rationales.read_choice(row("What?\nOptions:\n- (A) sun\n- (B) moon", "(A)"))
    assert (both["options"], both["answer"]) == (["sun", "moon"], "sun")
    # a question may list things of its own
    own = rationales.read_choice(row("Which?\n(A) x\n(B) y\nOptions:\n(A) A and B\n(B) B only", "(B)"))
    assert (own["question"], own["answer"]) == ("Which?\n(A) x\n(B) y", "B only")


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (row("Which?", "blue"), rationales.NO_OPTIONS),
        (row("Which?\nOptions:\nred\nblue", "blue"), rationales.NO_OPTIONS),
        (row("\nOptions:\n- red\n- blue", "blue"), rationales.NO_OPTIONS),
        (row("Which?\nOptions:\n(A) km\n(B) km", "(B)"), rationales.TOO_FEW_OPTIONS),
        (row("Which?\nOptions:\n- red\n- blue", "green"), rationales.NO_SUCH_OPTION),
        (row("Which?\nOptions:\n(A) red\n(B) blue", "(C)"), rationales.NO_SUCH_OPTION),
        (row("Which?\nOptions:\n- red\n- blue", "red", " "), rationales.EMPTY),
    ],
)
def test_rows_whose_options_cannot_be_read_are_skipped_with_a_reason(record: dict[str, str], reason: Skip):
    assert rationales.read_choice(record) == reason


def test_claims_and_yes_no_questions():
    fields = creak.read_claim(row('"Cats say "moo"."\nIs the above claim true?\nOptions:\n- yes\n- no', "no"))
    assert fields["claim"] == 'Cats say "moo".'
    assert rationales.read_claim(row("Cats bark.", "no")) == rationales.NO_CLAIM
    assert rationales.read_yes_no(row("Is it?", "maybe")) == rationales.NOT_YES_OR_NO


def test_algebra_whose_reasoning_names_a_letter_is_skipped():
    question = "Sum?\nOptions:\n(A) 1\n(B) 2"
    for reasoning in (
        "1 + 1 = 2\nAnswer = B",
        "so option (B) is right",
        "Only (B) holds",
        "B fits: 2 = 2",
        "only B is even",
    ):
        assert aqua.read_algebra(row(question, "(B)", reasoning)) == aqua.BY_LETTER, reasoning
    for reasoning in ("P(A) = 2", "A and B work for the answer. A train takes 2.", "The choice a of 2", "(A + B) = 2"):
        assert not isinstance(aqua.read_algebra(row(question, "(B)", reasoning)), Skip), reasoning


def test_text_read_in_the_wrong_encoding_is_mended():
    assert aqua.mended("âˆš2 â€“ 1 Ã— Â½ Â¹â\x81µ") == "√2 – 1 × ½ ¹⁵"
    assert aqua.mended("½ ∪ café – x") == "½ ∪ café – x"


def test_premise_and_hypothesis_are_the_two_quoted_texts():
    wordings = (
        'Premise: "A dog runs."\nHypothesis: "An animal moves."\nIs the hypothesis entailed by the premise?',
        'Given the sentence "A dog runs." is it true that "An animal moves."?\nOptions:\n- yes\n- no',
        'If "A dog runs." does that mean that "An animal moves."?',
    )
    for wording in wordings:
        fields = esnli.read_pair(row(wording, "yes"))
        assert (fields["premise"], fields["hypothesis"]) == ("A dog runs.", "An animal moves.")
    assert esnli.read_pair(row('Premise: "A "big" dog."\nHypothesis: "A dog."', "yes")) == esnli.NO_PAIR
    assert esnli.read_pair(row(wordings[0], "perhaps")) == esnli.OTHER_ANSWER


def test_the_odd_sentence_is_told_from_the_sound_one():
    text = 'Which?\nOptions:\n- Sentence A: "He ate "soup"."\n- Sentence B: "He ate a car."\n'
    fields = sensemaking.read_sentences(row(text, "Sentence B"))
    assert (fields["first"], fields["second"]) == ('He ate "soup".', "He ate a car.")
    assert (fields["odd"], fields["sound"], fields["answer"]) == ("He ate a car.", 'He ate "soup".', sensemaking.SECOND)
    assert sensemaking.read_sentences(row(text, "Sentence C")) == sensemaking.NEITHER
    assert sensemaking.read_sentences(row("Which?", "Sentence A")) == sensemaking.NO_SENTENCES


def test_the_answer_is_read_from_the_end_of_the_reasoning():
    read = answer_reader(rationales.ANSWER_PATTERN, "test")
    assert read("Two and two. So the answer is 4.") == "4"
    assert read("So the answer is 3? No. 2 + 2 = 4\nso the answer is 4.5.\nDone.") == "4.5"
    assert (
        read("One may say so the answer is 3. But it is not. So the answer is Washington, D.C..") == "Washington, D.C."
    )
    assert read("I do not know.") is None


def test_a_local_file_is_read_as_the_published_one(tmp_path: Path):
    lines = [f"What is {n} + 1?\t{n + 1}\tOne more than {n}\\nis {n + 1}." for n in range(40)]
    path = tmp_path / "gsm8k_train.tsv"
    path.write_text("\n".join(lines) + "\n")
    names = ("cot_gsm8k", "cot_gsm8k_direct", "cot_gsm8k_inverted")
    resolved = resolve_mixture(DataConfig(mixture=names, sources=dict.fromkeys(names, str(path))))
    held = []
    for name in names:
        spec = resolved.specs[name]
        kept = [item[1] for item in fields_of(spec, "train") if not isinstance(item, Dropped)]
        assert kept[0]["rationale"].count("\n") == 1
        held.append([item[1]["question"] for item in fields_of(spec, "validation") if not isinstance(item, Dropped)])
    # what one of the three is tested on, the others do not train on
    assert held[0] == held[1] == held[2] != []


@pytest.mark.skipif(not REAL.is_dir(), reason=f"the public chain-of-thought files are not in {REAL}")
@pytest.mark.parametrize("name", ROWS)
def test_the_public_files_parse_and_answers_come_back(name: str):
    spec, direct, inverted = three(name)
    source = FileSource(str(REAL / f"{name}_train.tsv"), columns=rationales.COLUMNS, unescape=True)
    read = answer_reader(str(spec.answer_pattern), spec.name)
    skipped: Counter[str] = Counter()
    parsed = 0
    worded, answered, turned = (
        Renderer(task, mode="instruction", options_shown=True, option_style="dash", seed=1)
        for task in (spec, direct, inverted)
    )
    lettered = Renderer(spec, mode="instruction", options_shown=True, option_style="letters", seed=1)
    for number, record in enumerate(source.records("train")):
        (fields,) = record_fields(spec, record)
        if isinstance(fields, Skip):
            skipped[fields.reason] += 1
            continue
        parsed += 1
        target = worded.render(fields, example_id=number, rendering=0).target
        assert normalize(str(read(target))) == normalize(fields["answer"]), (number, target)
        letter = lettered.render(fields, example_id=number, rendering=0).target
        assert spec.options is None or re.fullmatch("[A-H]", str(read(letter)))
        assert answered.render(fields, example_id=number, rendering=0).target == fields["answer"]
        (about,) = record_fields(inverted, record)
        assert not isinstance(about, Skip)
        assert turned.render(about, example_id=number, rendering=0).target
    print(name, parsed, dict(skipped))
    assert parsed + skipped.total() == ROWS[name]
    assert parsed >= 0.97 * ROWS[name], skipped
