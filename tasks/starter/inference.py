"""Natural language inference from a small grammar: does the second sentence follow from the first?

The label is known because both sentences are built from the same facts: kinds of things, and orders of people.
"""

from __future__ import annotations

import random
from collections.abc import Iterable

from flan_jax.data.registry import TaskSpec, Template, add_task

from .stock import Record, cycled, distinct, split_source, words

CLUSTER = "inference"
LABELS = ("yes", "no", "maybe")

KINDS = {
    "bird": words("sparrow eagle owl parrot duck pigeon robin swan"),
    "tree": words("maple birch willow pine palm beech cedar chestnut"),
    "vehicle": words("truck bus tractor taxi van scooter tram motorbike"),
    "fruit": words("apple pear plum mango lemon peach banana melon"),
    "instrument": words("violin flute guitar trumpet drum cello harp banjo"),
    "tool": words("hammer saw drill spade rake wrench chisel file"),
    "fish": words("trout salmon carp herring pike tuna eel cod"),
    "flower": words("rose tulip daisy lily orchid poppy violet sunflower"),
}
QUALITIES = words("small big old young dark pale strange beautiful heavy broken")
PLACES = (
    "in the garden", "behind the school", "near the river", "on the hill", "by the gate", "in the picture",
    "at the market", "in the yard", "beside the road", "under the bridge", "in the old barn", "at the harbour",
)  # fmt: skip

PEOPLE = words(
    "Anna Ben Clara David Emma Felix Grace Hugo Ivy Jonas Karin Liam Maya Noah Olga Paul Rosa Simon Tara Victor"
)
ORDERS = (
    ("older", "younger"), ("taller", "shorter"), ("faster", "slower"), ("richer", "poorer"), ("louder", "quieter"),
    ("stronger", "weaker"), ("happier", "sadder"), ("heavier", "lighter"),
)  # fmt: skip


def _there_is(thing: str, place: str) -> str:
    article = "an" if thing[0] in "aeiou" else "a"
    return f"There is {article} {thing} {place}."


def _there_is_no(thing: str, place: str) -> str:
    return f"There is no {thing} {place}."


def kind_records() -> Iterable[Record]:
    """Pairs about a thing, its kind, another thing of the kind, and a quality, in one place."""
    label = cycled("kind_inference labels", LABELS)

    def draw(stream: random.Random) -> Record:
        kind = stream.choice(list(KINDS))
        thing, other = stream.sample(KINDS[kind], 2)
        quality, place, answer = stream.choice(QUALITIES), stream.choice(PLACES), label()
        seen, unseen = _there_is(thing, place), _there_is_no(thing, place)
        pairs = {
            "yes": [
                (seen, _there_is(kind, place)),
                (_there_is(f"{quality} {thing}", place), seen),
                (_there_is_no(kind, place), unseen),
            ],
            "no": [
                (seen, _there_is_no(kind, place)),
                (seen, unseen),
                (_there_is_no(kind, place), seen),
            ],
            "maybe": [
                (seen, _there_is(f"{quality} {thing}", place)),
                (seen, _there_is(other, place)),
                (_there_is(kind, place), seen),
            ],
        }
        premise, hypothesis = stream.choice(pairs[answer])
        return {"premise": premise, "hypothesis": hypothesis, "pair": f"{premise} {hypothesis}", "answer": answer}

    return distinct("kind_inference", 480, draw, by="pair")


def order_records() -> Iterable[Record]:
    """Pairs that compare the same two people: turned round, contradicted, or in another respect."""
    label = cycled("order_inference labels", LABELS)

    def draw(stream: random.Random) -> Record:
        first, second = stream.sample(PEOPLE, 2)
        (more, less), other = (stream.sample(order, 2) for order in stream.sample(ORDERS, 2))
        answer = label()
        premise = f"{first} is {more} than {second}."
        hypotheses = {
            "yes": [f"{second} is {less} than {first}.", f"{second} is not {more} than {first}."],
            "no": [f"{second} is {more} than {first}.", f"{first} is {less} than {second}."],
            "maybe": [f"{first} is {other[0]} than {second}.", f"{second} is {other[0]} than {first}."],
        }
        hypothesis = stream.choice(hypotheses[answer])
        return {"premise": premise, "hypothesis": hypothesis, "pair": f"{premise} {hypothesis}", "answer": answer}

    return distinct("order_inference", 480, draw, by="pair")


add_task(
    TaskSpec(
        name="kind_inference",
        cluster=CLUSTER,
        source=split_source("kind_inference", kind_records, together="pair", version="1"),
        templates=(
            Template("{premise}\nDoes it follow that this is true? {hypothesis}"),
            Template("Known: {premise}\nClaim: {hypothesis}\nIs the claim true?"),
            Template("Suppose this is so: {premise}\nMay we conclude the following? {hypothesis}"),
            Template('If "{premise}" is true, is "{hypothesis}" true as well?'),
            Template("Premise: {premise}\nHypothesis: {hypothesis}\nDoes the premise entail the hypothesis?"),
            Template("A witness said: {premise}\nIs this right, going by the witness? {hypothesis}"),
            Template("{premise} Can we then say this? {hypothesis}"),
            Template("Read the note, then judge the statement.\nNote: {premise}\nStatement: {hypothesis}"),
            Template("All we know is this. {premise} Would you agree? {hypothesis}"),
            Template(
                "{premise}\nWrite a sentence whose truth, knowing this, you would judge with '{answer}'.",
                "{hypothesis}",
                inverted=True,
            ),
        ),
        inputs="{premise}\n{hypothesis}",
        options=LABELS,
        dataset_name="kind inference",
        version="1",
        license="Apache-2.0",
        citation="Sentences from our own grammar, tasks/starter/inference.py.",
        description="Inference over things and their kinds: yes (entailed), no (contradicted) or maybe (neither).",
    )
)

add_task(
    TaskSpec(
        name="order_inference",
        cluster=CLUSTER,
        source=split_source("order_inference", order_records, together="pair", version="1"),
        templates=(
            Template("{premise}\nSo, is this true? {hypothesis}"),
            Template("We know: {premise}\nDoes this follow? {hypothesis}"),
            Template("Take this as given: {premise}\nThen what about this: {hypothesis}"),
            Template("Fact: {premise}\nGuess: {hypothesis}\nIs the guess right?"),
            Template("{premise} Does that mean the following? {hypothesis}"),
            Template("Two sentences.\nFirst: {premise}\nSecond: {hypothesis}\nDoes the first imply the second?"),
            Template("My friend told me: {premise}\nCan I be sure of this? {hypothesis}"),
            Template("Statement to check: {hypothesis}\nWhat is known: {premise}\nIs the statement true?"),
            Template("From '{premise}' someone concludes '{hypothesis}' Is that right?"),
            Template(
                "{premise}\nAdd a comparison of the same two people that, from this alone, is true: {answer}.",
                "{hypothesis}",
                inverted=True,
            ),
        ),
        inputs="{premise}\n{hypothesis}",
        options=LABELS,
        dataset_name="order inference",
        version="1",
        license="Apache-2.0",
        citation="Sentences from our own grammar, tasks/starter/inference.py.",
        description="Inference over comparisons of two people: yes (entailed), no (contradicted) or maybe (neither).",
    )
)
