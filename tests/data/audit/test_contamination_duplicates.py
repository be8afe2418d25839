"""Duplicates within a mixture: three kinds, groups across tasks, and buckets of many alike texts."""

import random
import time

import numpy as np
import pytest

from flan_jax.config import ContaminationConfig
from flan_jax.data.audit.content import Content
from flan_jax.data.audit.duplicates import DuplicateFinder
from flan_jax.data.audit.minhash import near_pairs, sketches_of
from flan_jax.data.audit.ngrams import WordHashes

SETTINGS = ContaminationConfig()
WORDS = [f"w{number}" for number in range(5000)]


def text(seed: int, count: int = 80) -> list[str]:
    return random.Random(seed).choices(WORDS, k=count)


def changed(words: list[str], places: int, seed: int = 0) -> str:
    """The text with some words at its end replaced, so that shingles before stay."""
    return " ".join([*words[: len(words) - places], *text(10_000 + seed, places)])


def duplicates_of(*tasks):
    finder = DuplicateFinder(SETTINGS, seed=0)
    for name, examples in tasks:
        assert list(finder.passing(name, examples)) == examples
    return finder.find()


def test_the_three_kinds_are_counted_once_each():
    base = text(1)
    examples = [
        Content(0, " ".join(base), ("yes",)),
        Content(1, " ".join(base).upper() + "!", ("Yes.",)),
        Content(2, " ".join(base), ("no",)),
        Content(3, changed(base, 4), ("yes",)),
        Content(4, changed(base, 4), ("yes",)),
        Content(5, " ".join(text(2)), ("yes",)),
    ]
    (task,) = duplicates_of(("t", examples)).tasks
    assert (task.num_examples, task.num_same, task.num_same_question, task.num_near) == (6, 2, 1, 1)


def test_groups_and_pairs_of_tasks():
    base = [text(seed) for seed in range(4)]
    first = [Content(10 + n, " ".join(words), (str(n),)) for n, words in enumerate(base)]
    second = [Content(0, " ".join(base[0]), ("0",)), Content(1, changed(base[1], 4), ("1",))]
    third = [Content(0, " ".join(text(99)), ("x",))]
    found = duplicates_of(("first", first), ("second", second), ("third", third))
    assert [(one.tasks, one.num_same, one.num_near) for one in found.shared] == [(("first", "second"), 1, 1)]
    same, near = found.groups()
    assert same.examples == {"first": [10], "second": [0]}
    assert (same.num_questions, same.num_answers, same.similarity) == (1, 1, 1.0)
    assert near.examples == {"first": [11], "second": [1]}
    assert (near.num_questions, near.num_answers) == (2, 2)
    assert 0.8 <= near.similarity < 1
    assert near.excerpt.startswith(" ".join(base[1][:3]))
    assert len(near.excerpt) <= 80


def test_options_in_another_order_are_the_same_answers():
    question = " ".join(text(0))
    found = duplicates_of(("t", [Content(0, question, ("a", "b")), Content(1, question, ("b", "a"))]))
    assert found.tasks[0].num_same == 1


def test_examples_without_a_question_are_told_by_their_answers():
    found = duplicates_of(("t", [Content(n, "", (" ".join(text(n % 3)),)) for n in range(4)]))
    assert found.tasks[0].num_same == 1
    assert found.tasks[0].num_near == 0


def test_short_questions_differ_by_a_word():
    found = duplicates_of(("t", [Content(n, f"what is {n} plus 3", (str(n + 3),)) for n in range(500)]))
    assert found.tasks[0].num_near == 0


def test_nothing_and_one_example():
    assert duplicates_of().tasks == ()
    found = duplicates_of(("t", []), ("u", [Content(0, "one", ())]))
    assert [task.num_examples for task in found.tasks] == [0, 1]
    assert list(found.groups()) == []


def jaccard(one: str, other: str) -> float:
    sets = [
        {tuple(words[at : at + SETTINGS.shingle_words]) for at in range(len(words) - SETTINGS.shingle_words + 1)}
        for words in (one.split(), other.split())
    ]
    return len(sets[0] & sets[1]) / len(sets[0] | sets[1])


def test_near_pairs_are_found_above_the_threshold_and_not_far_below():
    texts, similarities = [], []
    for seed in range(600):
        words = text(seed, 120)
        other = changed(words, 1 + seed % 40, seed)
        texts += [" ".join(words), other]
        similarities.append(jaccard(texts[-2], other))
    hashed = WordHashes()(texts)
    pairs, _ = near_pairs(sketches_of(hashed, list(range(len(texts))), SETTINGS, seed=0), SETTINGS)
    found = {(int(a), int(b)) for a, b in pairs}
    assert all(b == a + 1 and a % 2 == 0 for a, b in found)  # no two texts of different origin
    kind = np.array(similarities)
    is_found = np.array([(2 * n, 2 * n + 1) in found for n in range(len(kind))])
    assert is_found[kind >= 0.9].mean() > 0.98
    assert is_found[kind <= 0.65].mean() == 0
    assert (kind >= 0.9).sum() > 50
    assert (kind <= 0.65).sum() > 100


def test_many_alike_texts_are_one_group_in_linear_time():
    words = text(0, 60)
    examples = [Content(n, " ".join([*words, f"end{n}"]), ()) for n in range(6000)]
    begin = time.process_time()
    found = duplicates_of(("t", examples))
    # all pairs would be 18 million; measured 0.5 s
    assert time.process_time() - begin < 10
    assert found.tasks[0].num_near == pytest.approx(5999, abs=5)
    assert len(list(found.groups())) == 1
