"""`flan-jax prepare` and `store verify`; and how other commands say what was prepared for them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from flan_jax.data.prepare.prepare import PreparedFolder, PrepareReport
from flan_jax.data.spec.source import TRAIN, VALIDATION
from flan_jax.errors import InputError
from flan_jax.report.console import make_console
from flan_jax.report.progress import duration, on_console
from flan_jax.runs.configs import ConfigFile
from flan_jax.runs.data import RunData
from flan_jax.runs.prepare import spare_processes


def run(source: ConfigFile, *, runner: str | None = None, flags: Sequence[str] = ()) -> None:
    """Build what is missing and say what became of every task.

    Args:
        source: the config.
        runner: runner of Apache Beam; none: processes of this machine.
        flags: options of Beam's pipeline.

    Raises:
        InputError: an unknown runner, options without one, or the config's data cannot be prepared.
    """
    console = make_console()
    data = RunData(source.config, say=console.print, progress=on_console(console))
    report = data.prepare(runner=runner, flags=flags, spare_processes=spare_processes())
    if report.num_built:
        show(report, source.config.store_dir, console)
    else:
        where = f"store [bold]{escape(source.config.store_dir)}[/]"
        console.print(f"{where}: all {len(report.folders)} parts are there already", highlight=False, soft_wrap=True)


def prepare_missing(data: RunData, console: Console) -> None:
    """Build the store of a run where it is not there, and say what became of every task.

    Raises:
        InputError: the data cannot be prepared.
    """
    report = data.prepare_missing()
    if report is not None:
        show(report, data.config.store_dir, console)


def show(report: PrepareReport, store: str, console: Console) -> None:
    """Print what was built."""
    console.print(report_table(report.folders))
    console.print(
        f"store [bold]{escape(store)}[/]: {report.num_built} parts built, {escape(summary(report))}",
        highlight=False, soft_wrap=True,
    )  # fmt: skip


def summary(report: PrepareReport) -> str:
    """Tokens, time and speed, and what an interrupted run had left."""
    speed = report.num_tokens / max(report.seconds, 1e-9)
    took = duration(report.seconds) if report.seconds >= 10 else f"{report.seconds:.1f} s"
    text = f"{report.num_tokens:,} tokens in {took} ({speed:,.0f} tokens/s, {report.made_by})"
    return text + (f"; used again from an ended run: {report.num_reused:,} shards" if report.num_reused else "")


def report_table(folders: Iterable[PreparedFolder]) -> Table:
    """Every task of the store: its training examples and tokens, its evaluation examples, and what was left out."""
    table = Table(box=SIMPLE_HEAD, title="Token store", title_justify="left")
    table.add_column("task", overflow="fold", max_width=40)
    for heading in ("train", "records", "tokens", "validation", "cut"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("left out, shots, or why it was built again", overflow="fold", min_width=36)
    by_task: dict[str, dict[str, PreparedFolder]] = {}
    for folder in folders:
        by_task.setdefault(folder.task, {})[folder.split] = folder
    for task, splits in by_task.items():
        train, validation = splits.get(TRAIN), splits.get(VALIDATION)
        cut = sum(folder.manifest.num_cut for folder in splits.values())
        notes = [
            f"{split}: {note}"
            for split, folder in splits.items()
            for note in [*(f"{n:,} {why}" for why, n in folder.manifest.dropped.items()), *folder.differences]
        ]
        if train and train.manifest.shots:
            counted = sorted(train.manifest.shots.items(), key=lambda item: int(item[0]))
            notes.append("shots: " + ", ".join(f"{number} in {n:,}" for number, n in counted))
        table.add_row(
            escape(task),
            f"{train.manifest.num_examples:,}" if train else "",
            f"{train.manifest.num_records:,}" if train else "",
            f"{train.manifest.num_tokens:,}" if train else "",
            f"{validation.manifest.num_records:,}" if validation else "",
            f"{cut:,}" if cut else "",
            escape("; ".join(notes)),
        )
    return table


def verify(source: ConfigFile) -> None:
    """Read every byte of the config's store.

    Raises:
        InputError: something is missing or damaged; all of it is printed first.
    """
    console = make_console()
    parts = RunData(source.config, progress=None).damages()
    for sentence in (sentence for sentences in parts.values() for sentence in sentences):
        console.print(escape(sentence), style="red", soft_wrap=True)
    num_damaged = sum(map(bool, parts.values()))
    store = source.config.store_dir
    if num_damaged:
        raise InputError(
            f"store '{store}': {num_damaged} of {len(parts)} parts are missing or damaged; delete those folders and "
            "run 'flan-jax prepare CONFIG'"
        )
    console.print(f"store [bold]{escape(store)}[/]: all {len(parts)} parts are sound", highlight=False)
