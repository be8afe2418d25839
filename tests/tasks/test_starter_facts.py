"""The bundled facts and grammars, spot-checked against what is known for certain."""

import datetime

import pytest
from babel import Locale

from flan_jax.data.registry import get_mixture, get_task
from flan_jax.tasks.starter import categories, facts, inference, words, world


def all_records(task: str) -> list[dict]:
    source = get_task(task).source
    return [dict(record) for split in ("train", "validation") for record in source.records(split)]


def answers(task: str, key: str) -> dict:
    return {record[key]: record["answer"] for record in all_records(task)}


def test_the_periodic_table_is_whole():
    assert len(facts.NAMES) == len(set(facts.NAMES)) == len(set(facts.SYMBOLS)) == 118
    for number, name, symbol in [
        (1, "hydrogen", "H"),
        (26, "iron", "Fe"),
        (79, "gold", "Au"),
        (118, "oganesson", "Og"),
    ]:
        assert (facts.NAMES[number - 1], facts.SYMBOLS[number - 1]) == (name, symbol)


def test_countries_have_codes_that_cldr_knows():
    territories = Locale("en").territories
    countries = world.countries()
    assert len({country.code for country in countries}) == len(countries) == 193
    for country in countries:
        assert country.code in territories
    same = sum(country.name.removeprefix("the ") == territories[country.code] for country in countries)
    assert same > 170  # the rest differ in style: 'and' for '&', 'Saint' for 'St.'


def test_capitals_and_continents():
    capital, continent = answers("capital_city", "place"), answers("continent", "place")
    assert capital["France"] == "Paris"
    assert capital["the Netherlands"] == "Amsterdam"
    assert capital["Texas"] == "Austin"
    assert continent["Kenya"] == "Africa"
    assert continent["Ottawa"] == "North America"


@pytest.mark.parametrize(
    ("noun", "plural"),
    [
        ("glass", "glasses"),
        ("city", "cities"),
        ("wolf", "wolves"),
        ("knife", "knives"),
        ("sheep", "sheep"),
        ("woman", "women"),
        ("tooth", "teeth"),
        ("mouse", "mice"),
        ("child", "children"),
        ("oasis", "oases"),
    ],
)
def test_plurals(noun: str, plural: str):
    assert answers("plural_noun", "noun")[noun] == plural


def test_every_rule_of_plurals_changes_the_ending_it_names():
    for old, _, nouns in words.PLURALS:
        for noun in nouns.split():
            assert old in noun


def test_iso_dates_say_the_same_day():
    for record in all_records("iso_date"):
        date = datetime.date.fromisoformat(record["answer"])
        assert str(date.year) in record["written"]
        assert str(date.day) in record["written"]
    assert any("11th" in record["written"] or "12th" in record["written"] for record in all_records("iso_date"))


def test_weekdays():
    shifted = {(record["day"], record["shift"]): record["answer"] for record in all_records("weekday_shift")}
    assert shifted["Sunday", "the day after"] == "Monday"
    assert shifted["Monday", "two days before"] == "Saturday"
    assert shifted["Friday", "a week after"] == "Friday"


def test_numbers_of_both_directions_are_in_the_same_split():
    there, back = get_task("digits_to_words"), get_task("words_to_digits")
    for split in ("train", "validation"):
        assert list(there.source.records(split)) == list(back.source.records(split))


def test_inference_labels_agree_with_the_sentences():
    kind_of = {thing: kind for kind, things in inference.KINDS.items() for thing in things}
    for record in all_records("kind_inference"):
        premise, hypothesis = (record[key].rstrip(".").split() for key in ("premise", "hypothesis"))
        if record["answer"] == "no":
            # exactly one of the two denies, and they speak of the same thing or of its kind
            assert ("no" in premise) != ("no" in hypothesis)
            assert kind_of.get(premise[3], premise[3]) == kind_of.get(hypothesis[3], hypothesis[3])


@pytest.mark.parametrize(
    "task", ["kind_inference", "order_inference", "product_review", "visit_report", "question_type"]
)
def test_labels_are_balanced(task: str):
    labels = [record["answer"] for record in all_records(task)]
    shares = [labels.count(label) / len(labels) for label in set(labels)]
    assert max(shares) - min(shares) < 0.12


def test_an_odd_word_is_odd():
    category = {word: name for name, listed in categories.WORDS.items() for word in listed}
    for record in all_records("odd_one_out"):
        others = {category[word] for word in record["words"] if word != record["answer"]}
        assert len(others) == 1
        assert category[record["answer"]] not in others


def test_no_word_is_in_two_categories():
    listed = [word for members in categories.WORDS.values() for word in members]
    assert len(listed) == len(set(listed))


def test_sums_are_right():
    for record in all_records("word_problem"):
        results = []
        for step in record["steps"].rstrip(".").split(". "):
            left, result = step.split(" = ")
            results.append(result)
            first, sign, second = left.split()
            first, second = int(first), int(second)
            computed = {"+": first + second, "-": first - second, "x": first * second, "/": first / second}[sign]
            assert computed == int(result)
        assert results[-1] == record["answer"]


def test_the_small_mixture_touches_every_cluster():
    clusters = [{get_task(task).cluster for task in get_mixture(name).tasks} for name in ("starter", "starter_small")]
    assert clusters[0] == clusters[1]
