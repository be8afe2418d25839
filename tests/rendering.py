"""One rendering of one example, with every choice stated."""

from typing import Any

from flan_jax.data.render.example import Example
from flan_jax.data.render.renderer import Renderer
from flan_jax.data.spec.task import Fields, TaskSpec


def render(
    spec: TaskSpec,
    fields: Fields,
    *,
    example_id: int,
    rendering: int,
    mode: Any,
    options_shown: bool,
    option_style: Any,
    seed: int,
    evaluation: bool = False,
    split: str = "train",
) -> Example:
    renderer = Renderer(spec, mode=mode, options_shown=options_shown, option_style=option_style, seed=seed)
    return renderer.render(fields, example_id=example_id, rendering=rendering, evaluation=evaluation, split=split)
