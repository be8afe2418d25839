"""Word manipulation: plurals, lists turned round, initials, and letters spelled out."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator

from flan_jax.data.registry import TaskSpec, Template, add_task

from .stock import Record, distinct, split_source, words

CLUSTER = "words"
CITATION = "Words of our own choice, tasks/starter/words.py."

# plurals by rule: the ending of the noun that goes, the ending that comes, and the nouns
PLURALS = (
    ("", "s", """
        apple arm bag ball bank bed bell bird boat book bottle bowl bridge brother cake camera candle car carpet castle
        cat chair circle cloud coat coin cook corner cousin cow cup curtain daughter desk doctor dog door dream drum
        duck eagle engine eye farm finger flag floor flower forest friend frog garden gate girl goat hammer hand hat
        heart hill horse hotel house island jacket key king kitchen lake lamp letter lion mirror moon mountain mouth
        nail neighbour nurse ocean orange owl page painter pen pencil pillow pilot plate pocket queen ring river road
        roof room school shirt shop sister snake sock spoon star stone street sweater table teacher tiger town train
        tree village wall wheel window actor airport angel answer artist balloon banana barrel beard blanket bucket
        carrot cellar chain cloak collar comet dragon feather fence ghost helmet ladder ladle magnet meadow muffin
        button needle orchard parrot pebble pepper pigeon pirate puzzle rabbit ribbon rocket saddle spider temple
        ticket towel trumpet tulip turtle vase zebra
    """),
    ("", "es", """
        fox box tax dish brush bush wish eyelash church bench beach branch peach sandwich witch match watch bus glass
        dress class kiss boss cross potato tomato hero echo lens gas torch coach ditch crash
    """),
    ("y", "ies", """
        baby city lady story party berry cherry country family army body butterfly daisy diary enemy factory fairy fly
        hobby jelly lorry memory penny pony puppy spy study bakery library pharmacy gallery
    """),
    ("f", "ves", "leaf loaf half calf shelf thief wolf scarf elf"),
    ("fe", "ves", "knife life wife"),
    ("", "", "sheep deer fish salmon trout aircraft spacecraft series species moose"),
    ("man", "men", "man woman fireman postman policeman snowman gentleman fisherman"),
    ("oo", "ee", "foot tooth goose"),
    ("ouse", "ice", "mouse louse"),
    ("", "ren", "child"),
    ("", "en", "ox"),
    ("is", "es", "crisis basis oasis axis"),
    ("us", "i", "cactus nucleus"),
)  # fmt: skip

LONGEST_SPELLED = 8  # letters

ITEMS = words("""
    red blue green black white cat dog bird fish horse sun moon star rain snow tea milk bread salt rice chair table lamp
    door bed boat train car plane bike gold iron wood stone glass one two three four five king queen farmer nurse pilot
""")
FIRST_NAMES = words("Anna Boris Carla Daniel Eva Frank Gloria Henry Irene Jack Karen Louis Martha Nora Oscar Paula")
MIDDLE_NAMES = words("Alice Bruce Claire Dean Ellen Fay George Hope Jane Keith Lynn Mark Neil Olive Peter Ruth Scott")
LAST_NAMES = words("Adams Baker Carter Dixon Ellis Fisher Grant Harris Irving Jones King Lewis Mason Nelson Owens")


def _plural(noun: str, old: str, new: str) -> str:
    # 'oo' stands inside the word; every other ending is the end
    return noun.replace(old, new) if old == "oo" else noun.removesuffix(old) + new


def plural_records() -> Iterator[Record]:
    """A record a noun."""
    for old, new, nouns in PLURALS:
        for noun in nouns.split():
            yield {"noun": noun, "answer": _plural(noun, old, new)}


def reversed_list_records() -> Iterable[Record]:
    """Lists of three or four different words."""

    def draw(stream: random.Random) -> Record:
        items = stream.sample(ITEMS, stream.choice((3, 4)))
        return {"items": ", ".join(items), "answer": ", ".join(reversed(items))}

    return distinct("reversed_list", 480, draw, by="items")


def initials_records() -> Iterable[Record]:
    """People with two or three names."""

    def draw(stream: random.Random) -> Record:
        middle = [stream.choice(MIDDLE_NAMES)] if stream.random() < 0.7 else []
        names = [stream.choice(FIRST_NAMES), *middle, stream.choice(LAST_NAMES)]
        return {"person": " ".join(names), "answer": "".join(f"{name[0]}." for name in names)}

    return distinct("initials", 480, draw, by="person")


def spelling_records() -> Iterator[Record]:
    """A record a noun of at most eight letters."""
    for _, _, nouns in PLURALS:
        for noun in nouns.split():
            if len(noun) <= LONGEST_SPELLED:
                yield {"word": noun, "answer": " ".join(noun)}


add_task(
    TaskSpec(
        name="plural_noun",
        cluster=CLUSTER,
        source=split_source("plural_noun", plural_records, together="noun", version="1"),
        templates=(
            Template("What is the plural of '{noun}'?"),
            Template("One {noun}, two ..."),
            Template("Give the plural: {noun}"),
            Template("There is more than one {noun}. Write the noun in the plural."),
            Template("Singular: {noun}\nPlural:"),
            Template("How do you write several of these? {noun}"),
            Template("Change the noun '{noun}' to its plural form."),
            Template("English grammar: plural of {noun}?"),
            Template("'{answer}' is a plural. What is its singular?", "{noun}", inverted=True),
            Template("Many {answer}, but only one ...", "{noun}", inverted=True),
        ),
        inputs="{noun}",
        metrics=("exact_match",),
        dataset_name="plural noun",
        version="1",
        license="Apache-2.0",
        citation=CITATION,
        description="The plural of an English noun, regular or irregular.",
    )
)

add_task(
    TaskSpec(
        name="reversed_list",
        cluster=CLUSTER,
        source=split_source("reversed_list", reversed_list_records, together="items", version="1"),
        templates=(
            Template("Write this list in reverse order: {items}"),
            Template("Turn the list round, last word first.\n{items}"),
            Template("{items}\nThe same words from back to front:"),
            Template("Reverse the order of these words: {items}"),
            Template("Read the list backwards, word by word: {items}"),
            Template("List: {items}\nReversed:"),
            Template("Start with the last item and end with the first: {items}"),
            Template("What do you get when '{items}' is put in the opposite order?"),
            Template("A list was turned round and now reads: {answer}\nHow was it before?", "{items}", inverted=True),
            Template("Undo the reversal: {answer}", "{items}", inverted=True),
        ),
        inputs="{items}",
        metrics=("exact_match", "token_f1"),
        dataset_name="reversed list",
        version="1",
        license="Apache-2.0",
        citation=CITATION,
        description="A list of three or four words in reverse order.",
    )
)

add_task(
    TaskSpec(
        name="initials",
        cluster=CLUSTER,
        source=split_source("initials", initials_records, together="person", version="1"),
        templates=(
            Template("What are the initials of {person}?"),
            Template("Give the initials: {person}"),
            Template("{person} signs with initials only. What does the signature look like?"),
            Template("Shorten the name to its initials, each with a full stop: {person}"),
            Template("Name: {person}\nInitials:"),
            Template("Which letters are stitched on the towel of {person}? Put a full stop after each."),
            Template("Take the first letter of each name: {person}"),
            Template("Abbreviate {person}."),
            Template("Write {person} as initials."),
            Template("Invent a person with the initials {answer}", "{person}", inverted=True),
        ),
        inputs="{person}",
        metrics=("exact_match",),
        dataset_name="initials",
        version="1",
        license="Apache-2.0",
        citation=CITATION,
        description="The initials of a person's two or three names.",
    )
)

add_task(
    TaskSpec(
        name="spelling",
        cluster=CLUSTER,
        source=split_source("spelling", spelling_records, together="word", version="1"),
        templates=(
            Template("Spell the word '{word}' with spaces between the letters."),
            Template("Spell {word}, letter by letter."),
            Template("Word: {word}\nLetters:"),
            Template("How is '{word}' spelled? Put a space between two letters."),
            Template("Break {word} into its letters."),
            Template("On the telephone, spell out {word}."),
            Template("Write each letter of '{word}', with spaces between them."),
            Template("Take the word {word} apart into letters."),
            Template("Which word is spelled {answer}?", "{word}", inverted=True),
            Template("Join the letters to a word: {answer}", "{word}", inverted=True),
        ),
        inputs="{word}",
        metrics=("exact_match",),
        dataset_name="spelling",
        version="1",
        license="Apache-2.0",
        citation=CITATION,
        description="A short word spelled out letter by letter.",
    )
)
