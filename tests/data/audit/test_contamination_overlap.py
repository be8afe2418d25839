"""What counts as leaked: n-grams, whole questions, wording, and where it was seen."""

import numpy as np
import pytest

from flan_jax.config import ContaminationConfig
from flan_jax.data.audit.content import Content
from flan_jax.data.audit.overlap import OverlapFinder, ngram_size

SETTINGS = ContaminationConfig()
FILLER = [f"filler{number}" for number in range(400)]


def sentence(start: int, count: int) -> str:
    """Words that occur nowhere else."""
    return " ".join(FILLER[start : start + count])


def content(number: int, question: str, *answers: str) -> Content:
    return Content(number, question, answers)


def found(asked, trained, settings=SETTINGS):
    finder = OverlapFinder({"asked": asked}, settings)
    for task, examples in trained.items():
        finder.add(task, examples)
    return finder.results()[0]


def test_one_shared_ngram_makes_dirty_and_one_word_less_does_not():
    asked = [content(3, sentence(0, 20)), content(5, sentence(50, 20))]
    trained = {
        "first": [content(0, "nothing of it")],
        "second": [content(7, f"other words {sentence(2, 13)} and more"), content(8, sentence(52, 12))],
    }
    overlap = found(asked, trained)
    assert overlap.num_words == 13
    assert (overlap.subset(dirty=True), overlap.subset(dirty=False)) == ([3], [5])
    assert overlap.examples[0].seen_in == ("second", 7)
    assert overlap.examples[0].overlap == pytest.approx(1 / 8)
    assert overlap.sources == {"second": 1}
    assert overlap.examples[1].seen_in is None


def test_case_and_punctuation_do_not_hide_a_leak():
    overlap = found(
        [content(0, sentence(0, 13))], {"t": [content(0, f"({sentence(0, 13).upper().replace(' ', ', ')})")]}
    )
    assert overlap.num_dirty == 1


def test_ngrams_do_not_span_question_and_answer_but_answers_count():
    asked = [content(0, sentence(0, 14), sentence(50, 13)), content(1, sentence(100, 14), sentence(150, 13))]
    trained = {"t": [content(0, f"{sentence(8, 6)} {sentence(50, 7)}"), content(1, "x", f"so {sentence(150, 13)}")]}
    overlap = found(asked, trained)
    assert overlap.subset(dirty=True) == [1]


def test_short_questions_are_compared_whole():
    asked = [content(0, "Who wrote Hamlet?", "Shakespeare"), content(1, "Who wrote Faust?", "Goethe"), content(2, "")]
    overlap = found(
        asked, {"t": [content(4, "who wrote hamlet", "he"), content(5, "tell me: who wrote faust?"), content(6, "")]}
    )
    assert overlap.num_words == 8
    assert [example.is_whole for example in overlap.examples] == [True, True, False]
    assert overlap.subset(dirty=True) == [0]
    assert overlap.examples[0].seen_in == ("t", 4)


def test_wording_that_the_task_repeats_is_not_compared():
    definition = sentence(300, 30)
    asked = [content(n, f"{definition} {sentence(15 * n, 14)}") for n in range(15)]
    trained = {"t": [content(0, f"{definition} something else altogether"), content(1, sentence(15 * 4, 14))]}
    overlap = found(asked, trained)
    assert overlap.num_wording == 30 - 13 + 1
    assert overlap.subset(dirty=True) == [4]
    # in so few examples that a leak could look the same, nothing is wording
    few = found(asked[:10], trained)
    assert few.num_wording == 0
    assert few.num_dirty == 10


def test_a_question_of_nothing_but_wording_is_compared_whole():
    asked = [content(n, sentence(0, 20)) for n in range(12)]
    assert found(asked, {"t": [content(0, sentence(0, 19))]}).num_dirty == 0
    assert found(asked, {"t": [content(0, sentence(0, 20))]}).num_dirty == 12


def test_overlap_asks_for_a_share():
    asked = [content(0, sentence(0, 20)), content(1, sentence(50, 20))]
    trained = {"t": [content(0, sentence(0, 13)), content(1, sentence(50, 19))]}
    assert found(asked, trained).subset(dirty=True) == [0, 1]
    assert found(asked, trained, ContaminationConfig(overlap=0.7)).subset(dirty=True) == [1]


def test_every_task_has_its_own_n_and_training_tasks_are_counted_apart():
    finder = OverlapFinder(
        {"long": [content(n, sentence(20 * n, 20)) for n in range(3)], "short": [content(0, sentence(200, 9))]},
        SETTINGS,
    )
    finder.add("a", [content(9, sentence(200, 9)), content(10, sentence(0, 9))])
    finder.add("b", [content(9, sentence(200, 8)), content(11, sentence(20, 40))])
    long, short = finder.results()
    assert (long.num_words, short.num_words) == (13, 9)
    assert long.subset(dirty=True) == [1, 2]
    assert long.sources == {"b": 2}
    assert short.sources == {"a": 1}
    assert short.examples[0].seen_in == ("a", 9)


def test_batches_do_not_matter():
    asked = [content(n, sentence(15 * n, 15)) for n in range(20)]
    trained = [content(n, f"padding {n}") for n in range(5000)] + [content(6000, sentence(30, 13))]
    overlap = found(asked, {"t": iter(trained)})
    assert overlap.subset(dirty=True) == [2]
    assert overlap.examples[2].seen_in == ("t", 6000)


def test_n_is_the_fifth_percentile_within_its_limits():
    assert ngram_size(np.full(100, 40), SETTINGS) == 13
    assert ngram_size(np.full(100, 3), SETTINGS) == 8
    lengths = np.array([5, 5, 5, 5] + [11] * 6 + [50] * 90)
    assert ngram_size(lengths, SETTINGS) == 11


def test_least_words_must_not_exceed_most():
    with pytest.raises(ValueError, match="'least_words' \\(14\\) must not exceed"):
        ContaminationConfig(least_words=14)
