"""Variants of a task or mixture, as NAME@WORD+WORD: the same examples, put into words in another way.

    zero, few, fit, 1shot … 99shot     how many examples stand before the question (`shots.py`)
    shown, hidden                      whether the prompt lists the answer options

So one mixture can hold a task zero-shot and few-shot, with and without options, as Flan 2022 does (arXiv 2301.13688).
"""

from __future__ import annotations

import dataclasses
import re

from flan_jax.data.spec.task import TaskSpec

_SHOTS = re.compile(r"([1-9]\d?)shot")
_OPTIONS = {"shown": True, "hidden": False}


def split_variant(name: str) -> tuple[str, tuple[str, ...]]:
    """(name, words) of NAME@WORD+WORD; the name as it is, without words, where it is no such name.

    A variant of a variant has the words of both; of two that say something of the same, the last one holds.
    """
    base, mark, last = name.rpartition("@")
    words = tuple(last.split("+"))
    if not mark or not base or not all(_is_word(word) for word in words):
        return name, ()
    base, before = split_variant(base)
    return base, (*before, *words)


def _is_word(word: str) -> bool:
    return word in ("zero", "few", "fit", *_OPTIONS) or _SHOTS.fullmatch(word) is not None


def variant_of(spec: TaskSpec, name: str, words: tuple[str, ...]) -> TaskSpec:
    """The variant of a task that these words describe, under the name `name`."""
    shots, options_shown = spec.shots, spec.options_shown
    for word in words:
        counted = _SHOTS.fullmatch(word)
        if word in _OPTIONS:
            options_shown = _OPTIONS[word]
        elif counted:
            shots = int(counted[1])
        else:
            shots = 0 if word == "zero" else "few" if word == "few" else "fit"
    return dataclasses.replace(
        spec,
        name=name,
        shots=shots,
        options_shown=options_shown,
        dataset_name=spec.dataset_name or spec.name,
        # the words of labels give the options again
        options=None if spec.label_words else spec.options,
    )
