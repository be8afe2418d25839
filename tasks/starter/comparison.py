"""Comparison: the larger of two numbers, and the heavier of two things."""

from __future__ import annotations

import random
from collections.abc import Iterable

from flan_jax.data.registry import TaskSpec, Template, add_task

from .stock import Record, distinct, split_source

CLUSTER = "comparison"

# things by the order of magnitude of their usual mass, lightest first; those compared are two classes apart or more
MASS_CLASSES = tuple(
    line.split(", ")
    for line in (
        "feather, leaf, stamp, paperclip, ladybird, butterfly, bee, grain of rice, raindrop, eyelash",
        "apple, cup, mouse, spoon, sparrow, lemon, sock, egg, pencil case, candle, banana, hamster",
        "brick, cat, hen, melon, hammer, kettle, duck, dictionary, rabbit, frying pan, laptop, baby",
        "wolf, bicycle, television, sheep, wooden table, goat, tall man, armchair, full suitcase, big dog",
        "pony, piano, motorbike, lion, cow, bear, wardrobe full of clothes, gorilla, horse, full bathtub",
        "truck, bus, elephant, helicopter, train, whale, tram, ferry, aeroplane, bulldozer, house, castle",
    )
)


def number_records() -> Iterable[Record]:
    """Two different numbers of two to four digits; in half of the records both have the same length."""

    def draw(stream: random.Random) -> Record:
        length = stream.randint(2, 4)
        lengths = [length, length] if stream.random() < 0.5 else [length, stream.randint(2, 4)]
        first, second = (stream.randrange(10 ** (digits - 1), 10**digits) for digits in lengths)
        second += first == second
        key = f"{min(first, second)} {max(first, second)}"
        return {
            "first": str(first),
            "second": str(second),
            "pair": [str(first), str(second)],
            "key": key,
            "answer": str(max(first, second)),
        }

    return distinct("larger_number", 400, draw, by="key")


def thing_records() -> Iterable[Record]:
    """Two things whose masses differ by a factor of about a hundred or more."""

    def draw(stream: random.Random) -> Record:
        light = stream.randrange(len(MASS_CLASSES) - 2)
        heavy = stream.randrange(light + 2, len(MASS_CLASSES))
        answer = stream.choice(MASS_CLASSES[heavy])
        first, second = stream.sample([stream.choice(MASS_CLASSES[light]), answer], 2)
        key = " / ".join(sorted([first, second]))
        return {"first": first, "second": second, "pair": [first, second], "key": key, "answer": answer}

    return distinct("heavier_thing", 400, draw, by="key")


add_task(
    TaskSpec(
        name="larger_number",
        cluster=CLUSTER,
        source=split_source("larger_number", number_records, together="key", version="1"),
        templates=(
            Template("Which is larger, {first} or {second}?"),
            Template("Pick the bigger number: {first}, {second}"),
            Template("Compare {first} with {second}. Which is greater?"),
            Template("Two numbers: {first} and {second}\nThe larger one:"),
            Template("You may have {first} coins or {second} coins. Which is more?"),
            Template("Of {first} and {second}, name the greater."),
            Template("What is the maximum of {first} and {second}?"),
            Template("One team scored {first}, the other {second}. What is the winning score?"),
            Template("Which number is further along the number line, {first} or {second}?"),
            Template("Name two numbers of which {answer} is the larger.", "{first} and {second}", inverted=True),
        ),
        inputs="{first}, {second}",
        options="pair",
        dataset_name="larger number",
        version="1",
        license="Apache-2.0",
        citation="Numbers of our own choice, tasks/starter/comparison.py.",
        description="The larger of two whole numbers.",
    )
)

add_task(
    TaskSpec(
        name="heavier_thing",
        cluster=CLUSTER,
        source=split_source("heavier_thing", thing_records, together="key", version="1"),
        templates=(
            Template("Which is heavier: {first} or {second}?"),
            Template("What weighs more, the {first} or the {second}?"),
            Template("Put these on a scale: {first}, {second}. Which side goes down?"),
            Template("Things: {first}, {second}\nThe heavier one:"),
            Template("Which would be harder to lift, the {first} or the {second}?"),
            Template("Name the one with the greater weight: {first}, {second}"),
            Template("You must carry the {first} or the {second}. Which is the bigger load?"),
            Template("Common sense: of {first} and {second}, which has more mass?"),
            Template("Choose the heavier of the two. {first} / {second}"),
            Template("Name two things of which the heavier is the {answer}.", "{first} and {second}", inverted=True),
        ),
        inputs="{first}, {second}",
        options="pair",
        dataset_name="heavier thing",
        version="1",
        license="Apache-2.0",
        citation="Everyday orders of magnitude, a table of our own, tasks/starter/comparison.py.",
        description="The heavier of two things whose masses differ by a factor of about a hundred or more.",
    )
)
