"""Numbers as digits and as English words, both ways."""

from __future__ import annotations

import importlib.metadata
import random
from collections.abc import Iterable

from flan_jax.data.registry import TaskSpec, Template, add_task

from .stock import Record, distinct, split_source

CLUSTER = "number_words"
VERSION = f"1, num2words {importlib.metadata.version('num2words')}"
CITATION = "Number words by the library num2words (LGPL-2.1); numbers of our own choice."
LARGEST = 999


def _number(stream: random.Random) -> int:
    # one in three has two digits: drawn evenly, nearly all would have three
    return stream.randint(11, 99) if stream.random() < 1 / 3 else stream.randint(100, LARGEST)


def number_records() -> Iterable[Record]:
    """Numbers in digits and in words."""
    from num2words import num2words

    def draw(stream: random.Random) -> Record:
        number = _number(stream)
        return {"number": str(number), "words": num2words(number)}

    return distinct("number_words", 400, draw, by="number")


# one source for both directions: a number that one task trains on is not asked for by the other
SOURCE = split_source("number_words", number_records, together="number", version=VERSION)

add_task(
    TaskSpec(
        name="digits_to_words",
        cluster=CLUSTER,
        source=SOURCE,
        templates=(
            Template("Write {number} in words."),
            Template("How do you spell out the number {number}?"),
            Template("{number} in English words:"),
            Template("A cheque is made out for {number}. Write the amount in words."),
            Template("Digits: {number}\nWords:"),
            Template("Read this number aloud: {number}"),
            Template("Turn the digits into words: {number}"),
            Template("What is {number}, written out?"),
            Template("Which number is '{words}'? Use digits.", "{number}", inverted=True),
            Template("Words: {words}\nDigits:", "{number}", inverted=True),
        ),
        inputs="{number}",
        answer="words",
        target="{words}",
        metrics=("exact_match", "token_f1"),
        dataset_name="digits to words",
        version="1",
        license="Apache-2.0",
        citation=CITATION,
        description="Numbers up to 999 written out in English words.",
    )
)

add_task(
    TaskSpec(
        name="words_to_digits",
        cluster=CLUSTER,
        source=SOURCE,
        templates=(
            Template("Write '{words}' as a number in digits."),
            Template("What number is {words}?"),
            Template("{words} in digits:"),
            Template("Someone dictates '{words}'. What do you type on a calculator?"),
            Template("Turn the words into digits: {words}"),
            Template("Spelled out it reads {words}. Give the digits only."),
            Template("Note down in figures: {words}"),
            Template("The amount is {words}. Which figure belongs in the table?"),
            Template("Put this number into words: {number}", "{words}", inverted=True),
            Template("How is {number} said in English?", "{words}", inverted=True),
        ),
        inputs="{words}",
        answer="number",
        target="{number}",
        metrics=("exact_match",),
        dataset_name="words to digits",
        version="1",
        license="Apache-2.0",
        citation=CITATION,
        description="Numbers up to 999, given in English words, written in digits.",
    )
)
