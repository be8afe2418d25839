"""Tasks by their names: rendered examples, checks, one page of all. Without JAX or TensorFlow."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

from flan_jax.config import TEMPLATE_MODES, DataConfig, TemplateMode
from flan_jax.data import registry
from flan_jax.data.check.task import TaskCheck, check_task
from flan_jax.data.registry.resolve import kin_of, resolve_mixture
from flan_jax.data.render.example import Example
from flan_jax.data.render.examples import describe, renderer_for
from flan_jax.data.render.shots import any_shots
from flan_jax.data.spec.fields import record_fields
from flan_jax.data.spec.schema import Skip
from flan_jax.data.spec.task import TaskSpec
from flan_jax.errors import InputError
from flan_jax.files.whole import write_text
from flan_jax.report.progress import Display, hidden
from flan_jax.report.task_page import task_page
from flan_jax.report.task_view import task_view


@dataclass(frozen=True)
class ShownTask:
    """A task with some of its examples, rendered.

    Attributes:
        spec: the task.
        has_source: whether the examples are of its source; else of its sample, a made-up record of the same form.
        examples: in every template.
    """

    spec: TaskSpec
    has_source: bool
    examples: tuple[Example, ...]


def chosen_tasks(
    names: Sequence[str] = (),
    *,
    modules: Sequence[str] = (),
    cluster: str | None = None,
    sources: Mapping[str, str] | None = None,
) -> list[TaskSpec]:
    """Tasks, by cluster and name.

    Args:
        names: tasks or mixtures; none: all that are registered.
        modules: Python files or packages with more tasks.
        cluster: only the tasks of this one.
        sources: task → local file or folder that it reads instead of its source.

    Raises:
        InputError: an unknown task, mixture or cluster, or a source for a task that is not among them.
    """
    registry.load_modules(modules)
    data = DataConfig(
        mixture=tuple(names or registry.task_names()), sources=dict(sources or {}), modules=tuple(modules)
    )
    specs = sorted(resolve_mixture(data).specs.values(), key=lambda spec: (spec.cluster, spec.name))
    chosen = [spec for spec in specs if cluster in (None, spec.cluster)]
    if not chosen:
        raise InputError(
            f"cluster '{cluster}': no task has it; clusters are {', '.join(sorted({spec.cluster for spec in specs}))}"
        )
    return chosen


def shown_task(
    name: str,
    *,
    modules: Sequence[str] = (),
    count: int = 1,
    mode: str = "instruction",
    options: str = "shown",
    split: str = "train",
    source: str | None = None,
    shots: int = 0,
) -> ShownTask:
    """A task, its templates filled in with examples of a split; with its sample where its source is not here.

    Args:
        name: of the task.
        modules: Python files or packages with more tasks.
        count: examples of each template.
        mode: instruction, name or none, as `data.template_mode`.
        options: shown or hidden, as `data.options`.
        split: of the task.
        source: local file or folder that is read instead of its source.
        shots: training examples before each question.

    Raises:
        InputError: an unknown task, split or choice, or a source that cannot be read.
    """
    registry.load_modules(modules)
    for flag, value, allowed in (("--mode", mode, TEMPLATE_MODES), ("--options", options, ("shown", "hidden"))):
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
    examples = describe(spec, count, data=data, split=split) if has_source else _with_sample(spec, data)
    return ShownTask(spec, has_source, tuple(examples))


def _with_sample(spec: TaskSpec, data: DataConfig) -> list[Example]:
    """The task's sample in every template; before it, where shots are asked for, the same again."""
    fields = [one for one in record_fields(spec, spec.sample or {}) if not isinstance(one, Skip)]
    shots = any_shots(fields, data.shots) if isinstance(data.shots, int) and data.shots else None
    renderer = renderer_for(spec, data)
    return [example for one in fields for example in renderer.render_all(one, example_id=0, shots=shots)]


def check_tasks(specs: Sequence[TaskSpec], *, num_records: int = 20, display: Display = hidden) -> list[TaskCheck]:
    """Holds tasks against the published form of their data sets, and renders them in every way; needs no network.

    Args:
        specs: the tasks.
        num_records: records tried of each.
        display: shows how far it is.
    """
    return [check_task(spec, num_records=num_records) for spec in _shown("check", specs, display)]


def _shown(what: str, specs: Sequence[TaskSpec], display: Display) -> Iterator[TaskSpec]:
    """The tasks, each named while it is at work."""
    with display(what, len(specs), passing=True) as advance:
        for spec in specs:
            advance(0, spec.name)
            yield spec
            advance()


def write_task_page(
    out: Path, specs: Sequence[TaskSpec], *, tokenizer: str | None = None, display: Display = hidden
) -> None:
    """Writes tasks with their templates filled in as one HTML file.

    Args:
        out: the file; it appears whole or not at all.
        specs: the tasks.
        tokenizer: counts the tokens that are shown; none: none are.
        display: shows how far it is.

    Raises:
        InputError: records of another form, no tokenizer there, or a file that cannot be written.
    """
    count = None if tokenizer is None else token_count(tokenizer)
    views = [task_view(spec, count=count) for spec in _shown("page", specs, display)]
    names = {spec.cluster for spec in specs}
    clusters = {name: dataclasses.replace(registry.get_cluster(name), kin=kin_of(name)) for name in names}
    write_text(out, task_page(views, clusters, tokenizer=tokenizer and Path(tokenizer).name))


def token_count(tokenizer: str) -> Callable[[Sequence[str]], list[int]]:
    """Counts the tokens of each text.

    Raises:
        InputError: there is no tokenizer at this path.
    """
    from flan_jax.text.tokenizer import load_tokenizer
    from flan_jax.weights.hub import local_tokenizer

    loaded = load_tokenizer(local_tokenizer(tokenizer))
    return lambda texts: [len(ids) for ids in loaded.encode_batch(texts)]
