"""Texts as words without case and punctuation, and their n-grams as 64-bit hashes, many texts at a time.

    texts ──findall──> words ──blake2b, remembered──> hashes ──rolling sum──> n-grams, whole texts

Everything after the words is numpy over the words of all texts together. Hashes are the same in every process. Two of
them collide by chance with a probability of 2⁻⁶⁴: of a billion n-grams looked up among a million, one in 18,000 times.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64, UInt64

from flan_jax.keyed import mix64

_REMEMBERED_WORDS = 1_000_000  # about 100 MB; hashes do not depend on what is remembered
_BASE = 0x9E3779B97F4A7C15  # odd, so that no word of an n-gram loses bits

# Scripts that put no space between words: each of their characters counts as one.
_UNSPACED = "".join(
    (
        r"\u0E00-\u0EFF",  # Thai, Lao
        r"\u1000-\u109F\u1780-\u17FF",  # Burmese, Khmer
        r"\u3040-\u30FF",  # Japanese syllables
        r"\u2E80-\u2FDF\u3400-\u4DBF\u4E00-\u9FFF\uF900-\uFAFF\U00020000-\U0003FFFF",  # Han
    )
)
_PUNCTUATION = "".join(
    (
        r"!-/:-@\[-`{-~",
        r"\u00A1-\u00A9\u00AB-\u00B1\u00B4\u00B6-\u00B8\u00BB\u00BF\u00D7\u00F7",  # of Latin-1
        r"\u060C\u061B\u061F\u0964\u0965",  # Arabic, Devanagari
        r"\u2000-\u200B\u200E-\u206F\u3000-\u303F",  # joiners (200C, 200D) stand inside Persian and Indian words
    )
)
_ASCII_WORD = re.compile(r"[0-9a-z]+")
_WORD = re.compile(rf"[{_UNSPACED}]|[^\s{_PUNCTUATION}{_UNSPACED}]+")


def words(text: str) -> list[str]:
    """The words of a text, in lower case, without punctuation.

    As in GPT-3's overlap analysis "ignoring all punctuation, whitespace, and casing" (arXiv 2005.14165, appendix C).
    Compatible forms of a character are one; scripts without spaces are taken character by character.
    """
    if text.isascii():
        return _ASCII_WORD.findall(text.lower())
    return _WORD.findall(unicodedata.normalize("NFKC", text).lower())


class WordHashes:
    """Texts to the hashes of their words; remembers the hashes of words it met."""

    def __init__(self) -> None:
        self._known = _Known()

    def __call__(self, texts: Sequence[str]) -> Words:
        """The words of all texts as hashes."""
        texts_words = [words(text) for text in texts]
        lengths = np.fromiter(map(len, texts_words), np.int64, len(texts_words))
        flat = itertools.chain.from_iterable(texts_words)
        hashes = np.fromiter(map(self._known.__getitem__, flat), np.uint64, int(lengths.sum()))
        if len(self._known) > _REMEMBERED_WORDS:
            self._known.clear()
        return Words(hashes, lengths)


class _Known(dict[str, int]):
    def __missing__(self, word: str) -> int:
        digest = hashlib.blake2b(word.encode(errors="surrogatepass"), digest_size=8).digest()
        self[word] = value = int.from_bytes(digest, "little")
        return value


@dataclass(frozen=True)
class Words:
    """The words of some texts, text after text.

    Attributes:
        hashes: uint64 [words].
        lengths: int64 [texts], words of each.
    """

    hashes: UInt64[np.ndarray, "words"]
    lengths: Int64[np.ndarray, "texts"]

    @functools.cached_property
    def owners(self) -> Int64[np.ndarray, "words"]:
        """The text of each word."""
        return np.repeat(np.arange(len(self.lengths)), self.lengths)

    @functools.cached_property
    def _left(self) -> Int64[np.ndarray, "words"]:
        """How many words of its text begin at each word."""
        return np.repeat(np.cumsum(self.lengths), self.lengths) - np.arange(len(self.hashes))

    def ngrams(self, sizes: Sequence[int]) -> Iterator[tuple[int, UInt64[np.ndarray, "m"], Int64[np.ndarray, "m"]]]:
        """(size, hash of each n-gram of that size, its text) for each size, smallest first; none spans two texts."""
        rolling = np.zeros(len(self.hashes), np.uint64)
        done = 0
        for size in sorted(set(sizes)):
            for offset in range(done, min(size, len(self.hashes))):
                factor = np.uint64(pow(_BASE, offset, 2**64))
                rolling[: len(rolling) - offset] += self.hashes[offset:] * factor
            done = size
            begins = np.flatnonzero(self._left >= size)
            yield size, mix64(rolling[begins] ^ np.uint64(size)), self.owners[begins]

    def whole(self) -> UInt64[np.ndarray, "texts"]:
        """A hash of each text's words in their order; equal texts, and no others, have the same. 0: no words."""
        places = np.repeat(self.lengths, self.lengths) - self._left
        mixed = mix64(self.hashes ^ mix64(places.astype(np.uint64)))
        sums = np.concatenate([np.zeros(1, np.uint64), np.cumsum(mixed, dtype=np.uint64)])
        ends = np.cumsum(self.lengths)
        totals = sums[ends] - sums[ends - self.lengths]
        return np.where(self.lengths > 0, mix64(totals), np.uint64(0))
