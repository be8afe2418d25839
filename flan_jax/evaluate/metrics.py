"""Metrics of generated and chosen answers: every score from 0 to 100, with the value of every example kept.

A metric is a row of additive statistics for each example and a rule that turns their sum into the score. For accuracy,
exact match, token F1 and ROUGE that is a mean; corpus BLEU is no mean of sentence scores, but its counts of n-grams
and lengths do add up. So the bootstrap in `compare.py` resamples exactly the number that is reported.
"""

from __future__ import annotations

import functools
import re
import string
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from flan_jax.data.spec.task import METRICS, RANKED
from flan_jax.errors import InputError

_ROUGE = {"rouge_1": "rouge1", "rouge_2": "rouge2", "rouge_l": "rougeL"}  # our names → the library's
TEXT_METRICS = tuple(metric for metric in METRICS if metric != RANKED)
RIGHT_OR_WRONG = (RANKED, "exact_match")  # 0 or 100 for each example: their mean is an accuracy
_BLEU_ORDER = 4


@dataclass(frozen=True)
class MetricScore:
    """One metric over the examples of one task.

    Attributes:
        metric: name of the metric.
        score: the score of all examples, 0–100.
        values: each example's own score, 0–100.
        statistics: each example's additive statistics; `combine` makes a score of their sum.
    """

    metric: str
    score: float
    values: tuple[float, ...]
    statistics: tuple[tuple[float, ...], ...]


def accuracy(choices: Sequence[int], answers: Sequence[int]) -> MetricScore:
    """The share of questions whose chosen option is the right one.

    Args:
        choices: index of the chosen option of each question.
        answers: index of the right option of each question.
    """
    return _averaged(RANKED, [100.0 * (choice == answer) for choice, answer in zip(choices, answers, strict=True)])


def text_score(metric: str, predictions: Sequence[str | None], references: Sequence[Sequence[str]]) -> MetricScore:
    """The score of generated answers.

    Args:
        metric: one of TEXT_METRICS.
        predictions: the answers; None is an answer that could not be read and scores zero.
        references: the accepted answers of each example, at least one; the best counts (BLEU: as in its definition).

    Raises:
        InputError: the metric is not one of those named, or an example has no reference.
    """
    if metric not in TEXT_METRICS:
        raise InputError(f"metric '{metric}': unknown for generated text; allowed: {', '.join(TEXT_METRICS)}")
    for index, accepted in enumerate(references):
        if not accepted:
            raise InputError(f"metric '{metric}': example {index} has no reference answer; give at least one")
    if metric == "bleu":
        return _bleu(predictions, references)
    compare = _AVERAGED[metric]
    pairs = zip(predictions, references, strict=True)
    return _averaged(metric, [0.0 if text is None else 100.0 * compare(text, accepted) for text, accepted in pairs])


def combine(metric: str, totals: np.ndarray, count: int) -> np.ndarray:
    """Scores, 0–100, from sums of statistics over `count` examples.

    Args:
        metric: name of the metric.
        totals: float [number of sums, number of statistics].
        count: examples in each sum.

    Returns:
        float [number of sums].
    """
    if metric != "bleu":
        return totals[:, 0] / max(count, 1)
    return np.array([_corpus_bleu(row) for row in totals])


def answer_reader(pattern: str, where: str) -> Callable[[str], str | None]:
    """A function that reads the answer from a text with a chain of thought, or returns None where there is none.

    The last match counts: the conclusion stands at the end.

    Args:
        pattern: regular expression with exactly one group.
        where: opens the error sentence, e.g. the task's name.

    Raises:
        InputError: the pattern is no regular expression, or has not exactly one group.
    """
    try:
        compiled = re.compile(pattern)
    except re.error as e:
        raise InputError(f"{where}: answer_pattern {pattern!r} is not a regular expression ({e})") from e
    if compiled.groups != 1:
        raise InputError(f"{where}: answer_pattern {pattern!r} has {compiled.groups} groups; it must have exactly one")

    def read(text: str) -> str | None:
        matches = compiled.findall(text)
        return matches[-1].strip() if matches else None

    return read


def normalize(text: str) -> str:
    """The text as exact match and token F1 compare it: lower case, no punctuation, no English articles, single spaces.

    As in SQuAD's evaluation script, but a sign before a number and a point inside one stay ("-5" is not "5", "2.5" is
    not "25"), punctuation beyond ASCII goes too, and a text of nothing else ("a", "+") stays as it is.

    Source: rajpurkar.github.io/SQuAD-explorer, evaluate-v2.0.py, normalize_answer.
    """
    lowered = text.lower()
    kept = "".join(
        character
        for index, character in enumerate(lowered)
        if not _is_punctuation(character) or _belongs_to_number(lowered, index)
    )
    normalized = " ".join(_ARTICLES.sub(" ", kept).split())
    return normalized or " ".join(lowered.split())


_ARTICLES = re.compile(r"\b(a|an|the)\b")


def _is_punctuation(character: str) -> bool:
    return character in string.punctuation or unicodedata.category(character).startswith("P")


def _belongs_to_number(text: str, index: int) -> bool:
    before, character, after = text[index - 1 : index], text[index], text[index + 1 : index + 2]
    if not after.isdigit():
        return False
    return (character == "-" and not before.isalnum()) or (character == "." and before.isdigit())


def _exact_match(prediction: str, references: Sequence[str]) -> float:
    predicted = normalize(prediction)
    return float(any(predicted == normalize(reference) for reference in references))


def _token_f1(prediction: str, references: Sequence[str]) -> float:
    return max(_f1(normalize(prediction).split(), normalize(reference).split()) for reference in references)


def _f1(predicted: Sequence[str], expected: Sequence[str]) -> float:
    if not predicted or not expected:
        return float(predicted == expected)
    common = sum((Counter(predicted) & Counter(expected)).values())
    return 2 * common / (len(predicted) + len(expected))


def _rouge(prediction: str, references: Sequence[str], *, metric: str) -> float:
    return _rouge_scorer(metric).score_multi(references, prediction)[_ROUGE[metric]].fmeasure


_AVERAGED = {
    "exact_match": _exact_match,
    "token_f1": _token_f1,
    **{metric: functools.partial(_rouge, metric=metric) for metric in _ROUGE},
}


@functools.cache
def _rouge_scorer(metric: str) -> Any:
    # imported late: rouge_score brings nltk, most of a second
    from rouge_score import rouge_scorer, tokenizers

    class WordTokenizer(tokenizers.Tokenizer):
        """rouge_score's own words for ASCII; its own tokenizer deletes every letter beyond, and scores such texts 0."""

        def tokenize(self, text: str) -> list[str]:
            return re.findall(r"[^\W_]+", text.lower())

    return rouge_scorer.RougeScorer([_ROUGE[metric]], tokenizer=WordTokenizer())


@functools.cache
def _sentence_bleu() -> Any:
    from sacrebleu.metrics.bleu import BLEU

    return BLEU(max_ngram_order=_BLEU_ORDER, effective_order=True)


def _bleu(predictions: Sequence[str | None], references: Sequence[Sequence[str]]) -> MetricScore:
    sentences = [
        _sentence_bleu().sentence_score(text or "", list(accepted))
        for text, accepted in zip(predictions, references, strict=True)
    ]
    statistics = [(*map(float, (s.sys_len, s.ref_len, *s.counts, *s.totals)),) for s in sentences]
    totals = np.array(statistics, np.float64).reshape(-1, 2 + 2 * _BLEU_ORDER).sum(0)
    return MetricScore("bleu", _corpus_bleu(totals), tuple(s.score for s in sentences), tuple(statistics))


def _corpus_bleu(totals: np.ndarray) -> float:
    """Corpus BLEU of (length, reference length, n-gram matches, n-grams), smoothed as sacrebleu does by default."""
    lengths, matches, ngrams = totals[:2], totals[2 : 2 + _BLEU_ORDER], totals[2 + _BLEU_ORDER :]
    return (
        _sentence_bleu()
        .compute_bleu(
            correct=[int(n) for n in matches],
            total=[int(n) for n in ngrams],
            sys_len=int(lengths[0]),
            ref_len=int(lengths[1]),
            smooth_method="exp",
            max_ngram_order=_BLEU_ORDER,
        )
        .score
    )


def _averaged(metric: str, values: Sequence[float]) -> MetricScore:
    score = float(np.mean(values)) if values else 0.0
    return MetricScore(metric, score, tuple(values), tuple((value,) for value in values))
