"""Prints time, peak memory and recall of `flan-jax contamination` on made-up data with planted leaks and duplicates.

    python benchmarks/contamination.py [EXAMPLES …]        default: 100,000 and 1,000,000, to show how both grow

Each size is measured in a process of its own, from records in JSON lines to all results. Questions have 55 words in the
median, drawn as rarely and often as words are (Zipf). Planted are:

    leaks        13 words and more of one evaluation question in ten, in a training question
    no leaks     12 words of another one in ten
    duplicates   2% of the questions again, as they are or in capitals; 2% again with one word in sixty replaced
    a family     2% of the questions alike in all but their last two words: a bucket of near duplicates
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from flan_jax.config import ContaminationConfig
from flan_jax.data.audit.content import contents
from flan_jax.data.audit.duplicates import DuplicateFinder
from flan_jax.data.audit.overlap import OverlapFinder
from flan_jax.data.registry import FileSource, TaskSpec, Template

SETTINGS = ContaminationConfig()
NUM_TRAINED, NUM_ASKED, ASKED_EXAMPLES = 10, 20, 200
VOCABULARY = np.array([f"word{number}" for number in range(50_000)])
MEDIAN_WORDS, SPREAD, FEWEST, MOST = 55, 0.6, 20, 400


@dataclass
class Planted:
    """What was planted: (task, evaluation example) of leaks and no leaks, and (copy, original, true Jaccard)."""

    leaks: set[tuple[int, int]] = field(default_factory=set)
    no_leaks: set[tuple[int, int]] = field(default_factory=set)
    num_same: int = 0
    near: list[tuple[int, int, float]] = field(default_factory=list)
    family: set[int] = field(default_factory=set)


class Texts:
    """Random questions as lists of words."""

    def __init__(self, seed: int):
        self.random = np.random.default_rng(seed)
        weights = 1 / np.arange(1, len(VOCABULARY) + 1)
        self._cumulative = np.cumsum(weights / weights.sum())

    def some(self, count: int) -> list[list[str]]:
        lengths = np.clip(self.random.lognormal(np.log(MEDIAN_WORDS), SPREAD, count), FEWEST, MOST).astype(int)
        drawn = np.minimum(np.searchsorted(self._cumulative, self.random.random(lengths.sum())), len(VOCABULARY) - 1)
        return [part.tolist() for part in np.split(VOCABULARY[drawn], np.cumsum(lengths)[:-1])]


def jaccard(one: list[str], other: list[str]) -> float:
    size = SETTINGS.shingle_words
    sets = [{tuple(words[at : at + size]) for at in range(len(words) - size + 1)} for words in (one, other)]
    return len(sets[0] & sets[1]) / len(sets[0] | sets[1])


def trained_questions(texts: Texts, asked: list[list[list[str]]], count: int, planted: Planted) -> Iterator[list[str]]:
    """`count` training questions; leaks are spread over them."""
    random = texts.random
    spans = []
    for task, questions in enumerate(asked):
        for number, words in enumerate(questions):
            if number % 10 < 2:
                length = 12 if number % 10 else int(random.integers(13, len(words) + 1))
                begin = int(random.integers(0, len(words) - length + 1))
                (planted.no_leaks if number % 10 else planted.leaks).add((task, number))
                spans.append(words[begin : begin + length])
    holders = dict(zip(random.choice(count, len(spans), replace=False).tolist(), spans, strict=True))
    stem = texts.some(1)[0]
    fresh: list[list[str]] = []
    plain: deque[tuple[int, list[str]]] = deque(maxlen=5_000)  # the latest without anything planted
    for number in range(count):
        kind = random.random()
        if number in holders:
            # a word that occurs nowhere else on both sides: no longer n-gram comes about by chance
            words = ["apart", *holders[number], "apart"]
        elif kind < 0.02 and plain:
            planted.num_same += 1
            original = plain[int(random.integers(len(plain)))][1]
            words = [word.upper() + "," for word in original] if kind < 0.01 else original
        elif kind < 0.04 and plain:
            earlier, original = plain[int(random.integers(len(plain)))]
            words = list(original)
            for place in random.integers(0, len(words), 1 + len(words) // 60):
                words[place] = "replaced"
            planted.near.append((number, earlier, jaccard(words, original)))
        elif kind < 0.06:
            planted.family.add(number)
            words = [*stem, f"ending{number}", f"last{number}"]
        else:
            fresh = fresh or texts.some(10_000)
            words = fresh.pop()
            plain.append((number, words))
        yield words


def write(folder: Path, count: int) -> Planted:
    texts, planted = Texts(0), Planted()
    asked = [texts.some(ASKED_EXAMPLES) for _ in range(NUM_ASKED)]
    for task, questions in enumerate(asked):
        write_lines(folder / f"asked{task}.jsonl", questions)
    stream = trained_questions(texts, asked, count, planted)
    for task in range(NUM_TRAINED):
        write_lines(folder / f"trained{task}.jsonl", (next(stream) for _ in range(count // NUM_TRAINED)))
    return planted


def write_lines(path: Path, questions) -> None:
    with path.open("w") as file:
        for number, words in enumerate(questions):
            file.write(json.dumps({"question": " ".join(words), "answer": f"answer {number % 7}"}) + "\n")


def read(folder: Path, name: str, count: int):
    source = FileSource({"train": str(folder / f"{name}.jsonl")})
    spec = TaskSpec(name, "made-up", source, (Template("Say: {question}"),), "{question}", metrics=("exact_match",))
    return contents(spec, "train", np.arange(count), decode=str)


def measure(count: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        planted = write(folder, count)
        before_gb = peak_gb()
        begin = time.perf_counter()
        asked = {f"asked{task}": list(read(folder, f"asked{task}", ASKED_EXAMPLES)) for task in range(NUM_ASKED)}
        overlap, duplicate = OverlapFinder(asked, SETTINGS), DuplicateFinder(SETTINGS, seed=0)
        indexed = time.perf_counter()
        for task in range(NUM_TRAINED):
            examples = read(folder, f"trained{task}", count // NUM_TRAINED)
            overlap.add(f"trained{task}", duplicate.passing(f"trained{task}", examples))
        passed = time.perf_counter()
        overlaps, found = overlap.results(), duplicate.find()
        groups = list(found.groups())
        done = time.perf_counter()
    print(f"\n{count:,} examples: {done - begin:.1f} s, peak {peak_gb():.2f} GB ({before_gb:.2f} GB before)")
    print(f"  index {indexed - begin:.1f} s, one pass over training {passed - indexed:.1f} s, ", end="")
    print(f"results and groups {done - passed:.1f} s")
    report(planted, overlaps, found, groups, count)


def report(planted: Planted, overlaps, found, groups, count: int) -> None:
    dirty = {(task, number) for task, one in enumerate(overlaps) for number in one.subset(dirty=True)}
    print(f"  leaks found {len(dirty & planted.leaks)} of {len(planted.leaks)}, other examples called dirty ", end="")
    print(f"{len(dirty - planted.leaks)} (of {len(planted.no_leaks)} with 12 words in common)")
    num_same = sum(task.num_same + task.num_same_question for task in found.tasks)
    print(f"  same questions found {num_same:,} of {planted.num_same:,} planted")
    per_task = count // NUM_TRAINED
    group_of = {}
    for number, group in enumerate(groups):
        for task, ids in group.examples.items():
            group_of |= {int(task.removeprefix("trained")) * per_task + one: number for one in ids}
    together = np.array([group_of.get(a, -1) == group_of.get(b, -2) for a, b, _ in planted.near])
    similarity = np.array([value for _, _, value in planted.near])
    for low, high in ((0.9, 1.01), (0.8, 0.9), (0.7, 0.8), (0.0, 0.7)):
        chosen = (similarity >= low) & (similarity < high)
        if chosen.any():
            share, total = together[chosen].mean(), np.count_nonzero(chosen)
            print(f"  near duplicates of true Jaccard {low:.1f}–{min(high, 1):.1f}: {share:.1%} of {total:,} found")
    numbers = [group_of.get(member, -1) for member in planted.family]
    largest = max(set(numbers), key=numbers.count)
    print(f"  family of {len(numbers):,} alike questions: {numbers.count(largest) / len(numbers):.1%} in one group")


def peak_gb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


if __name__ == "__main__":
    if sys.argv[1:2] == ["--measure"]:
        measure(int(sys.argv[2]))
    else:
        for size in map(int, sys.argv[1:] or ("100000", "1000000")):
            subprocess.run([sys.executable, __file__, "--measure", str(size)], check=True)
