"""Apache Beam makes the store that one process makes, on a shared folder and at an address, and says what is wrong."""

import importlib.util
import shutil
from pathlib import Path

import pytest
from made_tasks import ENCODER, SHARD_RECORDS, made_config, manifests

from flan_jax.data.prepare.beam import prepare_on_beam
from flan_jax.data.prepare.opened import open_prepared
from flan_jax.data.prepare.prepare import prepare
from flan_jax.data.registry import IterableSource, TaskSpec, Template, add_task
from flan_jax.data.registry.resolve import resolve_run
from flan_jax.data.store import shards
from flan_jax.data.store.manifest import damage
from flan_jax.errors import InputError

HAS_BEAM = importlib.util.find_spec("apache_beam") is not None
needs_beam = pytest.mark.skipif(not HAS_BEAM, reason="needs Apache Beam: pip install flan-jax[beam]")


@pytest.fixture(autouse=True)
def small_shards(monkeypatch):
    monkeypatch.setattr(shards, "SHARD_RECORDS", SHARD_RECORDS)


def same_bytes(one: Path, other: Path) -> None:
    names = sorted(path.relative_to(one) for path in one.rglob("*"))
    assert names == sorted(path.relative_to(other) for path in other.rglob("*"))
    for name in names:
        if (one / name).is_file() and name.name != "manifest.json":
            assert (one / name).read_bytes() == (other / name).read_bytes(), name


@pytest.mark.beam
@needs_beam
def test_the_store_is_the_one_that_a_process_makes(tmp_path):
    alone, beam = made_config(tmp_path, run="alone", shots=1), made_config(tmp_path, run="beam", shots=1)
    prepare(alone, ENCODER, resolve_run(alone))
    report = prepare_on_beam(beam, ENCODER, resolve_run(beam), runner="direct")
    assert [folder.state for folder in report.folders] == ["built"] * 4
    assert report.made_by == "Apache Beam (direct)"
    found = manifests(beam)
    assert found == manifests(alone)
    assert all(manifest.dropped["skipped by the task's map"] for manifest in found.values())
    train = found[f"{report.folders[0].task}/train"]
    assert train.dropped["over the cap on examples"] == 22
    assert len(train.files) == 16
    same_bytes(Path(alone.store_dir), Path(beam.store_dir))
    assert prepare_on_beam(beam, ENCODER, resolve_run(beam), runner="direct").num_built == 0
    assert prepare(beam, ENCODER, resolve_run(beam)).num_built == 0


@pytest.mark.beam
@needs_beam
def test_a_store_at_an_address_is_the_same(tmp_path):
    fsspec = pytest.importorskip("fsspec", reason="needs the extra 'gcs'")
    address = f"memory://{tmp_path.name}"
    alone = made_config(tmp_path, run="alone")
    remote = made_config(tmp_path, run="remote", store=address, cache_dir=str(tmp_path / "cache"))
    prepare(alone, ENCODER, resolve_run(alone))
    try:
        for state in ("built", "found"):
            report = prepare_on_beam(remote, ENCODER, resolve_run(remote), runner="direct")
            assert [folder.state for folder in report.folders] == [state] * 4
        assert not (tmp_path / "cache").exists()
        opened = open_prepared(remote, ENCODER, resolve_run(remote))
        for name, store in opened.train.items():
            assert damage(store.directory) == []
            assert store.content == manifests(alone)[f"{name}/train"].content
    finally:
        fsspec.filesystem("memory").rm(address, recursive=True)


@pytest.mark.beam
@needs_beam
def test_a_bad_record_is_one_sentence_and_the_other_tasks_are_complete(tmp_path):
    name = f"bad_{tmp_path.name}"
    rows = [{"word": str(number), "answer": "yes"} for number in range(40)] + [{"word": "40", "answer": ["no", "?"]}]
    source = IterableSource(lambda split: [*rows, {"word": "last", "answer": "maybe"}], version="1")
    add_task(TaskSpec(name, "made", source, templates=(Template("{word}?"),), options=("yes", "no")))
    made_config(tmp_path, num_tasks=1)
    good = (tmp_path / "names").read_text()
    config = made_config(tmp_path, mixture=[good, name], max_examples=None)
    with pytest.raises(InputError, match=rf"^task '{name}', split 'train', example 40: answer '\?' is none of the opt"):
        prepare_on_beam(config, ENCODER, resolve_run(config), runner="direct")
    assert sorted(manifests(config)) == [f"{good}/train", f"{good}/validation"]
    assert list(Path(config.store_dir).rglob(".*")) == []


@pytest.mark.beam
@needs_beam
def test_shards_of_an_ended_pipeline_are_used(tmp_path):
    config = made_config(tmp_path)
    prepare(config, ENCODER, resolve_run(config))
    whole = manifests(config)

    def stop(status):
        if status.num_examples >= 40:
            raise KeyboardInterrupt

    shutil.rmtree(config.store_dir)
    with pytest.raises(KeyboardInterrupt):
        prepare(config, ENCODER, resolve_run(config), progress=stop)
    [work] = {path.parent for path in tmp_path.rglob("*.sidecar.npz")}
    known = {path.name: path.stat().st_ino for path in work.glob("*.array_record")}
    assert known
    report = prepare_on_beam(config, ENCODER, resolve_run(config), runner="direct")
    store = Path(config.store_dir) / report.folders[0].task / "train"
    assert {name: (store / name).stat().st_ino for name in known} == known
    assert manifests(config) == whole


@pytest.mark.beam
@needs_beam
def test_an_option_that_beam_would_pass_over_is_refused(tmp_path):
    with pytest.raises(InputError, match="--runner direct: Apache Beam has no option '--flink_mater'"):
        prepare_on_beam(
            run := made_config(tmp_path), ENCODER, resolve_run(run), runner="direct", flags=["--flink_mater=here:1"]
        )


@pytest.mark.skipif(HAS_BEAM, reason="Apache Beam is installed")
def test_without_beam_the_extra_is_named(tmp_path):
    with pytest.raises(InputError, match=r"--runner flink: needs Apache Beam .* install flan-jax\[beam\]"):
        prepare_on_beam(run := made_config(tmp_path), ENCODER, resolve_run(run), runner="flink")
    assert not (tmp_path / "run").exists()
