"""Structure to text: a list of attributes becomes one English sentence."""

from __future__ import annotations

import random
from collections.abc import Iterable

from flan_jax.data.registry import TaskSpec, Template, add_task

from .stock import Record, distinct, split_source, words

CLUSTER = "structure_to_text"
METRICS = ("rouge_l", "bleu")

NAMES = words("Alma Bert Cora Dirk Edda Finn Gina Hans Ines Jorge Kira Leon Mila Nils Olaf Pia Ravi Sara Timo Vera")
JOBS = words("baker nurse painter pilot teacher gardener plumber singer lawyer farmer tailor dentist")
HOBBIES = words("chess sailing knitting cooking running fishing dancing climbing photography swimming")
CITIES = words(
    "Oslo Lisbon Vienna Dublin Prague Athens Madrid Warsaw Helsinki Rome Geneva Porto Bergen Lyon Turin Cork"
)
DAYS = words("Monday Tuesday Wednesday Thursday Friday Saturday Sunday")
SKIES = words("sunny cloudy rainy foggy stormy snowy windy")
DISHES = (
    "fish soup", "apple pie", "lamb curry", "onion tart", "bean stew", "cheese pasta", "roast duck", "rice pudding",
)  # fmt: skip
RESTAURANTS = (
    "Blue Door", "Old Mill", "Green Spoon", "Silver Fork", "Red Lantern", "Corner House", "Golden Goose", "White Horse",
)  # fmt: skip
PRICES = ("low", "fair", "high")


def person_records() -> Iterable[Record]:
    """A name, a job, a city and a hobby."""

    def draw(stream: random.Random) -> Record:
        name, job, city, hobby = (stream.choice(values) for values in (NAMES, JOBS, CITIES, HOBBIES))
        return {
            "table": f"name: {name}, job: {job}, city: {city}, hobby: {hobby}",
            "answer": f"{name} is a {job} from {city} who enjoys {hobby}.",
        }

    return distinct("person_profile", 480, draw, by="table")


def weather_records() -> Iterable[Record]:
    """A city, a day, the sky and the highest temperature."""

    def draw(stream: random.Random) -> Record:
        city, day, sky, high = stream.choice(CITIES), stream.choice(DAYS), stream.choice(SKIES), stream.randint(-9, 35)
        return {
            "table": f"city = {city}; day = {day}; sky = {sky}; high = {high}",
            "answer": f"{day} will be {sky} in {city}, up to {high} degrees.",
        }

    return distinct("weather_report", 480, draw, by="table")


def restaurant_records() -> Iterable[Record]:
    """A restaurant, its city, its best dish and its prices."""

    def draw(stream: random.Random) -> Record:
        name, city, dish, price = (stream.choice(values) for values in (RESTAURANTS, CITIES, DISHES, PRICES))
        return {
            "table": f"name[{name}], city[{city}], dish[{dish}], prices[{price}]",
            "answer": f"The {name} in {city} serves {dish} at {price} prices.",
        }

    return distinct("restaurant_note", 480, draw, by="table")


add_task(
    TaskSpec(
        name="person_profile",
        cluster=CLUSTER,
        source=split_source("person_profile", person_records, together="table", version="1"),
        templates=(
            Template("Write one sentence about this person: {table}"),
            Template("{table}\nSay the same in a full sentence."),
            Template("Introduce the person in a sentence. {table}"),
            Template("Facts: {table}\nSentence:"),
            Template("Turn the entries into a sentence that uses all of them.\n{table}"),
            Template("Put this profile into words: {table}"),
            Template("A newsletter needs one line on a new member. {table}"),
            Template("Who is this? Describe in one sentence. {table}"),
            Template("List name, job, city and hobby from this sentence: {answer}", "{table}", inverted=True),
            Template("Make a record of this sentence. {answer}", "{table}", inverted=True),
        ),
        inputs="{table}",
        metrics=METRICS,
        dataset_name="person profile",
        version="1",
        license="Apache-2.0",
        citation="Records and sentences of our own grammar, tasks/starter/structure.py.",
        description="One sentence from a person's name, job, city and hobby.",
    )
)

add_task(
    TaskSpec(
        name="weather_report",
        cluster=CLUSTER,
        source=split_source("weather_report", weather_records, together="table", version="1"),
        templates=(
            Template("Write the weather report: {table}"),
            Template("{table}\nForecast in one sentence:"),
            Template("Say this forecast as a radio host would. {table}"),
            Template("Data: {table}\nText:"),
            Template("Make a sentence of the weather data. {table}"),
            Template("Tell me the weather from these values: {table}"),
            Template("Turn the forecast table into a sentence.\n{table}"),
            Template("How will the weather be? {table}"),
            Template("Extract city, day, sky and high from: {answer}", "{table}", inverted=True),
            Template("Forecast: {answer}\nData:", "{table}", inverted=True),
        ),
        inputs="{table}",
        metrics=METRICS,
        dataset_name="weather report",
        version="1",
        license="Apache-2.0",
        citation="Records and sentences of our own grammar, tasks/starter/structure.py.",
        description="One sentence of forecast from a city, a day, the sky and a temperature.",
    )
)

add_task(
    TaskSpec(
        name="restaurant_note",
        cluster=CLUSTER,
        source=split_source("restaurant_note", restaurant_records, together="table", version="1"),
        templates=(
            Template("Recommend this restaurant in a sentence: {table}"),
            Template("{table}\nWrite the entry for a travel guide."),
            Template("Describe the restaurant. {table}"),
            Template("Attributes: {table}\nDescription:"),
            Template("One sentence, please, with all of this in it: {table}"),
            Template("What would a guidebook say? {table}"),
            Template("Turn these attributes into text: {table}"),
            Template("Tell a visitor about this place. {table}"),
            Template("Write name, city, dish and prices in square brackets: {answer}", "{table}", inverted=True),
            Template("Description: {answer}\nAttributes:", "{table}", inverted=True),
        ),
        inputs="{table}",
        metrics=METRICS,
        dataset_name="restaurant note",
        version="1",
        license="Apache-2.0",
        citation="Records and sentences of our own grammar, tasks/starter/structure.py.",
        description="One sentence on a restaurant from its name, city, best dish and prices.",
    )
)
