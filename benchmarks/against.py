"""This tree against another checkout of it, in turns within one run: what a change cost or gained.

    git worktree add /somewhere REVISION && make -C /somewhere env
    python benchmarks/against.py /somewhere                          all of it, some 15 minutes on two cores
    python benchmarks/against.py /somewhere lora decode              parts: lora, full, decode, prepare, first

Above 1 this tree is faster: medians of five rounds in turns (`first`: three). `prepare` is the bundled starter mixture
in one process; `first` is process start to the first step's logged metrics through the real command, cache warm.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from harness import HERE, Worker, environment_of, python_of, rate, rounds
from step import ARCHITECTURE, LENGTH, ROUNDS, ROWS, batch

THIS = HERE.parent


def show(title: str, seconds: dict[str, list[float]], note: str = "") -> None:
    this, other = median(seconds["this"]), median(seconds["other"])
    ratios = sorted(a / b for a, b in zip(seconds["other"], seconds["this"], strict=True))
    spread = f"{ratios[0]:.2f} to {ratios[-1]:.2f} by round"
    print(f"{title:<34} {other / this:5.3f}  ({spread}; {other:.2f} s then, {this:.2f} s now{note})", flush=True)


def steps(trees: dict[str, Path], folder: Path, method: str) -> None:
    settings = {"architecture": ARCHITECTURE, "method": method, "threads": 2, "rows": ROWS, "length": LENGTH}
    workers = {
        name: Worker("jax_worker.py", settings, folder, f"{name}-{method}", tree) for name, tree in trees.items()
    }
    commands: dict[str, dict[str, Any]] = {}
    if method == "decode":
        for rows in (1, 8):
            commands[f"decode, batch {rows}"] = {"do": "decode", "prompt_tokens": 64, "rows": rows, "new_tokens": 33}
    else:
        path = batch(folder, f"{method}-batch", share=0.4)
        commands[f"{method}, 40% of tokens with loss"] = {"do": "train", "batch": path}
    for title, command in commands.items():
        answers = rounds(workers, dict.fromkeys(workers, command), ROUNDS)
        tokens = answers["this"][0].get("tokens", ROWS * LENGTH)
        note = f"; {rate(answers['this'], tokens):,.0f} tokens/s"
        if "peak_gib" in answers["this"][-1]:
            note += f"; peak GiB {answers['other'][-1]['peak_gib']:.2f} then, {answers['this'][-1]['peak_gib']:.2f} now"
        show(title, {name: [answer["seconds"] for answer in of] for name, of in answers.items()}, note)
    for worker in workers.values():
        worker.close()


def in_turns(trees: dict[str, Path], run: Callable[[str, Path], float], count: int) -> dict[str, list[float]]:
    """Seconds of `count` rounds in turns; a first round is thrown away."""
    seconds: dict[str, list[float]] = {name: [] for name in trees}
    for number in range(count + 1):
        for name, tree in trees.items():
            took = run(name, tree)
            if number:
                seconds[name].append(took)
    return seconds


def preparing(trees: dict[str, Path]) -> None:
    def run(name: str, tree: Path) -> float:
        command = [python_of(tree), str(tree / "benchmarks" / "prepare.py"), "child", "--tokenizer", "bytes"]
        words = ["--made", "20000", "--set", "data.mixture=[benchmark_made_task]", "data.max_examples=20000"]
        done = subprocess.run(
            [*command, *words, "data.prepare_processes=1"],
            env=environment_of(tree), check=True, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        return json.loads(done.stdout.splitlines()[-1])["seconds"]

    show("prepare, 20,000 examples", in_turns(trees, run, ROUNDS))


def first_step(trees: dict[str, Path], folder: Path) -> None:
    config = {
        "model": {"architecture": ARCHITECTURE, "tokenizer": "bytes"},
        "batch": {"rows": ROWS, "length": LENGTH},
        "train": {"steps": 1},
    }
    for name in trees:
        own = {
            "data": {"mixture": "starter_small", "store": str(folder / name)},
            "logging": {"tensorboard": False, "compilation_cache": str(folder / f"cache-{name}")},
        }
        (folder / f"{name}.yaml").write_text(json.dumps(config | own))  # JSON is YAML

    def run(name: str, tree: Path) -> float:
        started = time.time()
        run = folder / f"run-{name}-{started}"
        command = [python_of(tree), "-m", "flan_jax", "train", str(folder / f"{name}.yaml"), f"run.dir={run}"]
        subprocess.run(command, env=environment_of(tree), cwd=folder, check=True, capture_output=True)
        return (run / "metrics.jsonl").stat().st_mtime - started

    show("first step, warm cache", in_turns(trees, run, 3))


def main() -> None:
    other, *parts = sys.argv[1:]
    trees = {"other": Path(other).resolve(), "this": THIS}
    print(f"{THIS.name} against {other}, ratios above 1: faster now", flush=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for part in parts or ["lora", "full", "decode", "prepare", "first"]:
            if part == "prepare":
                preparing(trees)
            elif part == "first":
                first_step(trees, folder)
            else:
                steps(trees, folder, part)


if __name__ == "__main__":
    main()
