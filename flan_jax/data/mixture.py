"""How many examples of each task a window holds: rates, and the integer cursors that follow from them.

Task i advances by R_i = round(r_i · M · 2³²) a window of M examples; window w is its examples
(u_i + w · R_i) >> 32 up to (u_i + (w + 1) · R_i) >> 32, with u_i in [0, 2³²) keyed by seed and task. So the shares are
exact to one example a task at any time, a rate too small for one example a window is met over several, and any window
is found without the ones before it. When the rates change at a stage, each task goes on from where it stood.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from flan_jax.config import MixingConfig, Stage
from flan_jax.data.order import key64
from flan_jax.errors import InputError

_FRACTION_BITS = 32
# Powers differ in the last bits between C libraries; twelve decimals are equal everywhere and finer than any share.
_RATE_DECIMALS = 12


def mixture_rates(
    mixing: MixingConfig, num_examples: Mapping[str, int], own_rates: Mapping[str, float | None]
) -> dict[str, float]:
    """The rate of each task, summing to 1.

    Args:
        mixing: rule, maximum and temperature.
        num_examples: training examples of each task.
        own_rates: the mixture's own number for each task, or None.

    Raises:
        InputError: the rule is 'rates' and a task has none, or rates are negative or all 0.

    Source: examples-proportional mixing with a maximum, and temperature scaling: Raffel et al.: T5 (2020), section
    3.5.2.
    """
    rule = mixing.rule
    if rule == "auto":
        rule = "rates" if any(rate is not None for rate in own_rates.values()) else "proportional"
    if rule == "rates":
        missing = [task for task, rate in own_rates.items() if rate is None]
        if missing:
            raise InputError(
                f"data.mixing.rule 'rates': task '{missing[0]}' has no rate; give data.mixture as task: rate for every "
                "task, or set the rule to proportional or equal"
            )
        weights = {task: float(rate) for task, rate in own_rates.items() if rate is not None}
    elif rule == "equal":
        weights = dict.fromkeys(own_rates, 1.0)
    else:
        weights = {task: float(min(num_examples[task], mixing.maximum)) for task in own_rates}
    shares = _normalised(weights, "data.mixture")
    return _normalised({task: share ** (1 / mixing.temperature) for task, share in shares.items()}, "data.mixture")


def stage_rates(stages: Sequence[Stage], tasks: Sequence[str]) -> list[tuple[int, dict[str, float]]]:
    """(first step, rate of every task) of each stage, in the order of their steps.

    Raises:
        InputError: a stage names a task outside the mixture, has a negative rate or none above 0, or two begin at one
            step.
    """
    result = []
    for stage in sorted(stages, key=lambda stage: stage.from_step):
        where = f"data.stages from step {stage.from_step}"
        for task in stage.rates:
            if task not in tasks:
                raise InputError(f"{where}: task '{task}' is not in the mixture; it holds {', '.join(sorted(tasks))}")
        if result and result[-1][0] == stage.from_step:
            raise InputError(f"{where}: two stages begin at this step; keep one of them")
        result.append((stage.from_step, _normalised({t: stage.rates.get(t, 0.0) for t in tasks}, where)))
    return result


def _normalised(weights: Mapping[str, float], where: str) -> dict[str, float]:
    for task, weight in weights.items():
        if not 0 <= weight < float("inf"):
            raise InputError(f"{where}: the rate of '{task}' is {weight}; rates are numbers of 0 or more")
    total = sum(weights.values())
    if not total > 0:
        raise InputError(f"{where}: no task has a rate above 0; give at least one")
    return {task: round(weight / total, _RATE_DECIMALS) for task, weight in weights.items()}


@dataclass(frozen=True)
class Cursors:
    """Where each task stands at each window.

    Attributes:
        offsets: u_i, one a task.
        increments: R_i of the mixture's own rates, then of each stage.
    """

    offsets: tuple[int, ...]
    increments: tuple[tuple[int, ...], ...]

    def at(self, window: int, stage_starts: Sequence[int]) -> list[int]:
        """Number of examples of each task that stand before `window`.

        Args:
            window: 0 or more.
            stage_starts: first window of each stage that has begun by then, ascending.
        """
        phases = list(self.offsets)
        bounds = [0, *(min(start, window) for start in stage_starts), window]
        for increments, first, last in zip(self.increments, bounds, bounds[1:], strict=False):
            if last > first:
                phases = [
                    phase + (last - first) * increment for phase, increment in zip(phases, increments, strict=True)
                ]
        return [phase >> _FRACTION_BITS for phase in phases]


def make_cursors(
    tasks: Sequence[str], rates: Sequence[Mapping[str, float]], *, window_examples: int, seed: int
) -> Cursors:
    """The cursors of windows of `window_examples` examples; `rates` are the mixture's own, then each stage's."""
    return Cursors(
        offsets=tuple(key64("cursor", seed, task) >> (64 - _FRACTION_BITS) for task in tasks),
        increments=tuple(
            tuple(round(stage[task] * window_examples * 2**_FRACTION_BITS) for task in tasks) for stage in rates
        ),
    )
