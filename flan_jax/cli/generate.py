"""`flan-jax generate`: answers to prompts, or a conversation on the terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.markup import escape

from flan_jax.cli.model import OpenModel, open_model
from flan_jax.cli.session import ConfigFile, Text, make_console, open_text, start_jax
from flan_jax.config import Config, GenerationConfig
from flan_jax.errors import InputError
from flan_jax.generate.decoder import Decoder
from flan_jax.generate.sampling import Sampling
from flan_jax.text.conversation import Message


def run(source: ConfigFile, *, prompts: Sequence[str], checkpoint: str) -> None:
    """Answer `prompts`; without any, read turns from standard input until it ends."""
    config = source.config
    start_jax(config)
    console = make_console()
    text = open_text(config)
    model = open_model(config, text, checkpoint=checkpoint, console=console)
    if prompts:
        for prompt, answer in zip(prompts, answer_all(config, text, model, prompts), strict=True):
            show(console, prompt, answer)
        return
    converse(config, text, model, console)


def show(console: Console, prompt: str, answer: str) -> None:
    """Print a prompt and its answer."""
    console.print(f"\n[bold]{escape(prompt)}[/]\n{escape(answer)}", highlight=False, soft_wrap=True)


def answer_all(config: Config, text: Text, model: OpenModel, prompts: Sequence[str]) -> list[str]:
    """The answer to each prompt, all in one batch."""
    settings = config.generation
    data_shards = model.mesh.shape["data"] * model.mesh.shape["fsdp"]
    rows = -(-len(prompts) // data_shards) * data_shards
    ids = text.encoder.prompt([[Message("user", prompt)] for prompt in prompts])
    answers = make_decoder(text, model, rows)(
        model.parts.tuned,
        model.parts.frozen,
        [prompt_ids.tolist() for prompt_ids in ids],
        max_new_tokens=settings.max_tokens,
        sampling=sampling_of(settings),
    )
    return [text.tokenizer.decode(answer).strip() for answer in answers]


def make_decoder(text: Text, model: OpenModel, rows: int) -> Decoder:
    """A decoder of `rows` rows for a model."""
    return Decoder(
        model.parts.graphdef,
        model.mesh,
        kind=model.parts.architecture.kind,
        rows=rows,
        stop_ids=text.encoder.stop_ids,
        longest=model.parts.architecture.max_length,
    )


def sampling_of(settings: GenerationConfig) -> Sampling:
    """How tokens are chosen, from the config."""
    return Sampling(temperature=settings.temperature, top_k=settings.top_k, top_p=settings.top_p, seed=settings.seed)


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
