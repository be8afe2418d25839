"""`flan-jax generate`: answers to prompts, or a conversation on the terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.markup import escape

from flan_jax.cli.train import said_on
from flan_jax.config import Config
from flan_jax.errors import InputError
from flan_jax.report.console import make_console
from flan_jax.runs.answer import answer_all, make_decoder, sampling_of
from flan_jax.runs.configs import ConfigFile
from flan_jax.runs.model import OpenModel, open_model
from flan_jax.runs.open import Text, open_text, start_jax
from flan_jax.text.conversation import Message


def run(source: ConfigFile, *, prompts: Sequence[str], checkpoint: str) -> None:
    """Answer `prompts`; without any, read turns from standard input until it ends."""
    config = source.config
    start_jax(config)
    console = make_console()
    text = open_text(config)
    model = open_model(config, text, checkpoint=checkpoint, say=said_on(console))
    if prompts:
        for prompt, answer in zip(prompts, answer_all(config, text, model, prompts), strict=True):
            show(console, prompt, answer)
        return
    converse(config, text, model, console)


def show(console: Console, prompt: str, answer: str) -> None:
    """Print a prompt and its answer."""
    console.print(f"\n[bold]{escape(prompt)}[/]\n{escape(answer)}", highlight=False, soft_wrap=True)


def converse(config: Config, text: Text, model: OpenModel, console: Console) -> None:
    """A conversation: each line of standard input is a turn; the answer appears as it is made."""
    if model.parts.architecture.kind == "encoder_decoder":
        raise InputError("generate: a conversation needs a decoder; give this encoder-decoder model its --prompt")
    decoder = make_decoder(text, model, model.mesh.shape["data"] * model.mesh.shape["fsdp"])
    if sys.stdin.isatty():
        console.print(f"{model.label}; an empty line starts anew, Ctrl-D ends", highlight=False)
    turns: list[Message] = []
    for line in _lines():
        if not line:
            turns = []
            continue
        turns.append(Message("user", line))
        [ids] = text.encoder.prompt([turns])
        answer: list[int] = []
        shown = ""
        settings = config.generation
        tokens = decoder.stream(
            model.parts.tuned,
            model.parts.frozen,
            ids.tolist(),
            max_new_tokens=settings.max_tokens,
            sampling=sampling_of(settings),
        )
        for token in tokens:
            answer.append(token)
            whole = text.tokenizer.decode(answer)
            # a character of several tokens decodes to U+FFFD until its last byte is there
            if not whole.endswith("�"):
                console.file.write(whole[len(shown) :])
                console.file.flush()
                shown = whole
        console.print()
        turns.append(Message("assistant", text.tokenizer.decode(answer)))


def _lines() -> Iterator[str]:
    while True:
        try:
            yield input("> " if sys.stdin.isatty() else "").strip()
        except EOFError:
            return
