"""A preparation that ends too early: the next one uses what was finished, and the store is the same in the end."""

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from threading import Thread

import pytest
from made_tasks import ENCODER, SHARD_RECORDS, made_config, manifests

from flan_jax.data.prepare.prepare import Status, prepare
from flan_jax.data.registry import IterableSource, TaskSpec, Template, add_task
from flan_jax.data.registry.resolve import resolve_run
from flan_jax.data.store import shards
from flan_jax.data.store.folders import FolderLock
from flan_jax.errors import InputError


@pytest.fixture(autouse=True)
def small_shards(monkeypatch):
    monkeypatch.setattr(shards, "SHARD_RECORDS", SHARD_RECORDS)


def hidden(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.name.startswith("."))


def finished(folder: Path) -> dict[str, tuple[int, int]]:
    """Record files with a sidecar beside them in work folders, and by what their file is known."""
    sidecars = [path for path in folder.rglob("*.sidecar.npz") if ".writing-" in path.parent.name]
    files = [path.with_name(path.name.replace(".sidecar.npz", ".array_record")) for path in sidecars]
    return {path.name: (path.stat().st_ino, path.stat().st_mtime_ns) for path in files}


def killed_preparing(config, *, at_examples: int) -> None:
    """Prepares in a process that kills itself, as `kill -9` does, after so many examples of the first task."""
    program = f"""
        import os, signal
        from pathlib import Path
        import made_tasks
        from flan_jax.data.store import shards
        from flan_jax.data.prepare.prepare import prepare
        from flan_jax.data.registry.resolve import resolve_run

        def kill(status):
            if status.num_examples >= {at_examples}:
                os.kill(os.getpid(), signal.SIGKILL)

        shards.SHARD_RECORDS = made_tasks.SHARD_RECORDS
        folder = Path({config.run.dir!r})
        config = made_tasks.made_config(folder.parent, run=folder.name)
        prepare(config, made_tasks.ENCODER, resolve_run(config), progress=kill)
    """
    paths = os.pathsep.join([str(Path(__file__).parents[2]), *sys.path])
    child = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], check=False, env=os.environ | {"PYTHONPATH": paths}
    )
    assert child.returncode == -signal.SIGKILL


def test_a_killed_process_leaves_its_shards_to_the_next(tmp_path):
    whole, killed = made_config(tmp_path, run="whole"), made_config(tmp_path, run="killed")
    assert prepare(whole, ENCODER, resolve_run(whole)).num_reused == 0
    killed_preparing(killed, at_examples=40)  # in the sixth shard: four examples of two renderings each
    before = finished(tmp_path)
    assert sorted(before) == [f"shard-{number:05d}.array_record" for number in range(4)]

    report = prepare(killed, ENCODER, resolve_run(killed))
    assert [(folder.num_reused, folder.num_shards) for folder in report.folders] == [(4, 15), (0, 1), (0, 15), (0, 1)]
    assert report.num_reused == 4
    assert report.num_tokens < sum(manifest.num_tokens for manifest in manifests(whole).values())
    store = Path(killed.store_dir) / report.folders[0].task / "train"
    after = {name: ((store / name).stat().st_ino, (store / name).stat().st_mtime_ns) for name in before}
    assert after == before
    assert manifests(killed) == manifests(whole)
    assert hidden(tmp_path) == []


def stopped(config, error: BaseException, *, at_examples: int) -> None:
    def stop(status: Status) -> None:
        if status.num_examples >= at_examples:
            raise error

    with pytest.raises(type(error)):
        prepare(config, ENCODER, resolve_run(config), progress=stop)


@pytest.mark.parametrize(
    ("error", "num_kept"), [(KeyboardInterrupt(), 4), (OSError("gone"), 4), (InputError("bad"), 0)]
)
def test_an_error_in_the_input_leaves_nothing_and_any_other_end_the_finished_shards(tmp_path, error, num_kept):
    config = made_config(tmp_path)
    stopped(config, error, at_examples=40)
    assert len(finished(tmp_path)) == num_kept
    assert not list(tmp_path.rglob("*.lock"))
    assert prepare(config, ENCODER, resolve_run(config)).num_reused == num_kept
    assert hidden(tmp_path) == []


def test_shards_made_from_other_fields_or_another_spec_are_built_again(tmp_path):
    number_of_calls = 0

    def records(split):
        for number in range(40):
            changed = number_of_calls > 1 and number == 6
            yield {"word": "changed" if changed else f"{split}{number}", "answer": "yes"}

    def make(split):
        nonlocal number_of_calls
        number_of_calls += split == "train"
        return records(split)

    name = f"changing_{tmp_path.name}"
    source = IterableSource(make, version="1", name="changing")
    task = add_task(TaskSpec(name, "made", source, templates=(Template("{word}?"),), metrics=("exact_match",)))
    config = made_config(tmp_path, mixture=[name], renderings=1)
    stopped(config, KeyboardInterrupt(), at_examples=32)
    assert len(finished(tmp_path)) == 3
    assert (
        prepare(config, ENCODER, resolve_run(config)).folders[0].num_reused == 2
    )  # all but the one with the changed record

    object.__setattr__(task, "source", IterableSource(make, version="2", name="changing"))
    stopped(config, KeyboardInterrupt(), at_examples=32)
    object.__setattr__(task, "source", IterableSource(make, version="3", name="changing"))
    assert prepare(config, ENCODER, resolve_run(config)).num_reused == 0
    assert hidden(tmp_path) == []


def test_a_damaged_shard_of_a_killed_process_is_built_again(tmp_path):
    config = made_config(tmp_path)
    stopped(config, KeyboardInterrupt(), at_examples=40)
    [shard] = tmp_path.rglob("shard-00002.array_record")
    data = bytearray(shard.read_bytes())
    data[50] ^= 1
    shard.write_bytes(data)
    assert prepare(config, ENCODER, resolve_run(config)).num_reused == 3


def test_a_second_process_waits_for_the_first_and_finds_what_it_built(tmp_path):
    config = made_config(tmp_path)
    built = prepare(config, ENCODER, resolve_run(config))
    directory = Path(config.store_dir) / built.folders[0].task / "train"
    elsewhere = directory.rename(tmp_path / "elsewhere")
    lock = FolderLock(directory)
    lock.acquire()
    calls: list[Status] = []

    def first(status: Status) -> None:
        calls.append(status)
        if status.is_waiting:
            elsewhere.rename(directory)  # the first process is done
            Thread(target=lock.release).start()

    assert [folder.state for folder in prepare(config, ENCODER, resolve_run(config), progress=first).folders] == [
        "found"
    ] * 4
    assert [call.is_waiting for call in calls] == [True]
