"""Few-shot prompts: examples of the training split before the question, drawn by key and fitted to a budget.

    training split ──smallest keyed hashes──> pool ──walk keyed by the question──> candidates
                                                      └─ never the question itself, nor one with its input
    candidates ──rendered by the question's own template──> as many as are asked for and fit ──> one prompt

The pool has a bounded size, so memory is flat however large a task is; it follows from the render seed and the task, so
every host, process and restart draws the same examples.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from flan_jax.data.spec.task import Fields
from flan_jax.keyed import bits, walk

_COPY = "copy of an example"  # field that tells the examples before a question from the question itself


def any_shots(examples: Sequence[Fields], number: int) -> Shots:
    """Puts `number` of these examples before a question, the same one again where there are too few.

    Args:
        examples: with fields for templates.
        number: how many.
    """
    pool = [(-1 - place, {**fields, _COPY: str(place)}) for place, fields in enumerate([*examples] * number)]
    return Shots(tuple(pool), number, None, lambda fields: fields.get(_COPY, ""))


Number = int | Literal["few", "fit"]
Pool = tuple[tuple[int, Fields], ...]  # (example id in the training split, fields)

POOL_SIZE = 2048  # enough that two prompts rarely share examples; their renderings are kept in memory
MOST = 16  # examples in a prompt with `fit` (arXiv 2109.01652)
FEW = (1, 2, 3, 5, 10)  # `few` draws one of these for each question
_TRIES = 4  # candidates looked at for each example that is wanted, since some are too long
_NEARLY = 0.9  # of the budget: above, the joined text is counted too, since it may count a few tokens more


@dataclass(frozen=True)
class Budget:
    """What a prompt may take.

    Attributes:
        tokens: of the prompt's text; of prompt and answer together where both stand in one row.
        with_answer: whether the answer counts.
        count: number of tokens of each text.
    """

    tokens: int
    with_answer: bool
    count: Callable[[Sequence[str]], list[int]]


@dataclass(frozen=True)
class Shot:
    """An example rendered to stand before a question.

    Attributes:
        text: prompt, separator, answer, and the separator after it.
        tokens: of the text; 0 without a budget.
    """

    text: str
    tokens: int


def exemplar_pool(items: Iterable[tuple[int, Fields]], key: str) -> Pool:
    """The POOL_SIZE training examples with the smallest keyed hash, in that order.

    Args:
        items: (example id, fields) of the training split.
        key: of the render seed and the task.
    """
    smallest = heapq.nsmallest(POOL_SIZE, ((bits(f"{key}\x1f{item[0]}"), item) for item in items), key=_hash)
    return tuple(item for _, item in smallest)


def _hash(entry: tuple[int, tuple[int, Fields]]) -> int:
    return entry[0]


class Shots:
    """Puts examples before the questions of one task."""

    def __init__(self, pool: Pool, number: Number, budget: Budget | None, bare: Callable[[Fields], str]):
        """Prepares the pool.

        Args:
            pool: of `exemplar_pool`.
            number: how many examples; `few`: one of FEW for each question; `fit`: as many as fit, up to MOST.
            budget: what the prompt may take; none: no limit.
            bare: the input of an example, by which a copy of the question is known.
        """
        self._pool, self._number, self._budget, self._bare = pool, number, budget, bare
        self._inputs = [bare(fields) for _, fields in pool]
        self._rendered: dict[tuple[int, int, str], Shot] = {}

    def before(
        self,
        prompt: str,
        answers: Sequence[str],
        fields: Fields,
        *,
        key: str,
        own_id: int | None,
        form: tuple[int, str],
        render: Callable[[int, Fields], str],
    ) -> tuple[str, int]:
        """The examples that stand before a prompt, as one text, and how many there are.

        Args:
            prompt: the question as it is asked.
            answers: what may follow it.
            fields: of the question.
            key: of the question and its rendering.
            own_id: the question's place in the training split; none: it is of another split.
            form: what decides how an example is rendered (template and option style), for keeping it.
            render: (example id, fields) → text of an example.
        """
        number = self._number_for(key)
        if not number or not self._pool:
            return "", 0
        room = self._room(prompt, answers)
        chosen: list[Shot] = []
        for place in self._candidates(key, own_id, self._bare(fields), number):
            shot = self._shot(place, form, render)
            if room is None or shot.tokens <= room:
                chosen.append(shot)
                room = None if room is None else room - shot.tokens
            if len(chosen) == number:
                break
        is_near = room is not None and room < (1 - _NEARLY) * self._tokens
        return (
            self._fitted(chosen, prompt, answers) if is_near else ("".join(shot.text for shot in chosen), len(chosen))
        )

    @property
    def _tokens(self) -> int:
        return 0 if self._budget is None else self._budget.tokens

    def _number_for(self, key: str) -> int:
        if self._number == "few":
            return FEW[bits(f"{key}\x1fshots") % len(FEW)]
        return self._number if isinstance(self._number, int) else MOST

    def _candidates(self, key: str, own_id: int | None, question: str, number: int) -> Iterator[int]:
        for step in range(min(len(self._pool), number * _TRIES)):
            place = walk(len(self._pool), f"{key}\x1fexemplars", step)
            if self._pool[place][0] != own_id and self._inputs[place] != question:
                yield place

    def _shot(self, place: int, form: tuple[int, str], render: Callable[[int, Fields], str]) -> Shot:
        known = self._rendered.get((place, *form))
        if known is None:
            text = render(*self._pool[place])
            known = Shot(text, 0 if self._budget is None else self._budget.count([text])[0])
            self._rendered[place, *form] = known
        return known

    def _room(self, prompt: str, answers: Sequence[str]) -> int | None:
        """Tokens left for examples; None without a budget."""
        if self._budget is None:
            return None
        asked, *answered = self._budget.count([prompt, *answers])
        return self._budget.tokens - asked - (max(answered) if self._budget.with_answer else 0)

    def _fitted(self, chosen: list[Shot], prompt: str, answers: Sequence[str]) -> tuple[str, int]:
        """The examples as one text, fewer of them where the joined text is over the budget after all."""
        while chosen:
            text = "".join(shot.text for shot in chosen)
            room = self._room(text + prompt, answers)
            if room is None or room >= 0:
                return text, len(chosen)
            chosen = chosen[:-1]
        return "", 0
