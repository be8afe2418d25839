"""Tables of what leaked into training, of what is in training twice, and of scores on clean and dirty questions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from flan_jax.data.audit.duplicates import SharedExamples, TaskDuplicates
from flan_jax.data.audit.overlap import TaskOverlap

SHOWN_SOURCES = 3  # training tasks beside an evaluation task
FEW = 30  # questions below which a score moves by more than three points with each


@dataclass(frozen=True)
class SubsetLine:
    """One task's scores, 0–100, on all, clean and dirty questions; a score is none where there are no questions."""

    task: str
    metric: str
    count: int
    score: float
    clean: tuple[int, float | None]
    dirty: tuple[int, float | None]


def overlap_table(overlaps: Sequence[TaskOverlap]) -> Table:
    """Every evaluation task with its dirty examples, and the training tasks that hold most of them."""
    table = _table("Evaluation examples seen in training", ("n-gram", "examples", "whole", "dirty", "share"))
    table.add_column("most in", overflow="fold")
    for one in overlaps:
        count = len(one.examples)
        sources = [f"{task} {seen}" for task, seen in one.sources.items()]
        cells = (one.num_words, count, one.num_whole, one.num_dirty, f"{100 * one.num_dirty / max(count, 1):.1f}%")
        table.add_row(Text(one.task), *map(str, cells), Text(", ".join(sources[:SHOWN_SOURCES])))
    return table


def duplicate_table(tasks: Sequence[TaskDuplicates]) -> Table:
    """Every training task with the examples that repeat earlier ones of the mixture."""
    headings = ("examples", "same example", "same question", "near duplicate")
    table = _table("Training examples that repeat earlier ones of the mixture", headings)
    for one in tasks:
        counts = (one.num_examples, one.num_same, one.num_same_question, one.num_near)
        table.add_row(Text(one.task), *(f"{count:,}" for count in counts))
    return table


def shared_table(pairs: Sequence[SharedExamples]) -> Table:
    """Pairs of training tasks with questions in common, as groups of equal questions and of near duplicates."""
    table = _table("Training tasks with questions in common, in groups", ())
    table.add_column("and", overflow="fold")
    for heading in ("same question", "near duplicates"):
        table.add_column(heading, justify="right", no_wrap=True)
    for pair in pairs:
        table.add_row(Text(pair.tasks[0]), Text(pair.tasks[1]), f"{pair.num_same:,}", f"{pair.num_near:,}")
    return table


def subset_table(lines: Sequence[SubsetLine], *, title: str) -> Table:
    """All, clean and dirty questions side by side: how many, and the score on them."""
    table = _table(title, ())
    table.add_column("metric", no_wrap=True)
    for heading in ("all", "score", "clean", "score", "change", "dirty", "score"):
        table.add_column(heading, justify="right", no_wrap=True)
    for line in lines:
        clean, dirty = line.clean[1], line.dirty[1]
        table.add_row(
            Text(line.task),
            line.metric,
            str(line.count),
            f"{line.score:.1f}",
            str(line.clean[0]),
            "none" if clean is None else f"{clean:.1f}",
            "" if clean is None else f"{clean - line.score:+.1f}",
            str(line.dirty[0]),
            "none" if dirty is None else f"{dirty:.1f}",
        )
    return table


def subset_notes(lines: Sequence[SubsetLine]) -> list[str]:
    """What the table cannot say: tasks without clean questions, and those with too few to tell."""
    without = [line.task for line in lines if not line.clean[0]]
    few = [f"{line.task} ({line.clean[0]})" for line in lines if 0 < line.clean[0] < FEW]
    notes = []
    if without:
        notes.append(f"no clean question, so leakage cannot be told from skill: {', '.join(without)}")
    if few:
        notes.append(f"fewer than {FEW} clean questions, so their score says little: {', '.join(few)}")
    return notes


def _table(title: str, headings: Sequence[str]) -> Table:
    table = Table(box=SIMPLE_HEAD, title=title, title_justify="left", pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("task", overflow="fold")
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=True)
    return table
