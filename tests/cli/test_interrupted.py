"""A run that is killed, or asked to stop, goes on with the same command and ends with the same weights, bit for bit."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from flan_jax import errors

STEPS = 60


def start(folder: Path) -> subprocess.Popen[str]:
    words = ["train", "toy_llama", f"train.steps={STEPS}", "checkpoint.every_steps=7", "logging.every_steps=1"]
    environment = os.environ | {"JAX_PLATFORMS": "cpu"}
    return subprocess.Popen(
        [sys.executable, "-m", "flan_jax", *words, "tuning.method=lora", "logging.tensorboard=false"],
        cwd=folder, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def wait_for_step(folder: Path, process: subprocess.Popen[str], step: int) -> None:
    metrics = folder / "runs" / "toy_llama" / "metrics.jsonl"
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        if metrics.exists() and len(metrics.read_text().splitlines()) >= step:
            return
        time.sleep(0.02)


def ending(folder: Path) -> tuple[dict, list[float]]:
    """Checksums of every array of the last checkpoint, and the losses logged at every step."""
    run = folder / "runs" / "toy_llama"
    metadata = json.loads((run / "checkpoints" / f"{STEPS:08d}" / "metadata.json").read_text())
    losses = [json.loads(line)["train/loss"] for line in (run / "metrics.jsonl").read_text().splitlines()]
    return {name: array["checksum"] for name, array in metadata["arrays"].items()}, losses


@pytest.mark.slow
def test_stopped_and_killed_runs_end_like_one_that_was_left_alone(tmp_path: Path) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    for folder in (whole, broken):
        folder.mkdir()
    process = start(whole)
    _, err = process.communicate()
    assert process.returncode == errors.EXIT_DONE, err

    process = start(broken)
    wait_for_step(broken, process, 10)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate()
    if process.returncode != errors.EXIT_DONE:  # it may have been done before the signal came
        assert process.returncode == errors.EXIT_STOPPED, err
        assert "stopped by SIGTERM at step" in err
        assert "the same command goes on from there" in err

    for step in (25, 40):
        process = start(broken)
        wait_for_step(broken, process, step)
        process.kill()
        process.communicate()
    process = start(broken)
    _, err = process.communicate()
    assert process.returncode == errors.EXIT_DONE, err
    assert ending(broken) == ending(whole)
