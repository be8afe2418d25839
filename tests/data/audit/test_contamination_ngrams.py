"""Words and their n-grams: what is ignored, what is told apart, and that hashes are the same everywhere."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flan_jax.data.audit import ngrams
from flan_jax.data.audit.ngrams import WordHashes, words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The QUICK, (brown) fox!", ["the", "quick", "brown", "fox"]),
        ("«Ça va?» — “Très bien…”", ["ça", "va", "très", "bien"]),
        ("ﬁne Ａ１", ["fine", "a1"]),  # compatible forms of letters
        ("我喜欢茶。", ["我", "喜", "欢", "茶"]),
        ("हिन्दी भाषा।", ["हिन्दी", "भाषा"]),  # vowel signs stay inside their word
        ("", []),
        ("?!", []),
    ],
)
def test_words(text, expected):
    assert words(text) == expected


def naive(texts, size):
    found = set()
    for number, text in enumerate(texts):
        split = words(text)
        found |= {(number, tuple(split[at : at + size])) for at in range(len(split) - size + 1)}
    return found


texts = st.lists(st.lists(st.sampled_from("abc"), max_size=9).map(" ".join), max_size=6)


@settings(max_examples=60, deadline=None)
@given(texts, st.integers(1, 5), st.integers(1, 5))
def test_ngrams_are_those_of_each_text_and_no_others(some, size, other):
    found = WordHashes()(some)
    by_size = {n: (hashes, owners) for n, hashes, owners in found.ngrams([size, other])}
    assert sorted(by_size) == sorted({size, other})
    expected = naive(some, size)
    hashes, owners = by_size[size]
    # as many different (text, n-gram), and as many different n-grams: equal hashes for equal n-grams alone
    assert len(set(zip(owners.tolist(), hashes.tolist(), strict=True))) == len(expected)
    assert len(set(hashes.tolist())) == len({ngram for _, ngram in expected})


@settings(max_examples=60, deadline=None)
@given(texts)
def test_whole_texts_are_equal_where_their_words_are(some):
    whole = WordHashes()(some).whole()
    assert len(set(whole.tolist())) == len({tuple(words(text)) for text in some})


def test_hashes_do_not_depend_on_neighbours_process_or_memory(monkeypatch):
    alone = WordHashes()(["one two three"])
    monkeypatch.setattr(ngrams, "_REMEMBERED_WORDS", 1)
    forgetful = WordHashes()
    forgetful(["nine ten", "eleven"])
    among = forgetful(["four", "one two three", ""])
    assert among.whole()[1] == alone.whole()[0] == np.uint64(13592969446470911456)
    assert among.whole()[2] == 0
    assert among.lengths.tolist() == [1, 3, 0]
