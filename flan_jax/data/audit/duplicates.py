"""Exact and near duplicates within the training mixture, by task and across tasks.

    contents ──hash of words──> same question ──and same answers──> same example
        └─ first of each question ──MinHash (`minhash.py`)──> near duplicates

Duplicates are told by their questions: the same question in two tasks, or with two answers, is what leaks. Case,
punctuation and spaces do not tell questions apart. Memory is about 1 kB an example, and no text is kept but the
beginning of each question.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64, UInt64

from flan_jax.config import ContaminationConfig
from flan_jax.data.audit.content import Content
from flan_jax.data.audit.minhash import NearGroups, near_groups, sketches_of
from flan_jax.data.audit.ngrams import WordHashes
from flan_jax.keyed import mix64

BATCH = 2048  # examples taken in at once
EXCERPT_CHARACTERS = 80


@dataclass(frozen=True)
class TaskDuplicates:
    """How the examples of one task repeat earlier ones of the mixture; each counts at most once.

    Attributes:
        task: its name.
        num_examples: all of them.
        num_same: question and answers equal an earlier example's.
        num_same_question: the question equals an earlier one's, the answers do not.
        num_near: the question is a near duplicate of an earlier one, and equal to none.
    """

    task: str
    num_examples: int
    num_same: int
    num_same_question: int
    num_near: int


@dataclass(frozen=True)
class SharedExamples:
    """Two tasks with questions in common.

    Attributes:
        tasks: their names, in the mixture's order.
        num_same: groups of equal questions that both have examples of.
        num_near: further groups of near duplicates that both have examples of.
    """

    tasks: tuple[str, str]
    num_same: int
    num_near: int


@dataclass(frozen=True)
class Group:
    """Examples with the same question, or nearly so.

    Attributes:
        num_questions: different questions; more than one in a group of near duplicates.
        num_answers: different pairs of question and answers.
        similarity: the least estimate among the pairs that make the group; 1 for equal questions.
        examples: task → ids of its examples.
        excerpt: the beginning of the first question.
    """

    num_questions: int
    num_answers: int
    similarity: float
    examples: dict[str, list[int]]
    excerpt: str


@dataclass(frozen=True)
class _Gathered:
    """The examples of a mixture in its order.

    Attributes:
        tasks: int64 [n], number of the task.
        ids: int64 [n], example id.
        questions: int64 [n], number of the question, counted in the order of first appearance.
        wholes: int64 [n], number of the pair of question and answers, likewise.
    """

    tasks: Int64[np.ndarray, "n"]
    ids: Int64[np.ndarray, "n"]
    questions: Int64[np.ndarray, "n"]
    wholes: Int64[np.ndarray, "n"]


class DuplicateFinder:
    """Takes in the examples of a mixture, task by task; `find` tells its duplicates."""

    def __init__(self, settings: ContaminationConfig, *, seed: int):
        """Starts with nothing; `seed` chooses the permutations of the sketches."""
        self._settings, self._seed = settings, seed
        self._hashed = WordHashes()
        self._tasks: list[str] = []
        self._counts: list[int] = []
        self._ids: list[np.ndarray] = []
        self._questions: list[np.ndarray] = []
        self._wholes: list[np.ndarray] = []
        self._met: set[int] = set()  # hashes of questions
        self._sketches: list[np.ndarray] = []
        self._excerpts: list[str] = []

    def passing(self, task: str, examples: Iterable[Content]) -> Iterator[Content]:
        """Takes in the examples of one task as they pass through to another reader."""
        self._tasks.append(task)
        self._counts.append(0)
        remaining = iter(examples)
        while batch := list(itertools.islice(remaining, BATCH)):
            self._counts[-1] += len(batch)
            self._take_in(batch)
            yield from batch

    def find(self) -> Duplicates:
        """The duplicates among all that was taken in."""
        sketches = np.concatenate([np.zeros((0, self._settings.permutations), np.uint32), *self._sketches])
        none = np.zeros(0, np.int64)
        gathered = _Gathered(
            np.repeat(np.arange(len(self._tasks)), self._counts),
            np.concatenate([none, *self._ids]),
            _numbered(np.concatenate([none.view(np.uint64), *self._questions])),
            _numbered(np.concatenate([none.view(np.uint64), *self._wholes])),
        )
        return Duplicates(self._tasks, gathered, near_groups(sketches, self._settings), self._excerpts)

    def _take_in(self, batch: list[Content]) -> None:
        questions = self._hashed([_asked(example) for example in batch])
        answers = self._hashed([answer for example in batch for answer in example.answers])
        answered = np.zeros(len(batch), np.uint64)
        owners = np.repeat(np.arange(len(batch)), [len(example.answers) for example in batch])
        np.add.at(answered, owners, answers.whole())  # a sum: options are listed in any order
        keys = questions.whole()
        self._ids.append(np.array([example.example_id for example in batch], np.int64))
        self._questions.append(keys)
        self._wholes.append(mix64(keys ^ mix64(answered)))
        new = []
        for place, key in enumerate(keys.tolist()):
            if key not in self._met:
                self._met.add(key)
                new.append(place)
        self._sketches.append(sketches_of(questions, new, self._settings, seed=self._seed))
        self._excerpts += [_excerpt(_asked(batch[place])) for place in new]


class Duplicates:
    """The duplicates of a mixture.

    Attributes:
        tasks: one entry a task, in the mixture's order.
        shared: pairs of tasks with questions in common, those with the most groups first.
    """

    def __init__(self, tasks: Sequence[str], gathered: _Gathered, near: NearGroups, excerpts: Sequence[str]):
        """Counts duplicates; `near` groups the questions, `excerpts` are theirs."""
        self._names, self._gathered, self._near, self._excerpts = tasks, gathered, near, excerpts
        self._groups = near.labels[gathered.questions]  # of each example
        self.tasks = self._count_tasks()
        self.shared = self._count_shared()

    def groups(self) -> Iterator[Group]:
        """Every group of at least two examples, in the order of the mixture."""
        sizes = np.bincount(self._groups, minlength=len(self._near.similarities))
        order = np.argsort(self._groups, kind="stable")
        begins = np.cumsum(sizes) - sizes
        for number in np.flatnonzero(sizes > 1).tolist():
            yield self._group(number, order[begins[number] : begins[number] + sizes[number]])

    def _group(self, number: int, members: np.ndarray) -> Group:
        gathered = self._gathered
        examples: dict[str, list[int]] = {}
        for task, example_id in zip(gathered.tasks[members], gathered.ids[members], strict=True):
            examples.setdefault(self._names[int(task)], []).append(int(example_id))
        questions = gathered.questions[members]
        return Group(
            num_questions=len(np.unique(questions)),
            num_answers=len(np.unique(gathered.wholes[members])),
            similarity=float(self._near.similarities[number]),
            examples=examples,
            excerpt=self._excerpts[int(questions[0])],
        )

    def _count_tasks(self) -> tuple[TaskDuplicates, ...]:
        gathered = self._gathered
        is_same = ~_is_first(gathered.wholes)
        is_question = ~_is_first(gathered.questions) & ~is_same
        is_near = ~_is_first(self._groups) & ~is_same & ~is_question
        count = len(self._names)
        counts = [np.bincount(gathered.tasks[chosen], minlength=count) for chosen in (is_same, is_question, is_near)]
        totals = np.bincount(gathered.tasks, minlength=count)
        return tuple(
            TaskDuplicates(name, int(totals[task]), *(int(kind[task]) for kind in counts))
            for task, name in enumerate(self._names)
        )

    def _count_shared(self) -> tuple[SharedExamples, ...]:
        alike = _pair_counts(self._groups, self._gathered.tasks)
        # a group of near duplicates counts as one of equal questions where two tasks share one of its questions
        same_questions = _shared_numbers(self._gathered.questions, self._gathered.tasks)
        equal = Counter[tuple[int, int]]()
        for pair, questions in same_questions.items():
            equal[pair] = len(np.unique(self._near.labels[questions]))
        shared = [
            SharedExamples((self._names[one], self._names[other]), equal[one, other], total - equal[one, other])
            for (one, other), total in alike.items()
        ]
        return tuple(sorted(shared, key=lambda one: (-one.num_same, -one.num_near)))


def _shared_numbers(
    numbers: Int64[np.ndarray, "n"], tasks: Int64[np.ndarray, "n"]
) -> dict[tuple[int, int], Int64[np.ndarray, "m"]]:
    """Pair of tasks → the numbers (of questions or groups) that both have."""
    num_tasks = int(tasks.max(initial=0)) + 1
    places = np.unique(numbers * num_tasks + tasks)  # each (number, task) once, by number
    number, task = np.divmod(places, num_tasks)
    begins = np.flatnonzero(np.diff(number, prepend=-1))
    sizes = np.diff(begins, append=len(number))
    shared: dict[tuple[int, int], list[int]] = {}
    for begin, size in zip(begins[sizes > 1].tolist(), sizes[sizes > 1].tolist(), strict=True):
        for pair in itertools.combinations(task[begin : begin + size].tolist(), 2):
            shared.setdefault(pair, []).append(int(number[begin]))
    return {pair: np.array(shared_by, np.int64) for pair, shared_by in shared.items()}


def _pair_counts(numbers: Int64[np.ndarray, "n"], tasks: Int64[np.ndarray, "n"]) -> dict[tuple[int, int], int]:
    return {pair: len(numbers_of_pair) for pair, numbers_of_pair in _shared_numbers(numbers, tasks).items()}


def _numbered(keys: UInt64[np.ndarray, "n"]) -> Int64[np.ndarray, "n"]:
    """The number of each key, counted in the order of first appearance."""
    _, firsts, inverse = np.unique(keys, return_index=True, return_inverse=True)
    ranks = np.empty(len(firsts), np.int64)
    ranks[np.argsort(firsts)] = np.arange(len(firsts))
    return ranks[inverse]


def _is_first(numbers: Int64[np.ndarray, "n"]) -> np.ndarray:
    """Where each number appears for the first time; bool."""
    is_first = np.zeros(len(numbers), bool)
    is_first[np.unique(numbers, return_index=True)[1]] = True
    return is_first


def _asked(example: Content) -> str:
    """The question; an example without one is told by its answers."""
    return example.question.strip() or " ".join(example.answers)


def _excerpt(text: str) -> str:
    return " ".join(text[: 2 * EXCERPT_CHARACTERS].split())[:EXCERPT_CHARACTERS]
