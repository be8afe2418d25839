"""`flan-jax generate`: answers to prompts, or a conversation on the terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.markup import escape

from flan_jax.cli.train import said_on
from flan_jax.report.console import make_console
from flan_jax.runs.answer import Chat
from flan_jax.runs.configs import ConfigFile
from flan_jax.runs.run import Run


def run(source: ConfigFile, *, prompts: Sequence[str], checkpoint: str) -> None:
    """Answer `prompts`; without any, read turns from standard input until it ends."""
    console = make_console()
    run = Run(source.config, say=said_on(console), progress=None)
    if prompts:
        for prompt, answer in zip(prompts, run.generate(prompts, checkpoint), strict=True):
            show(console, prompt, answer)
        return
    model = run.open(checkpoint)
    converse(run.chat(model), model.label, console)


def show(console: Console, prompt: str, answer: str) -> None:
    """Print a prompt and its answer."""
    console.print(f"\n[bold]{escape(prompt)}[/]\n{escape(answer)}", highlight=False, soft_wrap=True)


def converse(chat: Chat, label: str, console: Console) -> None:
    """A conversation: each line of standard input is a turn; the answer appears as it is made."""
    if sys.stdin.isatty():
        console.print(f"{label}; an empty line starts anew, Ctrl-D ends", highlight=False)
    for line in _lines():
        if not line:
            chat.forget()
            continue
        for piece in chat.say(line):
            console.file.write(piece)
            console.file.flush()
        console.print()


def _lines() -> Iterator[str]:
    while True:
        try:
            yield input("> " if sys.stdin.isatty() else "").strip()
        except EOFError:
            return
