"""`flan-jax tasks show`, and words that the commands about tasks share."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rich.markup import escape
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from flan_jax.data.render.example import Example
from flan_jax.errors import InputError
from flan_jax.report.console import make_console
from flan_jax.runs.tasks import ShownTask, token_count


def named_paths(words: Sequence[str]) -> dict[str, str]:
    """Task → path, of words TASK=PATH.

    Raises:
        InputError: a word is of another form.
    """
    paths = {}
    for word in words:
        task, equals, path = word.partition("=")
        if not (task and equals and path):
            raise InputError(f"--source '{word}': must be TASK=PATH, a task's name and its local file or folder")
        paths[task] = path
    return paths


def counted(number: int, what: str) -> str:
    """A number with its noun."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def show_task(shown: ShownTask, *, tokenizer: str | None = None) -> None:
    """Print where a task comes from and its templates, filled in.

    A task whose source is not on this machine is shown with its sample, and says so.
    """
    count_tokens = None if tokenizer is None else token_count(tokenizer)
    spec, has_source = shown.spec, shown.has_source
    console = make_console()
    about = Table(box=None, show_header=False)
    for label, value in (
        ("cluster", spec.cluster),
        ("what it asks", spec.description),
        ("source", spec.source.name + (f" (version {spec.source.version})" if has_source else "")),
        ("metrics", ", ".join(spec.metrics)),
        ("licence", spec.license),
        ("citation", spec.citation),
        ("shown with", "" if has_source else "a made-up record in the data set's form; for a real one give --source"),
    ):
        if value:
            about.add_row(f"[bold]{label}[/]", escape(value))
    console.print(f"\n[bold]{escape(spec.name)}[/]")
    console.print(about)
    for example in shown.examples:
        console.print(_panel(example, count_tokens))


def _panel(example: Example, count_tokens: Callable[[Sequence[str]], list[int]] | None) -> Panel:
    """One example: each turn under its role, the target marked, then the options; its tokens in the title."""
    text = Text()
    for number, message in enumerate(example.messages):
        style = "green" if message.role == "assistant" else ""
        text.append("\n" * bool(number) + f"{message.role}: ", style="bold")
        text.append(message.content, style=style)
    if example.options:
        listed = " | ".join(
            f"[{option}]" if index == example.answer_index else option for index, option in enumerate(example.options)
        )
        text.append("\noptions: ", style="bold")
        text.append(listed)
    title = f"example {example.example_id}"
    if example.template_id >= 0:
        title += f", template {example.template_id}"
    if count_tokens is not None:
        *read, target = count_tokens([message.content for message in example.messages])
        title += f", {sum(read):,} + {target:,} tokens"
    return Panel(text, title=title, title_align="left")
