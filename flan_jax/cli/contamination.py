"""`flan-jax contamination`: which evaluation examples leaked into training, and what is in training twice."""

from __future__ import annotations

from rich.markup import escape

from flan_jax.report.console import make_console
from flan_jax.report.contamination import duplicate_table, overlap_table, shared_table
from flan_jax.report.progress import on_console
from flan_jax.runs.configs import ConfigFile
from flan_jax.runs.data import RunData

SHOWN_PAIRS = 20  # of tasks with questions in common, on the console; report.json has all


def run(source: ConfigFile) -> None:
    """Compare the prepared store's evaluation examples with its training examples, and these with each other."""
    console = make_console()
    contamination = RunData(source.config, progress=on_console(console)).contamination()
    duplicates, folder = contamination.duplicates, contamination.folder
    console.print(overlap_table(contamination.overlaps))
    console.print(duplicate_table(duplicates.tasks))
    if duplicates.shared:
        console.print(shared_table(duplicates.shared[:SHOWN_PAIRS]))
    if len(duplicates.shared) > SHOWN_PAIRS:
        console.print(f"and {len(duplicates.shared) - SHOWN_PAIRS} more pairs of tasks in report.json")
    console.print(
        f"report, subsets and groups of duplicates are in [bold]{escape(str(folder))}[/]",
        highlight=False,
        soft_wrap=True,
    )
    console.print(
        f"scores on clean and dirty examples: flan-jax evaluate CONFIG evaluation.subsets={contamination.subsets}",
        markup=False, highlight=False, soft_wrap=True,
    )  # fmt: skip
