"""Translation of names and dates from English to German, French and Spanish, from the Unicode CLDR."""

from __future__ import annotations

import datetime
import random
from collections.abc import Iterable, Iterator

import babel
from babel import Locale
from babel.dates import format_date

from flan_jax.data.registry import TaskSpec, Template, add_task

from .stock import Record, distinct, split_source
from .world import countries

CLUSTER = "translation"
LANGUAGES = {"German": "de", "French": "fr", "Spanish": "es"}
# names change between CLDR releases, which come with babel's
VERSION = f"1, babel {babel.__version__}"
CITATION = "Unicode Common Locale Data Repository (CLDR), through the library babel."
FIRST_DAY = datetime.date(1900, 1, 1)


def country_records() -> Iterator[Record]:
    """Three records a country, one a language; those with a symbol in the name (& or brackets) are left out."""
    english = Locale("en").territories
    for country in countries():
        for language, code in LANGUAGES.items():
            name, answer = english[country.code], Locale(code).territories[country.code]
            if not set("&()") & set(name + answer):
                yield {"code": country.code, "language": language, "english": name, "answer": answer}


def date_records() -> Iterable[Record]:
    """Dates of the years 1900 to 2039, each in one language."""

    def draw(stream: random.Random) -> Record:
        date = FIRST_DAY + datetime.timedelta(days=stream.randrange(140 * 365))
        language = stream.choice(list(LANGUAGES))
        english = f"{date.day} {format_date(date, 'MMMM y', locale='en')}"
        return {"language": language, "english": english, "answer": format_date(date, "long", LANGUAGES[language])}

    return distinct("date_translation", 480, draw, by="english")


add_task(
    TaskSpec(
        name="country_translation",
        cluster=CLUSTER,
        source=split_source("country_translation", country_records, together="code", version=VERSION),
        templates=(
            Template("What is the {language} name of {english}?"),
            Template("Translate this country's name to {language}: {english}"),
            Template("How do you say {english} in {language}?"),
            Template("{english} in {language}:"),
            Template("Write the country {english} as a {language} speaker would."),
            Template("English: {english}\n{language}:"),
            Template("On a map with {language} names, what is written on {english}?"),
            Template("Give the {language} word for {english}."),
            Template("A country is called {answer} in {language}. And in English?", "{english}", inverted=True),
            Template("Translate from {language} to English: {answer}", "{english}", inverted=True),
        ),
        inputs="{language}: {english}",
        metrics=("exact_match", "token_f1"),
        dataset_name="country translation",
        version="1",
        license="Unicode-3.0",
        citation=CITATION,
        description="Names of countries in German, French and Spanish; a country is in one split only.",
    )
)

add_task(
    TaskSpec(
        name="date_translation",
        cluster=CLUSTER,
        source=split_source("date_translation", date_records, together="english", version=VERSION),
        templates=(
            Template("Write the date {english} in {language}."),
            Template("Translate to {language}: {english}"),
            Template("How is {english} written in {language}?"),
            Template("English: {english}\n{language}:"),
            Template("A letter in {language} needs this date at its top: {english}"),
            Template("Put the date into {language}: {english}"),
            Template("{english}, but in {language}:"),
            Template("Give the {language} form of the date {english}."),
            Template("A {language} text has this date: {answer}\nWhat is it in English?", "{english}", inverted=True),
            Template("Translate from {language} to English: {answer}", "{english}", inverted=True),
        ),
        inputs="{language}: {english}",
        metrics=("exact_match", "token_f1"),
        dataset_name="date translation",
        version="1",
        license="Unicode-3.0",
        citation=CITATION,
        description="Dates written out in German, French and Spanish.",
    )
)
