"""Dates: the ISO form of a written date, and the day of the week some days before or after."""

from __future__ import annotations

import datetime
import random
from collections.abc import Iterable

from flan_jax.data.registry import TaskSpec, Template, add_task

from .stock import Record, distinct, split_source, words

CLUSTER = "dates"
FIRST_DAY = datetime.date(1900, 1, 1)
WEEKDAYS = words("Monday Tuesday Wednesday Thursday Friday Saturday Sunday")
# not strftime: its names follow the locale
MONTHS = words("January February March April May June July August September October November December")
SHIFTS = {
    "the day after": 1,
    "two days after": 2,
    "three days after": 3,
    "a week after": 7,
    "the day before": -1,
    "two days before": -2,
    "three days before": -3,
}
EVENTS = words("concert exam party match meeting picnic wedding trial race lecture parade auction festival")


def _ordinal(number: int) -> str:
    ending = "th" if number in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def iso_records() -> Iterable[Record]:
    """Dates of the years 1900 to 2039, written in one of three ways."""

    def draw(stream: random.Random) -> Record:
        date = FIRST_DAY + datetime.timedelta(days=stream.randrange(140 * 365))
        day, month, year = date.day, MONTHS[date.month - 1], date.year
        forms = [f"{day} {month} {year}", f"{month} {day}, {year}", f"the {_ordinal(day)} of {month} {year}"]
        return {"written": stream.choice(forms), "answer": date.isoformat()}

    return distinct("iso_date", 480, draw, by="answer")


def weekday_records() -> Iterable[Record]:
    """An event on a day of the week, and a day up to a week away from it."""

    def draw(stream: random.Random) -> Record:
        event, day, shift = stream.choice(EVENTS), stream.choice(WEEKDAYS), stream.choice(list(SHIFTS))
        answer = WEEKDAYS[(WEEKDAYS.index(day) + SHIFTS[shift]) % 7]
        return {"event": event, "day": day, "shift": shift, "key": f"{event} {day} {shift}", "answer": answer}

    return distinct("weekday_shift", 480, draw, by="key")


add_task(
    TaskSpec(
        name="iso_date",
        cluster=CLUSTER,
        source=split_source("iso_date", iso_records, together="answer", version="1"),
        templates=(
            Template("Write this date as year-month-day in digits: {written}"),
            Template("Convert to ISO 8601: {written}"),
            Template("Date: {written}\nISO form:"),
            Template("A database stores dates like 2001-12-31. How does it store {written}?"),
            Template("Put {written} into the form YYYY-MM-DD."),
            Template("How does a computer write {written}, year first?"),
            Template("Give {written} in the international number format."),
            Template("File names begin with the date, as in 2001-12-31. Begin one for {written}."),
            Template("What day is {answer}? Write it out.", "{written}", inverted=True),
            Template("ISO form: {answer}\nDate in words:", "{written}", inverted=True),
        ),
        inputs="{written}",
        metrics=("exact_match",),
        dataset_name="iso date",
        version="1",
        license="Apache-2.0",
        citation="Dates of our own choice, tasks/starter/dates.py; form: ISO 8601.",
        description="A written date in the form YYYY-MM-DD.",
    )
)

add_task(
    TaskSpec(
        name="weekday_shift",
        cluster=CLUSTER,
        source=split_source("weekday_shift", weekday_records, together="key", version="1"),
        templates=(
            Template("The {event} is on {day}. Which day of the week is {shift} the {event}?"),
            Template("If the {event} takes place on {day}, what day is {shift} it?"),
            Template("{event}: {day}\nWhich weekday is {shift} that?"),
            Template("What day of the week comes {shift} {day}, the day of the {event}?"),
            Template("My {event} is on a {day}. I arrive {shift} it. On which day do I arrive?"),
            Template("Name the weekday that is {shift} the {event} on {day}."),
            Template("We meet {shift} the {event}, which is on {day}. When do we meet?"),
            Template("Calendar question: the {event} falls on {day}. Which day is {shift} it?"),
            Template("The {event} is held on {day}, and the bill is due {shift} it. On what weekday is it due?"),
            Template("{answer} is {shift} the {event}. On which day is the {event}?", "{day}", inverted=True),
        ),
        inputs="{shift} the {event} on {day}",
        metrics=("exact_match",),
        dataset_name="weekday shift",
        version="1",
        license="Apache-2.0",
        citation="Calendar arithmetic, tasks/starter/dates.py.",
        description="The day of the week up to a week before or after a given one.",
    )
)
