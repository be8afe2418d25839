"""From a task to its examples: reads the source, maps, samples down to the caps, renders.

    source ──records──> map ──fields──> cap ──> Renderer ──Example──> tokenize (prepare, SeqIO)
                         └─ None: Dropped  └─ Dropped

Every example is rendered; what is left out comes out as `Dropped` with its reason, so that nothing is lost uncounted.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterable, Iterator

from flan_jax.config import DataConfig, OptionStyle, TemplateMode
from flan_jax.data.render.caps import OVER_CAP, capped
from flan_jax.data.render.example import NO_TEMPLATE, Example
from flan_jax.data.render.renderer import Renderer
from flan_jax.data.render.shots import Budget, Number, Pool, Shots, exemplar_pool
from flan_jax.data.spec.fields import SKIPPED, Dropped, fields_of, is_whole
from flan_jax.data.spec.source import TRAIN
from flan_jax.data.spec.task import MAX_EXAMPLES, Fields, TaskSpec
from flan_jax.errors import InputError

__all__ = [
    "NO_TEMPLATE",
    "OVER_CAP",
    "SKIPPED",
    "Dropped",
    "Example",
    "Renderer",
    "describe",
    "examples",
    "fields_of",
    "rendered",
    "selected",
]

EMPTY_TARGET = "empty target"
NO_UNICODE = "text that is no valid Unicode (a lone surrogate)"
UNANSWERED = "conversation that does not end with an answer"


@functools.lru_cache(maxsize=512)
def _renderer(
    spec: TaskSpec, mode: TemplateMode, options_shown: bool, option_style: OptionStyle, seed: int
) -> Renderer:
    return Renderer(spec, mode=mode, options_shown=options_shown, option_style=option_style, seed=seed)


def renderer_for(spec: TaskSpec, data: DataConfig) -> Renderer:
    """The renderer that the task and the config's `data` section ask for."""
    shown = data.options == "shown" if spec.options_shown is None else spec.options_shown
    return _renderer(spec, data.template_mode, shown, data.option_style, data.render_seed)


def shots_of(spec: TaskSpec, data: DataConfig) -> Number:
    """How many examples stand before a question: as the task says, else as the config does."""
    return data.shots if spec.shots is None else spec.shots


def training_cap(spec: TaskSpec, data: DataConfig) -> int:
    """Most training examples: as the config says, else the task or its mixture, else MAX_EXAMPLES."""
    return data.max_examples or spec.max_examples or MAX_EXAMPLES


def num_renderings(spec: TaskSpec, data: DataConfig) -> int:
    """How many renderings of a training example are stored."""
    return max(1, len(renderer_for(spec, data).phrasings)) if data.renderings == "all" else data.renderings


def pool_of(spec: TaskSpec, data: DataConfig) -> Pool:
    """The training examples that may stand before questions; reads the training split where they are wanted.

    Raises:
        InputError: they are wanted, and the task has no training split.
    """
    number = shots_of(spec, data)
    if not number:
        return ()
    if TRAIN not in spec.splits:
        raise InputError(
            f"task '{spec.name}': has no training split to draw examples from for data.shots {number}; use 0 shots for "
            f"it (NAME@zero)"
        )
    kept = (item for item in fields_of(spec, TRAIN) if not isinstance(item, Dropped) and not is_whole(item[1]))
    return exemplar_pool(kept, f"{data.render_seed}\x1f{spec.name}\x1fexemplars")


def shots_for(spec: TaskSpec, data: DataConfig, pool: Pool, budget: Budget | None) -> Shots | None:
    """What puts examples of the pool before questions; none where the task is asked without.

    Raises:
        InputError: as many examples are wanted as fit, and there is no budget for them to fit.
    """
    number = shots_of(spec, data)
    if not number or not pool:
        return None
    if number == "fit" and budget is None:
        raise InputError(f"task '{spec.name}': shots 'fit' needs a tokenizer to count with; name one, or a number")
    return Shots(pool, number, budget, renderer_for(spec, data).bare)


def examples(
    spec: TaskSpec, split: str, data: DataConfig, *, budget: Budget | None = None
) -> Iterator[Example | Dropped]:
    """Every example of a split, rendered: `selected`, then `rendered`; `budget` is of prompts with examples in them.

    Raises:
        InputError: the task has no such split, the split is empty, a template has an unknown field, or an example is
            malformed.
    """
    shots = shots_for(spec, data, pool_of(spec, data), budget)
    for item in selected(spec, split, data):
        if isinstance(item, Dropped):
            yield item
        else:
            yield from rendered(spec, split, data, [item], shots=shots)


def selected(spec: TaskSpec, split: str, data: DataConfig) -> Iterator[tuple[int, Fields] | Dropped]:
    """(example id, fields) of every example of a split that is to be rendered, and what is left out before.

    Training has up to `training_cap`, any other split up to `data.validation_examples`. Above the cap, the
    examples with the smallest keyed hash stay, so that a sorted source keeps all its classes.

    Raises:
        InputError: the task has no such split, the split is empty, or a template has an unknown field.
    """
    cap = training_cap(spec, data) if split == TRAIN else data.validation_examples
    key = f"{data.render_seed}\x1f{spec.name}\x1fcap"
    return capped(lambda: fields_of(spec, split), cap, key, by=spec.cap_by if split == TRAIN else "")


def rendered(
    spec: TaskSpec,
    split: str,
    data: DataConfig,
    items: Iterable[tuple[int, Fields]],
    *,
    shots: Shots | None = None,
) -> Iterator[Example | Dropped]:
    """The renderings of some examples of `selected`; each depends on its own example, the config and the pool alone.

    `train` gives `data.renderings` renderings of each example, one after the other, or a conversation once; any other
    split gives one rendering for evaluation.

    Raises:
        InputError: an example is malformed.
    """
    is_training = split == TRAIN
    renderer = renderer_for(spec, data)
    count = num_renderings(spec, data) if is_training else 1
    for example_id, fields in items:
        for rendering in range(1 if is_whole(fields) else count):
            example = renderer.render(
                fields,
                example_id=example_id,
                rendering=rendering,
                evaluation=not is_training,
                split=split,
                shots=shots,
            )
            yield _kept(example)


def _kept(example: Example) -> Example | Dropped:
    if example.token_ids is not None:
        return example
    last = example.messages[-1]
    if last.role != "assistant" or len(example.messages) == 1:
        return Dropped(UNANSWERED, example.example_id)
    if not last.content.strip():
        return Dropped(EMPTY_TARGET, example.example_id)
    is_sound = all(turn.content.isascii() or _is_unicode(turn.content) for turn in example.messages)
    return example if is_sound else Dropped(NO_UNICODE, example.example_id)


def _is_unicode(text: str) -> bool:
    """Whether no half of a pair of surrogates stands alone in it: no tokenizer takes one."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def describe(
    spec: TaskSpec, count: int, *, split: str = "train", data: DataConfig | None = None, budget: Budget | None = None
) -> list[Example]:
    """The first `count` examples of a split in every template, for `tasks show`."""
    data = data or DataConfig()
    renderer = renderer_for(spec, data)
    shots = shots_for(spec, data, pool_of(spec, data), budget)
    items = (item for item in fields_of(spec, split) if not isinstance(item, Dropped))
    return [
        shown
        for example_id, fields in itertools.islice(items, count)
        for shown in renderer.render_all(fields, example_id=example_id, split=split, shots=shots)
    ]
