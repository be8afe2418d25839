"""Rates, cursors and the shares they give."""

from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flan_jax.config import MixingConfig, Stage
from flan_jax.data.plan.rates import make_cursors, mixture_rates, stage_rates
from flan_jax.data.spec.mixture import Part
from flan_jax.errors import InputError


def tree_of(rates: Mapping[str, float | None]) -> Part:
    """A mixture of these tasks."""
    return Part("data.mixture", parts=tuple(Part(name, rate) for name, rate in rates.items()))


SIZES = {"a": 100, "b": 1000, "c": 9000}
NO_RATES = tree_of(dict.fromkeys(SIZES))


def test_proportional_with_a_maximum():
    rates = mixture_rates(MixingConfig(rule="proportional", maximum=900), SIZES, NO_RATES)
    assert rates == pytest.approx({"a": 100 / 1900, "b": 900 / 1900, "c": 900 / 1900})


def test_temperature_flattens():
    rates = mixture_rates(MixingConfig(rule="proportional", maximum=10_000, temperature=2), SIZES, NO_RATES)
    roots = {task: size**0.5 for task, size in SIZES.items()}
    assert rates == pytest.approx({task: root / sum(roots.values()) for task, root in roots.items()})


def test_own_rates_are_taken_where_they_are_given():
    own = tree_of({"a": 3.0, "b": 1.0, "c": 0.0})
    assert mixture_rates(MixingConfig(), SIZES, own) == pytest.approx({"a": 0.75, "b": 0.25, "c": 0})
    assert mixture_rates(MixingConfig(rule="equal"), SIZES, own) == pytest.approx(dict.fromkeys(SIZES, 1 / 3))
    assert mixture_rates(MixingConfig(), SIZES, NO_RATES)["c"] == pytest.approx(3000 / 4100)


@pytest.mark.parametrize(
    ("own", "message"),
    [
        ({"a": 1.0, "b": None, "c": 1.0}, "'b' has no rate"),
        ({"a": 1.0, "b": -1.0, "c": 1.0}, "the rate of 'b' is -1.0"),
        ({"a": 0.0, "b": 0.0, "c": 0.0}, "no task has a rate above 0"),
    ],
)
def test_bad_rates_are_refused(own, message):
    with pytest.raises(InputError, match=message):
        mixture_rates(MixingConfig(rule="rates"), SIZES, tree_of(own))


def test_stages_are_sorted_and_checked():
    stages = [Stage(from_step=9, rates={"a": 1, "c": 3}), Stage(from_step=2, rates={"b": 5})]
    rates = dict.fromkeys("abc", 1 / 3)
    assert stage_rates(stages, tree_of(rates), rates) == [
        (2, {"a": 0.0, "b": 1.0, "c": 0.0}),
        (9, {"a": 0.25, "b": 0.0, "c": 0.75}),
    ]
    with pytest.raises(InputError, match=r"data.stages from step 2: 'd' is not in the mixture; it holds a, b"):
        stage_rates([Stage(from_step=2, rates={"d": 1})], tree_of({"a": 1.0, "b": 1.0}), {"a": 0.5, "b": 0.5})
    twice = [Stage(from_step=2, rates={"a": 1}), Stage(from_step=2, rates={"b": 1})]
    with pytest.raises(InputError, match="two stages begin at this step"):
        stage_rates(twice, tree_of({"a": 1.0, "b": 1.0}), {"a": 0.5, "b": 0.5})


def nested() -> Part:
    inner = Part("inner", 3.0, (Part("a"), Part("b")), maximum=500)
    return Part("data.mixture", parts=(inner, Part("other", 1.0, (Part("c", 2.0), Part("a", 2.0))))).handed_down()


def test_nested_mixtures_share_by_rates_and_by_counts_inside():
    rates = mixture_rates(MixingConfig(), SIZES, nested())
    assert rates == pytest.approx({"a": 0.75 * 100 / 600 + 0.125, "b": 0.75 * 500 / 600, "c": 0.125})
    # the config's maximum stands above the mixture's own
    assert mixture_rates(MixingConfig(maximum=100), SIZES, nested())["b"] == pytest.approx(0.375)
    # a part without a rate among parts without rates counts the examples of its tasks
    plain = Part("data.mixture", parts=(Part("inner", None, (Part("a"), Part("b"))), Part("c")))
    assert mixture_rates(MixingConfig(maximum=1000), SIZES, plain)["c"] == pytest.approx(1000 / 2100)


def test_what_is_held_out_of_a_nested_mixture_leaves_the_other_shares_as_they_are():
    kept = nested().without({"c"})
    assert kept is not None
    assert mixture_rates(MixingConfig(), SIZES, kept)["b"] == pytest.approx(0.75 * 500 / 600)
    assert nested().without({"a", "b", "c"}) is None


def test_a_stage_may_name_a_mixture_within_the_mixture():
    rates = mixture_rates(MixingConfig(), SIZES, nested())
    [(_, staged)] = stage_rates([Stage(from_step=5, rates={"inner": 1.0})], nested(), rates)
    total = rates["a"] + rates["b"]
    assert staged == pytest.approx({"a": rates["a"] / total, "b": rates["b"] / total, "c": 0.0})


def test_parts_with_and_without_rates_do_not_mix():
    with pytest.raises(InputError, match=r"data.mixture: 'b' has no rate"):
        mixture_rates(MixingConfig(), SIZES, tree_of({"a": 1.0, "b": None, "c": 1.0}))


rates_of_many = st.lists(st.floats(0.001, 1), min_size=1, max_size=30)


@given(rates_of_many, st.integers(0, 10_000), st.integers(1, 5000), st.integers(0, 5))
@settings(max_examples=200, deadline=None)
def test_cursors_keep_every_share_within_one_example(weights, window, window_examples, seed):
    tasks = [f"task{number}" for number in range(len(weights))]
    rates = {task: weight / sum(weights) for task, weight in zip(tasks, weights, strict=True)}
    cursors = make_cursors(tasks, [rates], window_examples=window_examples, seed=seed)
    for task, count in zip(tasks, cursors.at(window, ()), strict=True):
        assert abs(count - rates[task] * window_examples * window) <= 1 + 1e-6 * window


def test_shares_are_within_a_tenth_of_a_point_after_one_window():
    random = np.random.default_rng(0)
    weights = random.uniform(0.01, 1, 40)
    rates = {str(number): share for number, share in enumerate((weights / weights.sum()).tolist())}
    counts = make_cursors(list(rates), [rates], window_examples=3000, seed=1).at(1, ())
    assert max(abs(count / sum(counts) - rate) for count, rate in zip(counts, rates.values(), strict=True)) < 0.001


def test_a_stage_goes_on_from_where_each_task_stood():
    cursors = make_cursors(["a", "b"], [{"a": 1.0, "b": 0.0}, {"a": 0.0, "b": 1.0}], window_examples=10, seed=0)
    assert cursors.at(3, (5,)) == [30, 0]
    assert cursors.at(5, (5,)) == [50, 0]
    assert cursors.at(7, (5,)) == [50, 20]
