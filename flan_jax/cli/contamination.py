"""`flan-jax contamination`: which evaluation examples leaked into training, and what is in training twice.

store ──ids──> sources ──contents──> DuplicateFinder ──passing──> OverlapFinder ──> <run>/contamination/
    report.json        counts by task and pairs of tasks, every dirty example with where it was seen
    subsets.json       clean and dirty examples by task, for evaluation.subsets
    duplicates.jsonl   one group of duplicates a line
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from flan_jax.config import Config
from flan_jax.data.audit.content import Content, asked_examples, check_readable, contents
from flan_jax.data.audit.duplicates import DuplicateFinder, Duplicates
from flan_jax.data.audit.overlap import OverlapFinder, TaskOverlap
from flan_jax.data.prepare.opened import Prepared, open_prepared
from flan_jax.data.registry.resolve import resolve_run
from flan_jax.data.spec.source import TRAIN, VALIDATION
from flan_jax.errors import InputError
from flan_jax.evaluate.subsets import SUBSETS
from flan_jax.report.console import make_console
from flan_jax.report.contamination import duplicate_table, overlap_table, shared_table
from flan_jax.report.progress import ProgressReport
from flan_jax.runs.audit import FOLDER, training_examples, write_folder
from flan_jax.runs.configs import ConfigFile
from flan_jax.runs.open import Text, open_text

SHOWN_PAIRS = 20  # of tasks with questions in common, on the console; report.json has all


def run(source: ConfigFile) -> None:
    """Compare the prepared store's evaluation examples with its training examples, and these with each other."""
    config = source.config
    console = make_console()
    text = open_text(config)
    prepared = open_prepared(config, text.encoder, resolve_run(config))
    if not prepared.evaluation:
        raise InputError("contamination: no task of the mixture has a validation split; name some in evaluation.tasks")
    overlaps, duplicates = compare(config, prepared, text, console)
    folder = write_folder(Path(config.run.dir) / FOLDER, config, prepared, overlaps, duplicates)
    console.print(overlap_table(overlaps))
    console.print(duplicate_table(duplicates.tasks))
    if duplicates.shared:
        console.print(shared_table(duplicates.shared[:SHOWN_PAIRS]))
    if len(duplicates.shared) > SHOWN_PAIRS:
        console.print(f"and {len(duplicates.shared) - SHOWN_PAIRS} more pairs of tasks in report.json")
    console.print(f"report, subsets and groups of duplicates are in [bold]{escape(str(folder))}[/]")
    console.print(
        f"scores on clean and dirty examples: flan-jax evaluate … evaluation.subsets={folder / SUBSETS}", markup=False
    )


def compare(config: Config, prepared: Prepared, text: Text, console: Console) -> tuple[list[TaskOverlap], Duplicates]:
    """The overlap of every evaluation task, and the duplicates of the mixture, in one pass over the training sources.

    Raises:
        InputError: a source cannot be read here, or gives other examples than the store was made of.
    """
    decode = text.tokenizer.decode
    trained = training_examples(prepared)
    asked_of = {name: prepared.resolved.specs[name] for name in prepared.evaluation}
    for spec in [*asked_of.values(), *(spec for spec, _ in trained.values())]:
        check_readable(spec)
    asked = {
        name: list(contents(spec, VALIDATION, asked_examples(prepared.evaluation[name]), decode=decode))
        for name, spec in asked_of.items()
    }
    overlap = OverlapFinder(asked, config.contamination)
    duplicate = DuplicateFinder(config.contamination, seed=config.run.seed)
    total = sum(len(ids) for _, ids in trained.values())
    with ProgressReport("compare", total, console=console) as progress:
        for name, (spec, ids) in trained.items():
            examples = _counted(contents(spec, TRAIN, ids, decode=decode), progress)
            overlap.add(name, duplicate.passing(name, examples))
    return overlap.results(), duplicate.find()


def _counted(examples: Iterable[Content], progress: ProgressReport) -> Iterator[Content]:
    for example in examples:
        progress.advance()
        yield example
