"""`flan-jax prepare` and `store verify`; and how other commands get a prepared store."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable, Sequence
from typing import cast

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from flan_jax.config import Config
from flan_jax.data.prepare import prepare as preparing
from flan_jax.data.prepare.handed import Handed, unpack
from flan_jax.data.prepare.needed import needed_folders
from flan_jax.data.registry.resolve import resolve_run
from flan_jax.data.spec.source import TRAIN, VALIDATION
from flan_jax.data.store.manifest import damage
from flan_jax.data.store.root import open_root
from flan_jax.errors import InputError
from flan_jax.report.console import make_console
from flan_jax.report.progress import LINE_INTERVAL_S, duration
from flan_jax.runs.configs import ConfigFile
from flan_jax.runs.open import open_text

MOST_PROCESSES = 8  # one process reads and maps for all: more of them would wait for it


def run(source: ConfigFile, *, runner: str | None = None, flags: Sequence[str] = ()) -> None:
    """Build what is missing and say what became of every task.

    Args:
        source: the config.
        runner: runner of Apache Beam; none: processes of this machine.
        flags: options of Beam's pipeline.

    Raises:
        InputError: an unknown runner, options without one, or the config's data cannot be prepared.
    """
    if runner is None and flags:
        raise InputError(f"option '{flags[0]}': is for Apache Beam's pipeline; name its runner with --runner")
    config = source.config
    handed = Handed(config, open_text(config).encoder, resolve_run(config))
    console = make_console()
    _say(build(handed, console) if runner is None else _build_on_beam(handed, runner, flags), config, console)


def run_handed() -> None:
    """Build what the process that started this one hands on, on standard input.

    Raises:
        InputError: the data cannot be prepared.
    """
    handed = unpack(sys.stdin.buffer.read())
    console = make_console()
    _say(build(handed, console), handed.config, console)


def _say(report: preparing.PrepareReport, config: Config, console: Console) -> None:
    where = f"store [bold]{escape(config.store_dir)}[/]"
    if not report.num_built:
        console.print(f"{where}: all {len(report.folders)} parts are there already")
        return
    console.print(report_table(report.folders))
    console.print(
        f"{where}: {report.num_built} parts built, {escape(summary(report))}", highlight=False, soft_wrap=True
    )


def _build_on_beam(handed: Handed, runner: str, flags: Sequence[str]) -> preparing.PrepareReport:
    from flan_jax.data.prepare import beam as beam_prepare  # late: few want it

    if runner not in beam_prepare.RUNNERS:
        raise InputError(f"--runner '{runner}': unknown; allowed: {', '.join(beam_prepare.RUNNERS)}")
    return beam_prepare.prepare_on_beam(
        handed.config, handed.encoder, handed.resolved, runner=cast(beam_prepare.Runner, runner), flags=flags
    )


def build(handed: Handed, console: Console) -> preparing.PrepareReport:
    """Build what is missing, and show the task at work, how far it is and how fast."""
    with _Shown(console) as shown:
        spare_processes = min(MOST_PROCESSES, num_cores())
        return preparing.prepare(
            handed.config, handed.encoder, handed.resolved, spare_processes=spare_processes, progress=shown.show
        )


class _Shown:
    """How far a preparation is: a bar on a terminal, a line now and then elsewhere."""

    def __init__(self, console: Console):
        columns = (TextColumn("prepare"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"))
        self._console = console
        self._bar = Progress(*columns, TimeElapsedColumn(), console=console, transient=True)
        self._task = self._bar.add_task("", total=None)
        self._began = self._last_line = time.monotonic()

    def __enter__(self) -> _Shown:
        if self._console.is_terminal:
            self._bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.stop()

    def show(self, status: preparing.Status) -> None:
        """Takes in how far it is."""
        facts = [f"{status.task} {status.split}", f"{status.num_examples:,} examples"]
        if status.is_waiting:
            facts[1] = "is being built by another process; waiting for it"
        if status.num_tokens:
            facts.append(f"{status.num_tokens / (time.monotonic() - self._began):,.0f} tokens/s")
        if status.num_reused:
            facts.append(f"{status.num_reused:,} shards used again")
        shown = "  ".join(facts)
        self._bar.update(self._task, total=status.num_folders, completed=status.num_finished, description=escape(shown))
        is_due = time.monotonic() - self._last_line >= LINE_INTERVAL_S or status.is_waiting
        if is_due and not self._console.is_terminal:
            self._last_line = time.monotonic()
            line = f"prepare {status.num_finished:,}/{status.num_folders:,}  {shown}"
            self._console.print(line, markup=False, highlight=False, soft_wrap=True)


def summary(report: preparing.PrepareReport) -> str:
    """Tokens, time and speed, and what an interrupted run had left."""
    speed = report.num_tokens / max(report.seconds, 1e-9)
    took = duration(report.seconds) if report.seconds >= 10 else f"{report.seconds:.1f} s"
    text = f"{report.num_tokens:,} tokens in {took} ({speed:,.0f} tokens/s, {report.made_by})"
    return text + (f"; used again from an ended run: {report.num_reused:,} shards" if report.num_reused else "")


def num_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def report_table(folders: Iterable[preparing.PreparedFolder]) -> Table:
    """Every task of the store: its training examples and tokens, its evaluation examples, and what was left out."""
    table = Table(box=SIMPLE_HEAD, title="Token store", title_justify="left")
    table.add_column("task", overflow="fold", max_width=40)
    for heading in ("train", "records", "tokens", "validation", "cut"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("left out, shots, or why it was built again", overflow="fold", min_width=36)
    by_task: dict[str, dict[str, preparing.PreparedFolder]] = {}
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
    config = source.config
    console = make_console()
    root = open_root(config)
    wanted = needed_folders(resolve_run(config))
    problems = 0
    for one in wanted:
        found = damage(root.folder(one.path))
        problems += bool(found)
        for sentence in found:
            console.print(escape(sentence), style="red", soft_wrap=True)
    if problems:
        raise InputError(
            f"store '{config.store_dir}': {problems} of {len(wanted)} parts are missing or damaged; delete those "
            "folders and run 'flan-jax prepare CONFIG'"
        )
    console.print(f"store [bold]{escape(config.store_dir)}[/]: all {len(wanted)} parts are sound")
