"""Which evaluation examples share an n-gram with the training mixture: one pass over each, never all pairs.

    evaluation contents ──n-grams──> index (sorted hashes, a table of bits before it)
    training contents ──n-grams, batch by batch──> looked up ──> dirty examples, and where each was seen

An evaluation example is dirty if any n-gram of its question or answers occurs in any training example, and clean if
none does. n is the 5th percentile of the lengths in words of the task's questions, at least 8 and at most 13; case,
punctuation and spaces do not count (the rule of GPT-3, arXiv 2005.14165, appendix C).

Where this differs from it, since there leakage came from web text and here it comes from a tuning mixture:

- Compared is what examples say (`content.py`), since prompts of one task share the wording of their templates.
- A question shorter than n words has no n-gram and would always be clean; it is compared whole. So is a question all of
  whose n-grams are wording.
- An n-gram in more than a fifth of a task's evaluation examples is wording of the task (a definition, a fixed
  instruction) and not compared. One in at most ten examples never counts as wording; ten is where GPT-3 drew that line.
- `overlap` above 0 asks for that share of an example's n-grams, as later work does.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from flan_jax.config import ContaminationConfig
from flan_jax.data.audit.content import Content
from flan_jax.data.audit.ngrams import WordHashes, Words

WORDING_SHARE = 0.2
WORDING_EXAMPLES = 10
BATCH = 2048  # training examples looked up at once
_TABLE_ENTRIES_PER_KEY = 32
_WHOLE = np.uint64(0xC0FFEE)  # keeps hashes of whole questions apart from those of n-grams
_NOWHERE = -1


@dataclass(frozen=True, slots=True)
class ExampleOverlap:
    """What of one evaluation example was seen in training.

    Attributes:
        example_id: its number in its split.
        overlap: share of its n-grams that occur in training, 0–1.
        is_dirty: whether it counts as leaked.
        is_whole: whether its question was compared whole.
        seen_in: (task, example id) of one training example that holds one of them; none where it has none.
    """

    example_id: int
    overlap: float
    is_dirty: bool
    is_whole: bool
    seen_in: tuple[str, int] | None


@dataclass(frozen=True)
class TaskOverlap:
    """The overlap of one evaluation task with all of training.

    Attributes:
        task: name of the evaluation task.
        num_words: n.
        num_wording: different n-grams that were left out as wording of the task.
        examples: every example, by rising id.
        sources: training task → dirty examples that share an n-gram with it, the most first.
    """

    task: str
    num_words: int
    num_wording: int
    examples: tuple[ExampleOverlap, ...]
    sources: Mapping[str, int]

    @property
    def num_whole(self) -> int:
        """Examples whose question was compared whole."""
        return sum(example.is_whole for example in self.examples)

    @property
    def num_dirty(self) -> int:
        """Examples that count as leaked."""
        return sum(example.is_dirty for example in self.examples)

    def subset(self, *, dirty: bool) -> list[int]:
        """Ids of the dirty examples, or of the clean ones."""
        return [example.example_id for example in self.examples if example.is_dirty == dirty]


@dataclass(frozen=True)
class _Asked:
    """The n-grams of one evaluation task.

    Attributes:
        num_words: n.
        num_wording: n-grams left out as wording.
        example_ids: int64 [examples].
        is_whole: bool [examples], whether the question is compared whole.
        keys: uint64 [pairs], hash of an n-gram or of a whole question.
        owners: int64 [pairs], index of the example that has it; each pair stands once.
    """

    num_words: int
    num_wording: int
    example_ids: np.ndarray
    is_whole: np.ndarray
    keys: np.ndarray
    owners: np.ndarray


class OverlapFinder:
    """Looks the n-grams of training examples up among those of the evaluation examples."""

    def __init__(self, asked: Mapping[str, Sequence[Content]], settings: ContaminationConfig):
        """Indexes the evaluation examples.

        Args:
            asked: evaluation task → contents of its examples, at least one.
            settings: sizes of n-grams, and the share that makes dirty.
        """
        self._settings, self._hashed = settings, WordHashes()
        self._tasks = {name: self._index(list(examples)) for name, examples in asked.items()}
        self._sizes = tuple(sorted({task.num_words for task in self._tasks.values()}))
        self._keys = np.unique(np.concatenate([task.keys for task in self._tasks.values()]))
        # One look at a table of bytes tells most n-grams of training to be nowhere; a search costs twenty times that.
        bits = int(np.ceil(np.log2(max(len(self._keys), 1) * _TABLE_ENTRIES_PER_KEY)))
        self._mask = np.uint64(2**bits - 1)
        self._may_hold = np.zeros(2**bits, bool)
        self._may_hold[(self._keys & self._mask).astype(np.int64)] = True
        self._trained: list[str] = []
        self._first_task = np.full(len(self._keys), _NOWHERE, np.int32)
        self._first_example = np.full(len(self._keys), _NOWHERE, np.int64)
        self._seen_by: list[np.ndarray] = []  # for each training task the places in `_keys` of what it holds

    def add(self, task: str, examples: Iterable[Content]) -> None:
        """Looks up the examples of one training task."""
        number = len(self._trained)
        self._trained.append(task)
        seen = [np.zeros(0, np.int64)]
        for batch in _batched(examples):
            keys, owners = self._ngrams_of(batch)
            rows, slots = self._look_up(keys)
            new = self._first_task[slots] == _NOWHERE
            ids = np.array([example.example_id for example in batch], np.int64)
            self._first_example[slots[new]] = ids[owners[rows[new]]]
            self._first_task[slots[new]] = number
            seen.append(np.unique(slots))
        self._seen_by.append(np.unique(np.concatenate(seen)))

    def results(self) -> list[TaskOverlap]:
        """The overlap of each evaluation task with all that was added."""
        places = {name: np.searchsorted(self._keys, task.keys) for name, task in self._tasks.items()}
        examples = {name: self._examples(task, places[name]) for name, task in self._tasks.items()}
        sources = self._sources(places, examples)
        return [
            TaskOverlap(name, task.num_words, task.num_wording, examples[name], sources[name])
            for name, task in self._tasks.items()
        ]

    def _index(self, examples: list[Content]) -> _Asked:
        questions = self._hashed([example.question for example in examples])
        size = ngram_size(questions.lengths, self._settings)
        keys, owners = self._pairs(examples, questions, size)
        keys, owners, num_wording = _without_wording(keys, owners, len(examples))
        has_ngram = np.zeros(len(examples), bool)
        has_ngram[owners] = True
        is_whole = ((questions.lengths < size) | ~has_ngram) & (questions.lengths > 0)
        whole = np.flatnonzero(is_whole)
        return _Asked(
            size,
            num_wording,
            np.array([example.example_id for example in examples], np.int64),
            is_whole,
            np.concatenate([keys, questions.whole()[whole] ^ _WHOLE]),
            np.concatenate([owners, whole]),
        )

    def _pairs(self, examples: list[Content], questions: Words, size: int) -> tuple[np.ndarray, np.ndarray]:
        """(n-gram, example) of questions and answers, each pair once."""
        answers, answerers = self._answers(examples)
        [(_, asked, askers)] = questions.ngrams([size])
        [(_, answered, places)] = answers.ngrams([size])
        keys, owners = np.concatenate([asked, answered]), np.concatenate([askers, answerers[places]])
        order = np.lexsort((keys, owners))
        keys, owners = keys[order], owners[order]
        is_first = np.ones(len(keys), bool)
        is_first[1:] = (keys[1:] != keys[:-1]) | (owners[1:] != owners[:-1])
        return keys[is_first], owners[is_first]

    def _answers(self, examples: list[Content]) -> tuple[Words, np.ndarray]:
        """The words of all answers, and the example of each answer."""
        owners = np.repeat(np.arange(len(examples)), [len(example.answers) for example in examples])
        return self._hashed([answer for example in examples for answer in example.answers]), owners

    def _ngrams_of(self, batch: list[Content]) -> tuple[np.ndarray, np.ndarray]:
        """Everything of some training examples that an evaluation example could share, and whose it is."""
        questions = self._hashed([example.question for example in batch])
        answers, answerers = self._answers(batch)
        keys, owners = [questions.whole() ^ _WHOLE], [np.arange(len(batch))]
        for words, asked in ((questions, None), (answers, answerers)):
            for _, hashes, places in words.ngrams(self._sizes):
                keys.append(hashes)
                owners.append(places if asked is None else asked[places])
        return np.concatenate(keys), np.concatenate(owners)

    def _look_up(self, keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Which of these keys the evaluation examples have (indices), and where in `_keys`."""
        rows = np.flatnonzero(self._may_hold[(keys & self._mask).astype(np.int64)])
        slots = np.searchsorted(self._keys, keys[rows])
        slots[slots == len(self._keys)] = 0
        is_known = self._keys[slots] == keys[rows] if len(self._keys) else np.zeros(0, bool)
        return rows[is_known], slots[is_known]

    def _examples(self, task: _Asked, places: np.ndarray) -> tuple[ExampleOverlap, ...]:
        count = len(task.example_ids)
        is_seen = self._first_task[places] != _NOWHERE
        totals = np.bincount(task.owners, minlength=count)
        overlaps = np.bincount(task.owners[is_seen], minlength=count) / np.maximum(totals, 1)
        is_dirty = (overlaps > 0) & (overlaps >= self._settings.overlap)
        seen_at = np.full(count, _NOWHERE, np.int64)
        seen_at[task.owners[is_seen]] = places[is_seen]
        return tuple(
            ExampleOverlap(
                example_id=int(task.example_ids[index]),
                overlap=float(overlaps[index]),
                is_dirty=bool(is_dirty[index]),
                is_whole=bool(task.is_whole[index]),
                seen_in=self._evidence(int(seen_at[index])),
            )
            for index in range(count)
        )

    def _evidence(self, place: int) -> tuple[str, int] | None:
        if place == _NOWHERE:
            return None
        return self._trained[int(self._first_task[place])], int(self._first_example[place])

    def _sources(
        self, places: Mapping[str, np.ndarray], examples: Mapping[str, Sequence[ExampleOverlap]]
    ) -> dict[str, dict[str, int]]:
        """Evaluation task → training task → dirty examples that share an n-gram with it, the most first."""
        names = list(self._tasks)
        bounds = np.cumsum([0, *(len(examples[name]) for name in names)])
        # the pairs of all tasks together: a thousand training tasks are then a thousand passes, not a million
        where = np.concatenate([places[name] for name in names])
        owners = np.concatenate([task.owners + bounds[number] for number, task in enumerate(self._tasks.values())])
        owner_tasks = np.repeat(np.arange(len(names)), np.diff(bounds))
        is_dirty = np.array([example.is_dirty for name in names for example in examples[name]])
        counts: dict[str, dict[str, int]] = {name: {} for name in names}
        for trained, seen in zip(self._trained, self._seen_by, strict=True):
            is_seen = np.zeros(len(self._keys), bool)
            is_seen[seen] = True
            hit = np.zeros(len(is_dirty), bool)
            hit[owners[is_seen[where]]] = True
            by_task = np.bincount(owner_tasks[hit & is_dirty], minlength=len(names))
            for number in np.flatnonzero(by_task).tolist():
                counts[names[number]][trained] = int(by_task[number])
        return {name: dict(sorted(counted.items(), key=lambda pair: -pair[1])) for name, counted in counts.items()}


def ngram_size(lengths: np.ndarray, settings: ContaminationConfig) -> int:
    """n for questions of these lengths: their percentile, within the least and the most words."""
    return int(np.clip(np.percentile(lengths, settings.percentile), settings.least_words, settings.most_words))


def _without_wording(keys: np.ndarray, owners: np.ndarray, num_examples: int) -> tuple[np.ndarray, np.ndarray, int]:
    """The pairs whose n-gram is no wording of the task, and how many n-grams are."""
    _, inverse, counts = np.unique(keys, return_inverse=True, return_counts=True)
    is_wording = counts > max(WORDING_EXAMPLES, WORDING_SHARE * num_examples)
    kept = ~is_wording[inverse]
    return keys[kept], owners[kept], int(np.count_nonzero(is_wording))


def _batched(examples: Iterable[Content]) -> Iterator[list[Content]]:
    remaining = iter(examples)
    while batch := list(itertools.islice(remaining, BATCH)):
        yield batch
