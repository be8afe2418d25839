"""Real processes: killed at any moment and started again, and two of them training one model."""

import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_checkpoint import files_of, flip_bit

CHILD = Path(__file__).with_name("train_child.py")
_started: list[subprocess.Popen] = []


@pytest.fixture(autouse=True)
def no_process_outlives_its_test() -> Iterator[None]:
    yield
    while _started:
        process = _started.pop()
        process.kill()
        process.communicate()


def start(folder: Path, environment: dict[str, str] | None = None, **settings: Any) -> subprocess.Popen:
    folder.mkdir(parents=True, exist_ok=True)
    everything = {"mesh": [2, 1, 1], "devices": 2, "every_steps": 4, "steps": 16, **settings}
    process = subprocess.Popen(
        [sys.executable, str(CHILD), str(folder), json.dumps(everything)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **(environment or {})},
    )
    _started.append(process)
    return process


def facts_of(process: subprocess.Popen) -> list[dict[str, Any]]:
    output, errors = process.communicate(timeout=600)
    assert process.returncode == 0, errors[-3000:]
    return list(read_facts(output.splitlines()))


def read_facts(lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    """Facts among other lines: Gloo prints its own."""
    return (json.loads(line) for line in lines if line.startswith("{"))


def picked(facts: list[dict[str, Any]], key: str, value: str) -> dict[int, Any]:
    return {fact[key]: fact[value] for fact in facts if key in fact}


def same_weights(one: Path, other: Path) -> None:
    one_file, other_file = np.load(one / "final.npz"), np.load(other / "final.npz")
    assert one_file.files == other_file.files
    for name in one_file.files:
        np.testing.assert_array_equal(one_file[name], other_file[name])


@pytest.mark.slow
def test_killed_at_random_moments_ends_with_the_same_bits(tmp_path: Path) -> None:
    whole = facts_of(start(tmp_path / "whole"))
    rng = random.Random(time.time_ns())
    digests: dict[int, str] = {}
    for last in (rng.randint(2, 7), rng.randint(8, 13)):
        process = start(tmp_path / "killed")
        assert process.stdout is not None
        for fact in read_facts(process.stdout):
            if "digest" in fact:
                # a batch that is seen again after a restart is the same one
                assert digests.setdefault(fact["batch"], fact["digest"]) == fact["digest"]
                if fact["batch"] >= last:
                    break
        time.sleep(rng.random() * 0.05)
        process.send_signal(signal.SIGKILL)
        process.wait()
    facts = facts_of(start(tmp_path / "killed"))
    digests |= picked(facts, "batch", "digest")
    assert digests == picked(whole, "batch", "digest")
    same_weights(tmp_path / "whole", tmp_path / "killed")


def start_two(folder: Path, **settings: Any) -> list[subprocess.Popen]:
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        address = f"localhost:{probe.getsockname()[1]}"
    shared = {"FLAN_JAX_COORDINATOR": address, "FLAN_JAX_PROCESS_COUNT": "2"}
    return [start(folder, {**shared, "FLAN_JAX_PROCESS_ID": str(index)}, **settings) for index in range(2)]


@pytest.mark.slow
def test_two_processes_train_as_one_and_share_checkpoints(tmp_path: Path) -> None:
    settings = {"mesh": [2, 2, 2], "every_steps": 3, "steps": 6}
    one = facts_of(start(tmp_path / "one", devices=8, **settings))
    two = [facts_of(process) for process in start_two(tmp_path / "two", devices=4, **settings)]
    losses = [picked(facts, "step", "loss") for facts in (one, *two)]
    assert list(losses[0]) == [1, 2, 3, 4, 5, 6]
    for other in losses[1:]:
        np.testing.assert_allclose(list(other.values()), list(losses[0].values()), rtol=1e-5)

    # a damaged checkpoint is passed over by both processes, and the run ends with the same bits
    first = (tmp_path / "two" / "final.npz").rename(tmp_path / "final.npz")
    flip_bit(max(files_of(tmp_path / "two", 6), key=lambda path: path.stat().st_size))
    again = [facts_of(process) for process in start_two(tmp_path / "two", devices=4, **settings)]
    for facts in again:
        assert facts[0] == {"damaged": ["00000006"], "resumed": 3}
    same_weights(first.parent, tmp_path / "two")

    # what two processes saved, one restores
    restored = facts_of(start(tmp_path / "two", devices=2, **{**settings, "mesh": [2, 1, 1]}))
    assert restored[0] == {"damaged": [], "resumed": 6}
    same_weights(first.parent, tmp_path / "two")


@pytest.mark.slow
def test_a_signal_to_one_of_two_processes_stops_both_at_one_step(tmp_path: Path) -> None:
    processes = start_two(tmp_path / "two", devices=1, every_steps=1000, steps=1000)
    assert processes[1].stdout is not None
    for fact in read_facts(processes[1].stdout):
        if fact.get("step", 0) >= 2:
            break
    processes[1].send_signal(signal.SIGTERM)
    errors = [process.communicate(timeout=600)[1] for process in processes]
    said = [error.rstrip().splitlines()[-1] for error in errors]
    assert "StoppedError: stopped by a signal to another process at step" in said[0]
    assert "StoppedError: stopped by SIGTERM at step" in said[1]
    assert said[0].split("at step")[1] == said[1].split("at step")[1]
