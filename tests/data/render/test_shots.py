"""Few-shot prompts: where their examples come from, what they look like, and that they fit."""

from collections.abc import Iterable, Sequence

import pytest

from flan_jax.config import BatchConfig, DataConfig
from flan_jax.data.prepare.encode import Fit, encode, shot_budget
from flan_jax.data.registry import IterableSource, TaskSpec, Template
from flan_jax.data.render.example import Example
from flan_jax.data.render.examples import describe, examples
from flan_jax.data.render.shots import FEW, MOST, POOL_SIZE, Budget, exemplar_pool
from flan_jax.data.store.record import PairRecord, TokenRecord
from flan_jax.errors import InputError
from flan_jax.text.chat import make_encoder
from flan_jax.text.tokenizer import load_tokenizer

TOPICS = ("rivers", "bread", "chess", "engines")
TEMPLATES = (
    Template("What is this about? {text}"),
    Template("Text: {text}\nTopic:"),
    Template("{text} [topic]", answer_separator=" = ", shot_separator="\n***\n"),
)


def record(number: int) -> dict[str, str]:
    return {"text": f"Note {number} has {'very ' * (number % 7)}few words.", "answer": TOPICS[number % 4]}


def task(number: int = 60, *, templates: Sequence[Template] = TEMPLATES, **kwargs) -> TaskSpec:
    def records(split: str) -> Iterable[dict[str, str]]:
        return map(record, range(number) if split == "train" else range(1000, 1010))

    source = IterableSource(records, version="1", name="notes")
    settings = {"options": TOPICS, "inputs": "{text}", **kwargs}
    return TaskSpec("notes", "topics", source, templates=tuple(templates), **settings)


def rendered(spec: TaskSpec, split: str = "train", budget: Budget | None = None, **settings) -> list[Example]:
    found = [e for e in examples(spec, split, DataConfig(**settings), budget=budget) if isinstance(e, Example)]
    assert found
    return found


def words(texts: Sequence[str]) -> list[int]:
    return [len(text.split()) for text in texts]


def prompt_of(example: Example) -> str:
    return example.messages[0].content


@pytest.mark.parametrize("number", [0, 1, 2, 3, 5, 10])
def test_as_many_examples_as_asked_for_stand_before_the_question(number: int):
    for example in rendered(task(), shots=number):
        question = record(example.example_id)["text"]
        texts = [record(other)["text"] for other in range(60)]
        shown = [text for text in set(texts) if text in prompt_of(example)]
        assert example.shots == number
        assert prompt_of(example).count("Note ") == number + 1
        assert question in shown
        assert prompt_of(example).count(question) == 1  # never the example itself, nor one with its input


def test_answers_stand_where_the_template_puts_them():
    plain = task(templates=TEMPLATES[:1], options=None, metrics=("exact_match",))
    colon = task(templates=TEMPLATES[1:2], options=None, metrics=("exact_match",))
    own = task(templates=TEMPLATES[2:], options=None, metrics=("exact_match",))
    for spec, between, after in ((plain, "\n", "\n\n"), (colon, " ", "\n\n"), (own, " = ", "\n***\n")):
        for example in rendered(spec, shots=2):
            first, second, question = prompt_of(example).split(after)
            assert all(any(part.endswith(between + topic) for topic in TOPICS) for part in (first, second))
            assert not any(topic in question for topic in TOPICS)


@pytest.mark.parametrize("style", ["dash", "letters", "numbers", "parentheses"])
def test_the_answers_of_examples_follow_the_option_style(style: str):
    for example in rendered(task(templates=TEMPLATES[1:2]), shots=3, option_style=style):
        *before, question = prompt_of(example).split("Text: ")[1:]
        assert len(before) == 3
        for shot in before:
            text, _, rest = shot.partition("\n")
            right = next(record(number)["answer"] for number in range(60) if record(number)["text"] == text)
            # an empty line before the answer, which would else read like an option, and two after it
            listed, _, answer = rest.removeprefix("Topic:\n\nOPTIONS:\n").partition("\n\n")
            assert answer.endswith("\n\n\n")
            line = next(line for line in listed.split("\n") if line.endswith(right))
            mark = line.removesuffix(right).strip().rstrip(".")
            assert answer.strip() == (right if style == "dash" else mark)
        assert question.count("OPTIONS:") == 1


def test_the_varied_style_uses_every_style_and_examples_share_the_questions():
    seen = set()
    for example in rendered(task(200, templates=TEMPLATES[:1]), shots=1, option_style="varied"):
        lines = prompt_of(example).split("\n")
        marks = {
            line[: line.index(" ")]
            for line in lines
            if line and line[-4:] in {topic[-4:] for topic in TOPICS} and " " in line
        }
        kinds = {"".join("A" if c.isalpha() else "1" if c.isdigit() else c for c in mark) for mark in marks}
        assert len(kinds) == 1, f"two styles in one prompt: {marks}"
        seen |= kinds
    assert seen == {"-", "A.", "1.", "(A)"}


def test_the_same_example_has_the_same_text_whatever_is_read_and_in_whatever_order():
    whole = {e.example_id: e for e in rendered(task(), shots=3)}
    capped = {e.example_id: e for e in rendered(task(), shots=3, max_examples=20)}
    assert len(capped) == 20
    assert all(whole[number] == example for number, example in capped.items())
    other_seed = {e.example_id: e for e in rendered(task(), shots=3, render_seed=1)}
    assert whole != other_seed


def test_few_draws_all_its_numbers():
    counts = [example.shots for example in rendered(task(400), shots="few")]
    assert set(counts) == set(FEW)
    assert max(counts.count(number) for number in FEW) < 0.3 * len(counts)


def test_examples_are_fitted_to_the_budget():
    budget = Budget(60, True, words)
    found = rendered(task(300), shots="fit", budget=budget)
    for example in found:
        longest = max(words(example.options))
        assert words([prompt_of(example)])[0] + longest <= budget.tokens
        assert example.shots > 0
    roomy = rendered(task(300), shots="fit", budget=Budget(10_000, True, words))
    assert {example.shots for example in roomy} == {MOST}
    # where the question alone is over the budget, it stands alone
    tight = rendered(task(300), shots=5, budget=Budget(5, True, words))
    assert {example.shots for example in tight} == {0}


def test_as_many_as_fit_needs_something_to_count_with():
    with pytest.raises(InputError, match="shots 'fit' needs a tokenizer"):
        rendered(task(), shots="fit")


def test_validation_questions_get_examples_of_the_training_split():
    for example in rendered(task(), split="validation", shots=2):
        shown = [number for number in range(60) if record(number)["text"] in prompt_of(example)]
        assert example.shots == 2
        assert shown
        assert prompt_of(example).count("Note 10") >= 1


def test_a_task_without_a_training_split_is_refused_by_name():
    spec = task(splits={"validation": "validation"})
    with pytest.raises(InputError, match="task 'notes': has no training split to draw examples from"):
        rendered(spec, split="validation", shots=2)


def test_the_tasks_own_number_stands_above_the_configs():
    assert {e.shots for e in rendered(task(shots=0), shots=5)} == {0}
    assert {e.shots for e in rendered(task(shots=2), shots=0)} == {2}
    assert {e.shots for e in describe(task(shots=2), 1)} == {2}


def test_the_pool_is_bounded_and_independent_of_order():
    items = [(number, {"text": str(number)}) for number in range(POOL_SIZE + 500)]
    pool = exemplar_pool(items, "key")
    assert len(pool) == POOL_SIZE
    assert exemplar_pool(reversed(items), "key") == pool
    assert exemplar_pool(items, "other") != pool


@pytest.mark.parametrize("is_pair", [False, True])
def test_fitted_prompts_fit_the_rows_they_are_fitted_to(is_pair: bool):
    tokenizer = load_tokenizer("bytes")
    encoder = make_encoder("text", tokenizer, "none", is_encoder_decoder=is_pair)
    batch = BatchConfig(length=600, input_length=600, target_length=64)
    data = DataConfig(shots="fit")
    budget = shot_budget(encoder, batch, data)
    found = [e for e in examples(task(120), "train", data, budget=budget) if isinstance(e, Example)]
    fit = Fit((600, 64) if is_pair else (600,), cut_input=False)
    records = [item for item, _ in encode(encoder, found, fit)]
    assert all(isinstance(item, (TokenRecord, PairRecord)) for item in records)
    fullest = max(item.packed_lengths[0] for item in records if isinstance(item, (TokenRecord, PairRecord)))
    assert fullest > 540  # the budget is used
