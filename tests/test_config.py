"""The config refuses what it does not know, in one sentence, and says what a resumed run may change."""

from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError

import flan_jax.configs
from flan_jax.config import Config, Section, differences, fields
from flan_jax.config_file import load_config, parse_config
from flan_jax.errors import InputError

BUNDLED = sorted(Path(flan_jax.configs.__file__).parent.glob("*.yaml"))


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "run.yaml"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("tuning: {lora: {rnak: 3}}", "unknown key 'tuning.lora.rnak'; did you mean 'tuning.lora.rank'?"),
        ("rank: 3", "unknown key 'rank'; did you mean 'tuning.lora.rank'?"),
        ("lora: {rank: 3}", "unknown key 'lora'; did you mean 'tuning.lora'?"),
        ("data: {zzz: 3}", "unknown key 'data.zzz'; allowed here: mixture, modules"),
        ("batch: {rows: many}", "key 'batch.rows': input should be a valid integer"),
        ("batch: {rows: 0}", "key 'batch.rows': input should be greater than or equal to 1, found 0 (int)"),
        ("batch: {rows: 3, accumulation: 2}", "'rows' (3) must be a multiple of 'accumulation' (2)"),
        (
            "schedule: {kind: cosin}",
            "key 'schedule.kind': input should be 'constant', 'linear' or 'cosine', found 'cosin'",
        ),
        ("data: {mixture: 3}", "key 'data.mixture'"),
        (
            "data: {stages: [{from_stp: 1, rates: {}}]}",
            "unknown key 'data.stages.0.from_stp'; did you mean 'data.stages.0.from_step'?",
        ),
        ("model: {path: a, architecture: {}}", "give 'path' (pretrained weights) or 'architecture'"),
        ("- a\n- b", "must hold a mapping of sections, found a list"),
        ("a: [1", "line 1: not valid YAML"),
    ],
)
def test_a_wrong_config_is_refused_in_one_sentence(tmp_path, text, sentence):
    path = write(tmp_path, text)
    with pytest.raises(InputError) as caught:
        load_config(path)
    message = str(caught.value)
    assert message.startswith(f"run config '{path}'")
    assert sentence in message
    assert "\n" not in message


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"nowhere.yaml': cannot be read \(No such file"):
        load_config(tmp_path / "nowhere.yaml")


def test_overrides_reach_every_depth_and_keep_their_types(tmp_path):
    path = write(tmp_path, "train: {steps: 3}\nchat:\n")
    numbers = ["train.steps=5", "tuning.lora.rank=4", "optimizer.learning_rate=1e-4", "optimizer.clip_norm=null"]
    config = load_config(path, [*numbers, "data.hold_out=[a, b]", "chat.system=none"])
    assert (config.train.steps, config.tuning.lora.rank, config.optimizer.learning_rate) == (5, 4, 1e-4)
    assert config.data.hold_out == ("a", "b")
    assert config.chat.system == "none"
    assert config.optimizer.clip_norm is None


@pytest.mark.parametrize("override", ["train.steps", "=3", "train.steps.more=1", "train.steps=[1"])
def test_a_malformed_override_is_refused(tmp_path, override):
    with pytest.raises(InputError, match="override"):
        load_config(write(tmp_path, "train: {steps: 3}"), [override])


def test_every_field_is_described_and_marked():
    def walk(section: type[Section]):
        for name, field in section.model_fields.items():
            if isinstance(field.annotation, type) and issubclass(field.annotation, Section):
                yield from walk(field.annotation)
            else:
                yield name, field

    for name, field in walk(Config):
        assert field.description, name
    assert {mark for _, mark in fields()} == {"fixed", "free"}


def test_differences_go_by_the_mark():
    old, new = parse_config({}, "a"), parse_config({"train": {"steps": 7}, "mesh": {"fsdp": 2}}, "b")
    assert differences(old, new, "fixed") == {"train.steps": (1000, 7)}
    assert differences(old, new, "free") == {"mesh.fsdp": (1, 2)}


def test_a_config_is_frozen_and_survives_its_own_yaml():
    config = parse_config({"data": {"mixture": {"a": 1.0}}, "tuning": {"lora": {"targets": ["query"]}}}, "a")
    with pytest.raises(ValidationError, match="frozen"):
        config.train.steps = 3
    assert parse_config(yaml.safe_load(config.to_yaml()), "again") == config


@pytest.mark.parametrize("path", BUNDLED, ids=lambda path: path.stem)
def test_every_bundled_config_loads_and_says_what_it_needs(path):
    load_config(path)
    head = path.read_text().splitlines()[:5]
    assert head[0].startswith("# ")
    assert any("Needs" in line or "needs" in line for line in head)
