"""Mixtures worked out: nesting, variants, caps, held-out clusters with their kin, and what counts as seen."""

import dataclasses

import pytest

from flan_jax.config import Config, DataConfig, MixingConfig
from flan_jax.config_file import parse_config
from flan_jax.data.plan.rates import mixture_rates
from flan_jax.data.prepare.needed import folder_spec, needed_folders, spec_differences
from flan_jax.data.registry import (
    ClusterSpec,
    IterableSource,
    MixtureSpec,
    TaskSpec,
    Template,
    add_cluster,
    add_mixture,
    add_task,
    get_task,
    task_names,
)
from flan_jax.data.registry.resolve import kin_of, resolve_mixture, resolve_run
from flan_jax.data.render.example import Example
from flan_jax.data.render.examples import examples
from flan_jax.errors import InputError
from flan_jax.text.chat import make_encoder
from flan_jax.text.tokenizer import load_tokenizer

RECORDS = [{"question": f"Is {number} even?", "answer": ("no", "yes")[number % 2 == 0]} for number in range(20)]


def made(name: str, cluster: str, **kwargs) -> TaskSpec:
    return TaskSpec(
        name=name,
        cluster=cluster,
        source=IterableSource(lambda split: RECORDS, version="1", name=name),
        templates=(Template("{question}"),),
        inputs="{question}",
        options=("yes", "no"),
        **kwargs,
    )


@pytest.fixture(autouse=True)
def five_tasks(own_registry: None) -> None:
    """Two clusters that are kin, one that is not, and an evaluation-only task; all gone after the test."""
    add_cluster(ClusterSpec("left", paper="hands", title="Left hands", kin=("right",)))
    add_cluster(ClusterSpec("right", paper="hands"))
    for name, cluster in (("a", "left"), ("b", "right"), ("c", "other"), ("d", "other")):
        add_task(made(name, cluster))
    add_task(made("only_asked", "left", splits={"validation": "validation"}))
    add_mixture(MixtureSpec("hands", ("a", "b"), max_examples=7, maximum=5))
    add_mixture(MixtureSpec("both", {"hands": 3.0, "others": 1.0}, max_examples=9))
    add_mixture(MixtureSpec("others", ("c", "d")))


def test_nested_mixtures_keep_their_shares_and_hand_down_their_caps():
    resolved = resolve_mixture(DataConfig(mixture="both"))
    assert list(resolved.train) == ["a", "b", "c", "d"]
    assert {name: spec.max_examples for name, spec in resolved.specs.items()} == {"a": 7, "b": 7, "c": 9, "d": 9}
    counts = {
        name: sum(isinstance(e, Example) for e in examples(spec, "train", DataConfig()))
        for name, spec in resolved.specs.items()
    }
    assert counts == {"a": 7, "b": 7, "c": 9, "d": 9}
    everywhere = DataConfig(max_examples=4)
    assert sum(isinstance(e, Example) for e in examples(resolved.specs["a"], "train", everywhere)) == 4


def test_mixtures_and_tasks_stand_side_by_side_in_a_config():
    resolved = resolve_mixture(DataConfig(mixture={"hands": 1.0, "c": 2.0}))
    assert resolved.train == {"a": None, "b": None, "c": 2.0}
    assert [part.name for part in resolved.mixture.parts or ()] == ["hands", "c"]


def test_a_variant_is_the_same_task_in_other_words():
    resolved = resolve_mixture(DataConfig(mixture={"both@few+hidden": 1.0, "c@3shot": 1.0}))
    assert list(resolved.train) == ["a@few+hidden", "b@few+hidden", "c@few+hidden", "d@few+hidden", "c@3shot"]
    few = resolved.specs["a@few+hidden"]
    assert (few.shots, few.options_shown, few.dataset_name, few.cluster) == ("few", False, "a", "left")
    assert get_task("c@3shot").shots == 3
    assert get_task("c@zero+shown").shots == 0
    # a variant of a variant is one of the task: it has the same source, and the last word holds
    twice = resolve_mixture(DataConfig(mixture="both@zero+hidden@few")).specs["a@zero+hidden@few"]
    assert (twice.shots, twice.options_shown, twice.dataset_name) == ("few", False, "a")
    for name in ("c@tree", "c@few+", "c@0shot", "@few"):
        with pytest.raises(InputError, match="unknown task"):
            get_task(name)


def test_a_local_source_serves_the_variants_too(tmp_path):
    path = tmp_path / "c.jsonl"
    path.write_text("".join(f'{{"question": "q{number}", "answer": "yes"}}\n' for number in range(9)))
    data = DataConfig(mixture=("c@zero", "c@few", "c@zero@few"), sources={"c": str(path)})
    assert {spec.source.name for spec in resolve_mixture(data).specs.values()} == {"c.jsonl"}


def local_records(tmp_path, number: int = 9) -> str:
    path = tmp_path / "records.jsonl"
    lines = (f'{{"question": "q{number}", "answer": "yes"}}\n' for number in range(number))
    path.write_text("".join(lines))
    return str(path)


def test_a_task_that_is_only_evaluated_reads_a_local_source_too(tmp_path):
    config = Config.model_validate(
        {"data": {"mixture": ["c"], "sources": {"a": local_records(tmp_path)}}, "evaluation": {"tasks": ["a", "c"]}}
    )
    resolved = resolve_run(config)
    assert (list(resolved.train), resolved.asked) == (["c"], ("a",))
    assert resolved.specs["a"].source.name == "records.jsonl"
    assert [(one.task.name, one.split) for one in needed_folders(resolved)] == [
        ("c", "train"),
        ("c", "validation"),
        ("a", "validation"),
    ]
    with pytest.raises(InputError, match=r"data.sources: unknown task 'a'"):
        resolve_mixture(config.data)


def test_all_of_a_local_file_is_asked_where_a_task_is_for_evaluation_alone(tmp_path):
    data = DataConfig(mixture="others", hold_out=("left",), sources={"only_asked": local_records(tmp_path)})
    spec = resolve_mixture(data).specs["only_asked"]
    assert list(spec.splits) == ["validation"]
    assert len([item for item in examples(spec, "validation", data) if isinstance(item, Example)]) == 9


def test_kin_of_a_held_out_cluster_are_left_out_and_named():
    assert (kin_of("left"), kin_of("right"), kin_of("other")) == (("right",), ("left",), ())
    resolved = resolve_mixture(DataConfig(mixture="both", hold_out=("left",)))
    assert list(resolved.train) == ["c", "d"]
    assert resolved.left_out == ("b",)
    # a task without training examples is there to be held out
    assert resolved.held_out == ("a", "only_asked")
    without_rule = resolve_mixture(DataConfig(mixture="both", hold_out=("left",), hold_out_kin=False))
    assert (list(without_rule.train), without_rule.left_out) == (["b", "c", "d"], ())


def test_seen_is_what_the_rule_says():
    resolved = resolve_mixture(DataConfig(mixture="others"))
    assert [resolved.is_seen(cluster) for cluster in ("left", "right", "other")] == [False, False, True]
    # nothing of "right" was trained on, but its kin was
    only_left = resolve_mixture(DataConfig(mixture="a"))
    assert [only_left.is_seen(cluster) for cluster in ("left", "right", "other")] == [True, True, False]


def test_the_papers_name_of_a_cluster_holds_out_all_it_covers():
    resolved = resolve_mixture(DataConfig(mixture="both", hold_out=("hands",)))
    assert (resolved.held_out, resolved.left_out) == (("a", "b", "only_asked"), ())


def test_a_kin_task_that_is_named_for_training_is_refused():
    with pytest.raises(InputError, match=r"names 'b' for training, whose cluster 'right' is kin to one .* \(left\)"):
        resolve_mixture(DataConfig(mixture=("b", "c"), hold_out=("left",)))


def test_what_was_looked_up_before_changes_nothing():
    """Resolving a mixture of variants made later evaluations of held-out clusters include them."""
    starter = DataConfig(mixture="starter", hold_out=("nli",))
    names, before = task_names(), resolve_mixture(starter).held_out
    resolve_mixture(DataConfig(mixture="flan2022_submix"))
    get_task("rte@few+hidden")
    assert task_names() == names
    assert resolve_mixture(starter).held_out == before


def test_a_cap_belongs_to_the_membership_and_not_to_the_mixture_that_came_last():
    add_mixture(MixtureSpec("wide", ("c", "d"), max_examples=20))
    add_mixture(MixtureSpec("narrow", ("c",), max_examples=5))
    counts = {"c": 20, "d": 20}
    for names in (("wide", "narrow"), ("narrow", "wide")):
        resolved = resolve_mixture(DataConfig(mixture=names))
        assert resolved.specs["c"].max_examples == 20  # what is stored serves both
        rates = mixture_rates(MixingConfig(rule="proportional"), counts, resolved.mixture)
        assert rates == pytest.approx({"c": 25 / 45, "d": 20 / 45})


def test_whether_the_target_reasons_is_part_of_a_task_s_identity():
    """It decides whether the options are stored."""
    task = dataclasses.replace(get_task("c"), metrics=("exact_match",))
    reasoned = dataclasses.replace(task, reasoning=not task.reasoning)
    assert task.identity("1") != reasoned.identity("1")


def test_versions_of_rendering_are_part_of_what_a_folder_is_made_from(monkeypatch: pytest.MonkeyPatch):
    config = parse_config({"run": {"dir": "unused"}, "data": {"mixture": "c"}}, where="test")
    encoder = make_encoder("text", load_tokenizer("bytes"), "default", is_encoder_decoder=False)
    first = needed_folders(resolve_run(config))[0]
    before = folder_spec(first, config, encoder)
    monkeypatch.setattr("flan_jax.data.prepare.needed.RENDER_VERSION", 99)
    assert spec_differences(before, folder_spec(first, config, encoder)) == ["render version (1 stored, 99 now)"]
