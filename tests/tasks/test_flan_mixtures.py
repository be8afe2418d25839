"""FLAN's mixtures by name: what they hold, and that the batches really have the shares that were published."""

from dataclasses import dataclass

import numpy as np
import pytest

from flan_jax.config import Config
from flan_jax.data.plan.plan import make_plan
from flan_jax.data.plan.shares import mixture_report
from flan_jax.data.registry import get_cluster, get_mixture, get_task, mixture_names
from flan_jax.data.registry.resolve import Resolved, resolve_mixture, tasks_of_mixture
from flan_jax.data.spec.mixture import Part
from flan_jax.keyed import key64

WINDOWS = 2
SUBMIXES = ("flan2021_submix", "t0_submix", "niv2_submix", "cot_submix", "dialog_submix")
# the figures of FLAN.md's sources: code, run example, and the two columns of the paper
PUBLISHED = {
    "flan2022_code": dict(zip(SUBMIXES, (40, 30, 10, 10, 10), strict=True)),
    "flan2022_submix": dict(zip(SUBMIXES, (40, 32, 20, 5, 3), strict=True)),
    "flan2022_paper_a": {"flan_muffin_submix": 52, "t0_submix": 15, "cot_submix": 3, "niv2_submix": 30},
    "flan2022_paper_b": {"flan_muffin_submix": 46.0, "t0_submix": 27.9, "cot_submix": 1.8, "niv2_submix": 24.2},
}


@dataclass
class MadeLengths:
    """Lengths of a task's records, without the records."""

    lengths: np.ndarray
    loss_tokens: np.ndarray
    starts: np.ndarray
    content: str


def made_lengths(name: str) -> MadeLengths:
    """A few hundred examples; count and lengths follow from the name."""
    draw = np.random.default_rng(key64("lengths", name))
    count = int(draw.integers(50, 400))
    lengths = draw.integers(20, 200, (count, 1)).astype(np.int32)
    return MadeLengths(lengths, (lengths[:, 0] // 4 + 1).astype(np.int32), np.arange(count + 1), name)


def resolved_plan(mixture: str, **data):
    config = Config.model_validate({"data": {"mixture": mixture, **data}, "batch": {"rows": 64, "length": 512}})
    resolved = resolve_mixture(config.data)
    stores = {name: made_lengths(name) for name in resolved.train}
    return resolved, make_plan(config, stores, resolved.mixture)


def shares_of(part: Part, by_task: dict[str, float]) -> float:
    return sum(by_task[name] for name in {leaf.name for leaf in part.leaves()})


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_published_proportions_are_met_to_a_tenth_of_a_point(name: str):
    resolved, plan = resolved_plan(name)
    report = mixture_report(plan, windows=WINDOWS)
    realised = {share.name: 100 * share.example_share for share in report.tasks}
    parts = {part.name: part for part in resolved.mixture.parts or ()}
    total = sum(PUBLISHED[name].values())
    assert set(parts) == set(PUBLISHED[name])
    for part, share in PUBLISHED[name].items():
        assert shares_of(parts[part], realised) == pytest.approx(100 * share / total, abs=0.1)


def test_styles_share_their_submixture_equally():
    resolved, plan = resolved_plan("flan2021_submix")
    realised = {share.name: 100 * share.example_share for share in mixture_report(plan, windows=WINDOWS).tasks}
    styles = {part.name: shares_of(part, realised) for part in resolved.mixture.parts or ()}
    assert styles == pytest.approx(
        dict.fromkeys(("flan_zsopt", "flan_fsopt", "flan_zsnoopt", "flan_fsnoopt"), 25.0), abs=0.1
    )


def test_inverted_tasks_are_three_tenths_of_the_straight_ones():
    for name in ("cot", "dialog"):
        resolved, plan = resolved_plan(name)
        straight, inverted = (shares_of(part, plan.rates[0]) for part in resolved.mixture.parts or ())
        assert inverted / straight == pytest.approx(0.3)


def test_flan2021_is_the_papers_data_sets_in_seventeen_clusters():
    tasks = [get_task(name) for name in tasks_of_mixture("flan2021")]
    clusters = {spec.cluster for spec in tasks}
    assert (len(tasks), len(clusters)) == (69, 17)
    assert len({get_cluster(cluster).paper for cluster in clusters}) == 12
    mixture = get_mixture("flan2021")
    assert (mixture.max_examples, mixture.maximum) == (30_000, 3_000)


def test_caps_of_flan_2022_reach_its_tasks():
    specs = resolve_mixture(Config.model_validate({"data": {"mixture": "flan2022_submix"}}).data).specs
    caps = {
        "rte@zero+shown": 30_000,
        "cot_gsm8k@few": 100_000,
        "qrecc@zero": 200_000,
        "t0_dream_baseline@zero+shown": 20_000,
    }
    assert {name: specs[name].max_examples for name in caps} == caps


def unseen(resolved: Resolved) -> set[str]:
    return {get_task(name).cluster for name in resolved.held_out}


def test_held_out_nli_takes_paraphrase_along_by_either_name():
    for name in ("entailment", "nli"):
        resolved = resolve_mixture(Config.model_validate({"data": {"mixture": "flan2021", "hold_out": [name]}}).data)
        assert len(resolved.held_out) == 10
        assert unseen(resolved) == {"entailment"}
        assert set(resolved.left_out) == {"glue_mrpc", "glue_qqp", "paws_wiki", "stsb"}
        assert len(resolved.train) == 55
        assert not resolved.is_seen("entailment")
        assert not resolved.is_seen("paraphrase")
        assert resolved.is_seen("sentiment")


def test_reading_comprehension_with_common_sense_is_kin_to_both():
    for held, left in (
        ("reading_comprehension", {"read_comp_and_common_sense"}),
        ("common_sense", {"read_comp_and_common_sense"}),
        ("read_comp_and_common_sense", {"reading_comprehension", "common_sense"}),
    ):
        resolved = resolve_mixture(Config.model_validate({"data": {"mixture": "flan2021", "hold_out": [held]}}).data)
        assert {get_task(name).cluster for name in resolved.left_out} == left


def test_coreference_is_tested_on_the_set_that_is_for_tests_only():
    data = Config.model_validate({"data": {"mixture": "flan2021", "hold_out": ["coreference"]}}).data
    assert "wsc273" in resolve_mixture(data).held_out


def test_every_mixture_resolves():
    for name in mixture_names():
        assert tasks_of_mixture(name)
