"""Sentiment of short reviews put together from our own phrases."""

from __future__ import annotations

import random
from collections.abc import Iterable

from flan_jax.data.registry import TaskSpec, Template, add_task

from .stock import Record, cycled, distinct, split_source

CLUSTER = "sentiment"
PLEASED, ANNOYED = 0, 1

# product: what can be said of it, good and bad
PRODUCTS = {
    "kettle": (("boils in no time", "looks lovely on the shelf"), ("leaks at the spout", "takes forever to boil")),
    "backpack": (("sits well on my shoulders", "has room for everything"), ("tore after a week", "lets the rain in")),
    "lamp": (("gives a warm, even light", "fits any desk"), ("flickers all evening", "fell over twice a day")),
    "novel": (("kept me awake until the last page", "is full of wit"), ("never gets going", "made me yawn")),
    "film": (("had me laughing all the way", "is beautifully shot"), ("drags on and on", "wastes good actors")),
    "headset": (("sounds crisp", "stays comfortable for hours"), ("crackles constantly", "pinches my ears")),
    "bicycle": (("rides like a dream", "shifts smoothly"), ("squeaks from the first day", "loses its chain uphill")),
    "camera": (("takes brilliant pictures", "is a joy to hold"), ("blurs every picture", "dies after ten minutes")),
    "blender": (("crushes ice with ease", "is quick to clean"), ("smells of burning", "leaves lumps in everything")),
    "tent": (("stood up to a storm", "is up in three minutes"), ("collapsed in a breeze", "came with broken poles")),
    "game": (("is fun for the whole family", "has clever rules"), ("is boring after one round", "has confusing rules")),
    "jacket": (("keeps me warm and dry", "fits perfectly"), ("lost its zip in a month", "is itchy and stiff")),
}
VERDICTS = {
    "positive": (
        "I would buy it again.",
        "Five stars.",
        "Very happy with it.",
        "Worth every cent.",
        "My best buy yet.",
    ),
    "negative": (
        "I want my money back.",
        "What a waste.",
        "Very disappointed.",
        "Never again.",
        "It is in the bin now.",
    ),
}

# part of a visit: what a pleased guest says of it, and an annoyed one
VISITS = {
    "food": (
        ("the soup was delicious", "the fish was perfectly cooked", "I loved the dessert"),
        ("the soup was cold", "the bread was stale", "the meat was burnt"),
    ),
    "service": (
        ("the waiter was charming", "our order came at once", "they served us with a smile"),
        ("the waiter was rude", "we waited for an hour", "they got our order wrong"),
    ),
    "room": (
        ("the room was spotless", "the bed was wonderful", "the bath was a delight"),
        ("the room was filthy", "the bed was far too hard", "the shower did not work"),
    ),
    "price": (
        ("the price was very fair", "it was a real bargain", "it cost less than we feared"),
        ("the bill was outrageous", "we paid far too much", "they charged us twice"),
    ),
    "place": (
        ("the view was stunning", "the terrace was lovely", "the garden was peaceful"),
        ("the street was noisy", "the hall smelled awful", "the place was hard to find"),
    ),
    "staff": (
        ("the porter helped us at once", "the host made us feel welcome", "everyone was friendly"),
        ("the porter lost our bags", "the host ignored us", "nobody cared about us"),
    ),
}


def product_records() -> Iterable[Record]:
    """Reviews of a product: one thing said of it, and a verdict of the same colour, in either order."""
    label = cycled("product_review labels", tuple(VERDICTS))

    def draw(stream: random.Random) -> Record:
        answer = label()
        product = stream.choice(list(PRODUCTS))
        good, bad = PRODUCTS[product]
        quality = stream.choice(good if answer == "positive" else bad)
        remark = f"{stream.choice(('This', 'The', 'My new'))} {product} {quality}."
        verdict = stream.choice(VERDICTS[answer])
        return {"review": " ".join(stream.sample((remark, verdict), 2)), "answer": answer}

    return distinct("product_review", 320, draw, by="review")


def visit_records() -> Iterable[Record]:
    """Reports of a visit: two remarks on different parts of it, both good, both bad, or one of each."""
    label = cycled("visit_report labels", ("good", "bad", "mixed"))

    def draw(stream: random.Random) -> Record:
        answer = label()
        moods = {"good": (PLEASED, PLEASED), "bad": (ANNOYED, ANNOYED), "mixed": stream.sample((PLEASED, ANNOYED), 2)}
        parts = stream.sample(list(VISITS), 2)
        remarks = [stream.choice(VISITS[part][mood]) for part, mood in zip(parts, moods[answer], strict=True)]
        report = (" but " if answer == "mixed" else " and ").join(remarks)
        return {"review": f"{report[0].upper()}{report[1:]}.", "answer": answer}

    return distinct("visit_report", 400, draw, by="review")


add_task(
    TaskSpec(
        name="product_review",
        cluster=CLUSTER,
        source=split_source("product_review", product_records, together="review", version="1"),
        templates=(
            Template("{review}\nIs this review positive or negative?"),
            Template("What is the mood of this review?\n{review}"),
            Template("Review: {review}\nSentiment:"),
            Template("A customer wrote: {review}\nIs that a positive or a negative opinion?"),
            Template("Judge the tone: {review}"),
            Template("Sort this comment by its sentiment. {review}"),
            Template("How does the buyer feel? {review}"),
            Template("{review}\nDoes this speak for the product or against it? Say positive or negative."),
            Template("Write a short {answer} product review.", "{review}", inverted=True),
            Template("What might a buyer with a {answer} opinion write?", "{review}", inverted=True),
        ),
        inputs="{review}",
        options=tuple(VERDICTS),
        dataset_name="product review",
        version="1",
        license="Apache-2.0",
        citation="Reviews from our own phrases, tasks/starter/sentiment.py.",
        description="Whether a review of a product is positive or negative.",
    )
)

add_task(
    TaskSpec(
        name="visit_report",
        cluster=CLUSTER,
        source=split_source("visit_report", visit_records, together="review", version="1"),
        templates=(
            Template("{review}\nWas the visit good, bad or mixed?"),
            Template("A guest reports: {review} How was the stay, all in all?"),
            Template("Report: {review}\nImpression:"),
            Template("Sum up the guest's opinion in one word. {review}"),
            Template("How did the evening go? {review}"),
            Template("{review} Is that praise, complaint or some of both?"),
            Template("File this comment under good, bad or mixed: {review}"),
            Template("Read the comment and judge the impression: {review}"),
            Template("What overall impression does this leave?\n{review}"),
            Template("Write one sentence about a {answer} visit to a hotel or restaurant.", "{review}", inverted=True),
        ),
        inputs="{review}",
        options=("good", "bad", "mixed"),
        dataset_name="visit report",
        version="1",
        license="Apache-2.0",
        citation="Reports from our own phrases, tasks/starter/sentiment.py.",
        description="Whether a guest's report is good, bad or mixed.",
    )
)
