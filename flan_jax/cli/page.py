"""`flan-jax tasks page`: every task with its templates filled in, as one HTML file."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.markup import escape
from rich.progress import Progress

from flan_jax.cli.tasks import chosen_tasks, counted, token_count
from flan_jax.data import registry
from flan_jax.data.registry.resolve import kin_of
from flan_jax.files.whole import write_text
from flan_jax.report.console import make_console
from flan_jax.report.task_page import task_page
from flan_jax.report.task_view import task_view


def run(
    out: Path, modules: Sequence[str], *, cluster: str | None, sources: Mapping[str, str], tokenizer: str | None
) -> None:
    """Write the page.

    Raises:
        InputError: an unknown cluster or task, records of another form, no tokenizer there, or a file that cannot be
            written.
    """
    specs = chosen_tasks((), modules, cluster=cluster, sources=sources)
    count = None if tokenizer is None else token_count(tokenizer)
    console = make_console()
    views = []
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        bar = progress.add_task("", total=len(specs))
        for spec in specs:
            progress.update(bar, description=spec.name)
            views.append(task_view(spec, count=count))
            progress.advance(bar)
    names = {spec.cluster for spec in specs}
    clusters = {name: dataclasses.replace(registry.get_cluster(name), kin=kin_of(name)) for name in names}
    write_text(out, task_page(views, clusters, tokenizer=tokenizer and Path(tokenizer).name))
    size_mb = out.stat().st_size / 1e6
    what = f"{counted(len(views), 'task')} in {counted(len(clusters), 'cluster')}"
    console.print(f"{what}: [bold]{escape(str(out))}[/], {size_mb:.1f} MB", soft_wrap=True)
