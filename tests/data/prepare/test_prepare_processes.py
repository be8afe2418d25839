"""Several processes make the store that one makes, say so when they cannot, and end with the one that began them."""

import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from made_tasks import ENCODER, SHARD_RECORDS, made_config, manifests

from flan_jax.data.prepare import prepare as preparing
from flan_jax.data.prepare.prepare import Status, prepare
from flan_jax.data.registry import IterableSource, TaskSpec, Template, add_task
from flan_jax.data.registry.resolve import resolve_run
from flan_jax.data.store import shards
from flan_jax.errors import InputError


@pytest.fixture(autouse=True)
def small_shards(monkeypatch):
    monkeypatch.setattr(shards, "SHARD_RECORDS", SHARD_RECORDS)


def test_two_processes_make_the_store_that_one_makes(tmp_path):
    one = made_config(tmp_path, run="one", shots=1)
    two = made_config(tmp_path, run="two", shots=1, prepare_processes=2)
    prepare(one, ENCODER, resolve_run(one))
    calls: list[Status] = []
    report = prepare(two, ENCODER, resolve_run(two), progress=calls.append)
    assert report.made_by == "2 processes"
    assert [(folder.state, folder.num_shards) for folder in report.folders] == [("built", 15), ("built", 1)] * 2
    assert manifests(two) == manifests(one)
    train = manifests(two)[f"{report.folders[0].task}/train"]
    assert train.dropped == {
        "skipped by the task's map": 8,
        "over the cap on examples": 22,
        "longer than the row": train.dropped["longer than the row"],
    }
    assert sum(train.shots.values()) == 2 * 60  # some rows have no room for an example
    assert set(train.shots) == {"0", "1"}
    assert train.num_examples + train.dropped["longer than the row"] // 2 == 60
    assert calls[-1].num_finished == 4
    assert calls[-1].num_tokens == report.num_tokens == sum(m.num_tokens for m in manifests(one).values())
    assert list(tmp_path.rglob(".*")) == []
    assert prepare(two, ENCODER, resolve_run(two)).num_built == 0


def test_spare_processes_are_started_when_there_is_much_to_do(tmp_path, monkeypatch):
    few, many, one = (made_config(tmp_path, run=run) for run in ("few", "many", "one"))
    assert prepare(few, ENCODER, resolve_run(few), spare_processes=2).made_by == "1 process"
    monkeypatch.setattr(preparing, "_MUCH_TOKENS", 3_000)
    assert prepare(many, ENCODER, resolve_run(many), spare_processes=2).made_by == "2 processes"
    assert manifests(many) == manifests(few)
    alone = made_config(tmp_path, run="one", prepare_processes=1)
    assert prepare(alone, ENCODER, resolve_run(alone), spare_processes=2).made_by == "1 process"
    assert manifests(one) == manifests(few)


@pytest.mark.usefixtures("own_registry")
def test_a_task_of_this_process_alone_is_built_by_others(tmp_path):
    """As in a notebook: the others get how it is phrased, and find nothing by name."""
    name = f"only_here_{os.getpid()}"
    source = IterableSource(lambda split: [{"n": n} for n in range(20)], version="1")
    spec = TaskSpec(
        name,
        "made",
        source,
        templates=(Template("What is {n}?"),),
        map=lambda record: {**record, "answer": str(record["n"])},
        metrics=("exact_match",),
    )
    add_task(spec)
    alone = made_config(tmp_path, mixture=[name], run="alone")
    prepare(alone, ENCODER, resolve_run(alone))
    config = made_config(tmp_path, mixture=[name], prepare_processes=2)
    assert prepare(config, ENCODER, resolve_run(config)).made_by == "2 processes"
    assert manifests(config) == manifests(alone)


def test_workers_end_with_a_killed_process_and_their_shards_are_used(tmp_path):
    whole, killed = made_config(tmp_path, run="whole", num_tasks=1), made_config(tmp_path, run="killed")
    program = f"""
        import multiprocessing, os, signal
        from pathlib import Path
        import made_tasks
        from flan_jax.data.store import shards
        from flan_jax.data.prepare.prepare import prepare
        from flan_jax.data.registry.resolve import resolve_run

        def kill(status):
            if status.num_tokens:
                print(*[child.pid for child in multiprocessing.active_children()], flush=True)
                os.kill(os.getpid(), signal.SIGKILL)

        if __name__ == "__main__":
            shards.SHARD_RECORDS = made_tasks.SHARD_RECORDS
            config = made_tasks.made_config(Path({str(tmp_path)!r}), run="killed", prepare_processes=2)
            prepare(config, made_tasks.ENCODER, resolve_run(config), progress=kill)
    """
    script = tmp_path / "killed.py"
    script.write_text(textwrap.dedent(program))
    paths = os.pathsep.join([str(Path(__file__).parents[2]), *sys.path])
    child = subprocess.run(
        [sys.executable, str(script)], check=False, env=os.environ | {"PYTHONPATH": paths}, stdout=subprocess.PIPE
    )
    assert child.returncode == -signal.SIGKILL
    workers = [int(word) for word in child.stdout.split()]
    assert workers
    give_up = time.monotonic() + 20
    while any(map(is_running, workers)):
        assert time.monotonic() < give_up, f"of the workers {workers} some go on"
        time.sleep(0.05)
    prepare(whole, ENCODER, resolve_run(whole))
    assert prepare(killed, ENCODER, resolve_run(killed)).num_reused > 0
    assert manifests(killed) == manifests(whole)


def is_running(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_a_worker_that_dies_is_told_and_finished_shards_stay(tmp_path, monkeypatch):
    config = made_config(tmp_path, num_tasks=1, prepare_processes=2)

    def kill_workers(status: Status) -> None:
        if status.num_tokens:
            for child in multiprocessing.active_children():
                child.kill()

    with pytest.raises(InputError, match=r"data.prepare_processes 2: one of the processes died"):
        prepare(config, ENCODER, resolve_run(config), progress=kill_workers)
    assert prepare(config, ENCODER, resolve_run(config)).num_reused > 0
