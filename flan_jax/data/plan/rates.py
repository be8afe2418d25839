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
from flan_jax.data.spec.mixture import MIXING_MAXIMUM, Part
from flan_jax.errors import InputError
from flan_jax.keyed import key64

_FRACTION_BITS = 32
# Powers differ in the last bits between C libraries; twelve decimals are equal everywhere and finer than any share.
_RATE_DECIMALS = 12


def mixture_rates(mixing: MixingConfig, num_examples: Mapping[str, int], mixture: Part) -> dict[str, float]:
    """The rate of each task, summing to 1.

    Args:
        mixing: rule, maximum and temperature. With `auto` and `rates`, a mixture whose parts have rates is shared out
            by them, one whose parts have none by example counts; with `proportional` and `equal`, rates count nowhere.
        num_examples: training examples of each task.
        mixture: the tasks, in nested mixtures or not; a task that stands in several gets the sum.

    Raises:
        InputError: some parts of a mixture have rates and others none, the rule is 'rates' and there are none, or rates
            are negative or all 0.

    Source: examples-proportional mixing with a maximum, and temperature scaling: Raffel et al.: T5 (2020), section
    3.5.2.
    """
    weights: dict[str, float] = {}
    if mixing.rule in ("auto", "rates"):
        if mixing.rule == "rates":
            _refuse_unrated(mixture)
        for task, weight in _shared(mixture, mixing, num_examples):
            weights[task] = weights.get(task, 0.0) + weight
    else:
        for part in mixture.leaves():
            weight = 1.0 if mixing.rule == "equal" else _counted(part, mixing, num_examples)
            weights[part.name] = weights.get(part.name, 0.0) + weight
    shares = _normalised(weights, mixture.name)
    return _normalised({task: share ** (1 / mixing.temperature) for task, share in shares.items()}, mixture.name)


def _counted(part: Part, mixing: MixingConfig, num_examples: Mapping[str, int]) -> float:
    """Examples that count for proportional mixing, of all tasks in it together."""
    return float(
        sum(
            min(
                num_examples[leaf.name],
                num_examples[leaf.name] if leaf.max_examples is None else leaf.max_examples,
                mixing.maximum or leaf.maximum or MIXING_MAXIMUM,
            )
            for leaf in part.leaves()
        )
    )


def _shared(part: Part, mixing: MixingConfig, num_examples: Mapping[str, int]) -> list[tuple[str, float]]:
    """(task, weight) of every leaf, where the weights of a mixture's tasks sum to its own weight, or to 1."""
    if part.parts is None:
        return [(part.name, 1.0)]
    if any(inner.rate is not None for inner in part.parts):
        _refuse_unrated(part)
        weights = _normalised({inner.name: float(inner.rate or 0.0) for inner in part.parts}, part.name)
    else:
        weights = _normalised({inner.name: _counted(inner, mixing, num_examples) for inner in part.parts}, part.name)
    return [
        (task, share * weights[inner.name])
        for inner in part.parts
        for task, share in (_shared(inner, mixing, num_examples) if weights[inner.name] else _nothing(inner))
    ]


def _nothing(part: Part) -> list[tuple[str, float]]:
    return [(leaf.name, 0.0) for leaf in part.leaves()]


def _refuse_unrated(mixture: Part) -> None:
    missing = [part.name for part in mixture.parts or () if part.rate is None]
    if missing:
        raise InputError(
            f"{mixture.name}: '{missing[0]}' has no rate, and rates are asked for; give each part as name: rate, or "
            "none of them and set data.mixing.rule to proportional or equal"
        )


def stage_rates(
    stages: Sequence[Stage], mixture: Part, rates: Mapping[str, float]
) -> list[tuple[int, dict[str, float]]]:
    """(first step, rate of every task) of each stage, in the order of their steps.

    Args:
        stages: rates of tasks, or of mixtures within the mixture, whose tasks share it as they do in `rates`.
        mixture: what is trained on.
        rates: the mixture's own rate of every task.

    Raises:
        InputError: a stage names what is not in the mixture, has a negative rate or none above 0, or two begin at one
            step.
    """
    inner = _by_name(mixture)
    result = []
    for stage in sorted(stages, key=lambda stage: stage.from_step):
        where = f"data.stages from step {stage.from_step}"
        weights = dict.fromkeys(rates, 0.0)
        for name, rate in stage.rates.items():
            if name not in inner:
                raise InputError(f"{where}: '{name}' is not in the mixture; it holds {', '.join(sorted(inner))}")
            tasks = list(dict.fromkeys(leaf.name for leaf in inner[name].leaves()))
            total = sum(rates[task] for task in tasks)
            for task in tasks:
                # a part that the mixture itself gives nothing is shared out evenly
                weights[task] += rate * (rates[task] / total if total else 1 / len(tasks))
        if result and result[-1][0] == stage.from_step:
            raise InputError(f"{where}: two stages begin at this step; keep one of them")
        result.append((stage.from_step, _normalised(weights, where)))
    return result


def _by_name(mixture: Part) -> dict[str, Part]:
    """Every task and mixture within a mixture, by name."""
    parts: dict[str, Part] = {}
    for part in mixture.parts or ():
        parts[part.name] = part
        parts |= _by_name(part)
    return parts


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
