"""`flan-jax tasks show`, and the tasks that other commands mean: without JAX or TensorFlow."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal, cast

from rich.markup import escape
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from flan_jax.config import TEMPLATE_MODES, DataConfig, TemplateMode
from flan_jax.data import registry
from flan_jax.data.registry.resolve import resolve_mixture
from flan_jax.data.render.example import Example
from flan_jax.data.render.examples import describe, renderer_for
from flan_jax.data.render.shots import any_shots
from flan_jax.data.spec.fields import record_fields
from flan_jax.data.spec.schema import Skip
from flan_jax.data.spec.task import TaskSpec
from flan_jax.errors import InputError
from flan_jax.report.console import make_console


def chosen_tasks(
    names: Sequence[str], modules: Sequence[str], *, cluster: str | None, sources: Mapping[str, str]
) -> list[TaskSpec]:
    """The tasks of these names or mixtures (none: all that are registered), by cluster and name.

    Raises:
        InputError: an unknown task, mixture or cluster, or a source for a task that is not among them.
    """
    registry.load_modules(modules)
    data = DataConfig(mixture=tuple(names or registry.task_names()), sources=dict(sources), modules=tuple(modules))
    specs = sorted(resolve_mixture(data).specs.values(), key=lambda spec: (spec.cluster, spec.name))
    chosen = [spec for spec in specs if cluster in (None, spec.cluster)]
    if not chosen:
        raise InputError(
            f"cluster '{cluster}': no task has it; clusters are {', '.join(sorted({spec.cluster for spec in specs}))}"
        )
    return chosen


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


def token_count(tokenizer: str) -> Callable[[Sequence[str]], list[int]]:
    """Counts the tokens of each text.

    Raises:
        InputError: there is no tokenizer at this path.
    """
    from flan_jax.text.tokenizer import load_tokenizer
    from flan_jax.weights.hub import local_tokenizer

    loaded = load_tokenizer(local_tokenizer(tokenizer))
    return lambda texts: [len(ids) for ids in loaded.encode_batch(texts)]


def show_task(
    name: str,
    modules: tuple[str, ...],
    *,
    count: int,
    mode: str,
    options: str,
    split: str,
    source: str | None,
    shots: int = 0,
    tokenizer: str | None = None,
) -> None:
    """Print where a task comes from and its templates, each filled in with examples of `split`.

    A task whose source is not on this machine is shown with its sample, and says so.
    """
    registry.load_modules(modules)
    for flag, value, allowed in (
        ("--mode", mode, TEMPLATE_MODES),
        ("--options", options, ("shown", "hidden")),
    ):
        if value not in allowed:
            raise InputError(f"{flag} {value}: must be one of {', '.join(allowed)}")
    data = DataConfig(
        mixture=name,
        template_mode=cast(TemplateMode, mode),
        options=cast(Literal["shown", "hidden"], options),
        sources={} if source is None else {name: source},
        shots=shots,
    )
    spec = resolve_mixture(data).specs.get(name)
    if spec is None:
        raise InputError(f"'{name}' is a mixture; name one of its tasks: {', '.join(registry.get_mixture(name).tasks)}")
    if split not in spec.splits:
        raise InputError(f"--split {split}: task '{name}' has no such split; it has {', '.join(spec.splits)}")
    has_source = spec.source.is_here() or spec.sample is None
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
    count_tokens = None if tokenizer is None else token_count(tokenizer)
    shown = describe(spec, count, data=data, split=split) if has_source else _with_sample(spec, data)
    for example in shown:
        console.print(_panel(example, count_tokens))


def _with_sample(spec: TaskSpec, data: DataConfig) -> list[Example]:
    """The task's sample in every template; before it, where shots are asked for, the same again."""
    fields = [one for one in record_fields(spec, spec.sample or {}) if not isinstance(one, Skip)]
    shots = any_shots(fields, data.shots) if isinstance(data.shots, int) and data.shots else None
    renderer = renderer_for(spec, data)
    return [example for one in fields for example in renderer.render_all(one, example_id=0, shots=shots)]


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
