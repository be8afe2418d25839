"""Tables and panels on the console, built from plain values; every one reads the same without colour.

Numbers are right-aligned, nothing is said by colour alone, and texts that come from data are never taken as markup.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from flan_jax.data.plan.shares import MixtureReport

GAIN, LOSS = "green", "red"
OWN_METRICS = (
    "own: by the task's own metric functions, on their own scale; one number over all examples, so no interval, "
    "and in no mean"
)


@dataclass(frozen=True)
class ScoreLine:
    """One line of a table of scores, 0–100.

    Attributes:
        name: the task, or what was averaged.
        depth: 0 for the mean of a side (seen, held out), 1 for the mean of a cluster, 2 for a task.
        metric: the task's primary metric, or one of its own; empty for means.
        count: questions.
        score: the score; with `before`, the later one.
        before: an earlier score of the same questions; none: nothing is compared.
        interval: 95% interval of the difference; none: not known.
        is_own: whether the metric came with the task, on a scale of its own.
    """

    name: str
    depth: int
    metric: str
    count: int
    score: float
    before: float | None
    interval: tuple[float, float] | None
    is_own: bool = False


def score_table(lines: Sequence[ScoreLine], *, title: str, notes: Sequence[str] = ()) -> Table:
    """A table of scores, with before, after and change where lines have a score to compare with.

    Args:
        lines: each side's mean, below it each cluster's, below that the tasks.
        title: heading of the table.
        notes: sentences below the table.
    """
    compares = any(line.before is not None for line in lines)
    # narrow enough for 80 columns, which is what a log file gets
    table = Table(box=SIMPLE_HEAD, title=title, title_justify="left", pad_edge=False, padding=(0, 1, 0, 0))
    notes = [OWN_METRICS] * any(line.is_own for line in lines) + list(notes)
    if notes:
        table.caption, table.caption_justify = Text("\n".join(notes)), "left"
    table.add_column("task", overflow="fold")
    table.add_column("metric", no_wrap=True)
    headings = ("examples", "before", "after", "change", "95% interval") if compares else ("examples", "score")
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=True)
    for place, line in enumerate(lines):
        if place and line.depth == 0:
            table.add_section()
        table.add_row(*_score_cells(line, compares), style=("bold", "italic", None)[line.depth])
    return table


def _score_cells(line: ScoreLine, compares: bool) -> list[Text]:
    cells = [Text("  " * line.depth + line.name), Text(line.metric), Text(str(line.count))]
    digits = ".4g" if line.is_own else ".1f"
    if not compares:
        return [*cells, Text(f"{line.score:{digits}}")]
    if line.before is None:
        return [*cells, Text(""), Text(f"{line.score:{digits}}"), Text(""), Text("")]
    change = line.score - line.before
    interval = "" if line.interval is None else f"{line.interval[0]:+.1f}…{line.interval[1]:+.1f}"
    # of a metric of the task's own nobody here knows whether more is better
    style = "" if line.is_own or abs(change) < 0.05 else GAIN if change > 0 else LOSS
    return [
        *cells,
        Text(f"{line.before:{digits}}"),
        Text(f"{line.score:{digits}}"),
        Text(f"{change:+{digits}}", style),
        Text("none" if line.is_own else interval),
    ]


def share_table(report: MixtureReport, *, title: str) -> Table:
    """Requested and realised shares of every task, and the totals."""
    table = Table(box=SIMPLE_HEAD, title=title, title_justify="left", show_footer=True)
    shares = list(report.tasks)
    table.add_column("task", "all tasks", overflow="fold")
    columns = (
        ("examples", f"{sum(share.num_examples for share in shares):,}"),
        ("requested", _percent(sum(share.requested_share for share in shares))),
        ("drawn", _percent(sum(share.example_share for share in shares))),
        ("of tokens", _percent(sum(share.token_share for share in shares))),
        ("of loss tokens", _percent(sum(share.loss_token_share for share in shares))),
        ("epochs", ""),
    )
    for heading, footer in columns:
        table.add_column(heading, footer, justify="right", no_wrap=True)
    for share in shares:
        table.add_row(
            Text(share.name),
            f"{share.num_examples:,}",
            _percent(share.requested_share),
            _percent(share.example_share),
            _percent(share.token_share),
            _percent(share.loss_token_share),
            f"{share.epochs:.2f}",
        )
    return table


def fill_lines(report: MixtureReport) -> Text:
    """How full the rows are, a line for each side, with the length that would fit better."""
    lines = [
        f"{report.num_examples:,} examples in {report.num_rows:,} rows ({report.num_batches:,} batches); "
        f"fewest rows possible {report.lower_bound_rows:,}"
    ]
    for side in report.sides:
        hint = (
            "" if side.suggested_length == side.length else f"; a length of {side.suggested_length} would fit as well"
        )
        lines.append(f"{side.name}: {_percent(side.fill)} of {side.length} positions a row filled{hint}")
    return Text("\n".join(lines))


def _percent(share: float) -> str:
    return f"{100 * share:.2f}%"


@dataclass(frozen=True)
class ParameterLine:
    """One parameter of a model.

    Attributes:
        path: dotted path.
        shape: sizes of its dimensions.
        dtype: its storage type.
        sharding: mesh axes of its dimensions, as text.
        is_tuned: whether it is trained.
    """

    path: str
    shape: tuple[int, ...]
    dtype: str
    sharding: str
    is_tuned: bool

    @property
    def count(self) -> int:
        """Numbers in the parameter."""
        total = 1
        for size in self.shape:
            total *= size
        return total


def parameter_table(lines: Sequence[ParameterLine], *, title: str) -> Table:
    """Every parameter with shape, type and sharding, trained ones marked, and how many are trained."""
    total = sum(line.count for line in lines)
    tuned = sum(line.count for line in lines if line.is_tuned)
    table = Table(box=SIMPLE_HEAD, title=title, title_justify="left", show_footer=True)
    table.add_column("parameter", f"{len(lines)} parameters", overflow="fold")
    table.add_column("shape", f"{total:,} numbers", no_wrap=True)
    table.add_column("type", no_wrap=True)
    table.add_column("sharding", overflow="fold")
    table.add_column("trained", f"{tuned:,} ({100 * tuned / max(total, 1):.2f}%)", no_wrap=True)
    for line in lines:
        shape = " × ".join(map(str, line.shape)) or "scalar"
        mark = Text("trained", GAIN) if line.is_tuned else Text("")
        table.add_row(Text(line.path), shape, line.dtype, Text(line.sharding), mark)
    return table


def make_console(*, quiet: bool = False) -> Console:
    """A console for results: the terminal's width, and room for whole tables where the output is a file or a pipe.

    Args:
        quiet: prints nothing: what all processes of a run say, the main one says for them.
    """
    console = Console(quiet=quiet)
    return console if console.is_terminal else Console(width=120, quiet=quiet)
