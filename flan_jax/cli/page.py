"""`flan-jax tasks page`: every task with its templates filled in, as one HTML file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.markup import escape

from flan_jax.cli.tasks import counted
from flan_jax.data.spec.task import TaskSpec
from flan_jax.report.console import make_console
from flan_jax.report.progress import on_console
from flan_jax.runs.tasks import write_task_page


def run(out: Path, specs: Sequence[TaskSpec], *, tokenizer: str | None) -> None:
    """Write the page, and print what it holds.

    Raises:
        InputError: records of another form, no tokenizer there, or a file that cannot be written.
    """
    console = make_console()
    write_task_page(out, specs, tokenizer=tokenizer, display=on_console(console))
    size_mb = out.stat().st_size / 1e6
    what = f"{counted(len(specs), 'task')} in {counted(len({spec.cluster for spec in specs}), 'cluster')}"
    console.print(f"{what}: [bold]{escape(str(out))}[/], {size_mb:.1f} MB", soft_wrap=True)
