"""Arithmetic with a chain of thought: short stories with one or two steps, each step worked out before the answer."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable

from flan_jax.data.registry import TaskSpec, Template, add_task

from .stock import Record, distinct, split_source, words

CLUSTER = "arithmetic"

PEOPLE = words("""
    Ada Bruno Celia Dario Elif Farid Greta Hana Igor Jana Kofi Lena Marco Nadia Omar Petra Quinn Rafael Sofia Tomas
""")
THINGS = words("apples coins stamps books marbles pencils cards shells buttons eggs")
BOXES = words("boxes bags jars shelves baskets")


def _gain(stream: random.Random, who: str, things: str) -> tuple[str, str, int]:
    have, more = stream.randint(2, 20), stream.randint(2, 9)
    story = f"{who} has {have} {things} and finds {more} more. How many {things} does {who} have now?"
    return story, f"{have} + {more} = {have + more}.", have + more


def _loss(stream: random.Random, who: str, things: str) -> tuple[str, str, int]:
    have, less = stream.randint(10, 20), stream.randint(2, 9)
    story = f"{who} has {have} {things} and gives {less} away. How many {things} are left?"
    return story, f"{have} - {less} = {have - less}.", have - less


def _groups(stream: random.Random, who: str, things: str) -> tuple[str, str, int]:
    boxes, each = stream.randint(2, 9), stream.randint(2, 9)
    box = stream.choice(BOXES)
    story = f"{who} fills {boxes} {box} with {each} {things} each. How many {things} is that?"
    return story, f"{boxes} x {each} = {boxes * each}.", boxes * each


def _share(stream: random.Random, who: str, things: str) -> tuple[str, str, int]:
    friends, each = stream.randint(2, 6), stream.randint(2, 9)
    total = friends * each
    story = f"{who} shares {total} {things} equally among {friends} friends. How many {things} does each friend get?"
    return story, f"{total} / {friends} = {each}.", each


def _gain_and_loss(stream: random.Random, who: str, things: str) -> tuple[str, str, int]:
    have, more, less = stream.randint(5, 15), stream.randint(2, 5), stream.randint(2, 6)
    total = have + more
    story = f"{who} has {have} {things}, buys {more} more and loses {less}. How many {things} remain?"
    return story, f"{have} + {more} = {total}. {total} - {less} = {total - less}.", total - less


STORIES: tuple[Callable[[random.Random, str, str], tuple[str, str, int]], ...] = (
    _gain,
    _loss,
    _groups,
    _share,
    _gain_and_loss,
)


def problem_records() -> Iterable[Record]:
    """Stories about one person, one kind of thing and small numbers."""

    def draw(stream: random.Random) -> Record:
        story = stream.choice(STORIES)
        question, steps, result = story(stream, stream.choice(PEOPLE), stream.choice(THINGS))
        return {"question": question, "steps": steps, "answer": str(result)}

    return distinct("word_problem", 480, draw, by="question")


add_task(
    TaskSpec(
        name="word_problem",
        cluster=CLUSTER,
        source=split_source("word_problem", problem_records, together="question", version="1"),
        templates=(
            Template("{question} Show the calculation first."),
            Template("Solve the problem step by step.\n{question}"),
            Template("{question}\nThink it through, then give the answer."),
            Template("Work this out: {question}"),
            Template("Problem: {question}\nCalculation and answer:"),
            Template("A pupil asks you: {question} Explain with the sums."),
            Template("{question}\nFirst the steps, then the result."),
            Template("Do the sums for this story.\n{question}"),
            Template("How would you calculate this?\n{question}"),
            Template("Make up a short story problem that is solved by: {steps}", "{question}", inverted=True),
        ),
        inputs="{question}",
        target="{steps} The answer is {answer}.",
        metrics=("exact_match",),
        answer_pattern=r"[Tt]he answer is (-?\d+)",
        reasoning=True,
        dataset_name="word problem",
        version="1",
        license="Apache-2.0",
        citation="Stories from our own grammar, tasks/starter/arithmetic.py.",
        description="Story problems with one or two steps, answered with the sums and then the result.",
    )
)
