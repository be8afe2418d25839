"""Interleaved measuring: each contender is a process that works only when told to, so that all share one machine mood.

A worker reads one JSON command a line and answers with one JSON line (`ready` first). The rounds go A B C, A B C, …;
what is reported is the median of each, and ratios of medians, since other work on the machine moves all of them alike.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Any

HERE = Path(__file__).parent


def python_of(tree: Path) -> str:
    """The interpreter that measures a checkout: of its own environment (`make env` there), else this one."""
    own = tree / f".venv-{sys.version_info[0]}.{sys.version_info[1]}" / "bin" / "python"
    return str(own) if own.exists() else sys.executable


def environment_of(tree: Path) -> dict[str, str]:
    # a spinning OpenMP thread would hold the core that another contender is measured on
    fixed = {"GOMP_SPINCOUNT": "0", "JAX_PLATFORMS": "cpu", "TF_CPP_MIN_LOG_LEVEL": "3"}
    return os.environ | fixed | {"PYTHONPATH": str(tree)}


class Worker:
    """One contender in a process of its own."""

    def __init__(self, script: str, settings: Mapping[str, Any], folder: Path, name: str, tree: Path = HERE.parent):
        path = folder / f"{name}.json"
        path.write_text(json.dumps(settings))
        self.name = name
        self._log = (folder / f"{name}.log").open("w")
        self._process = subprocess.Popen(
            [python_of(tree), str(tree / "benchmarks" / script), str(path)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log, text=True, env=environment_of(tree),
        )  # fmt: skip
        self._read()

    def ask(self, **command: Any) -> dict[str, Any]:
        """Send one command and wait for its answer."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()
        return self._read()

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()
        self._log.close()

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"worker '{self.name}' died; see {self._log.name}")
        return json.loads(line)


def rounds(workers: Mapping[str, Worker], commands: Mapping[str, dict[str, Any]], count: int) -> dict[str, list[dict]]:
    """The answers of `count` rounds in which every worker runs its command once; a first round is thrown away."""
    for name, worker in workers.items():
        worker.ask(**commands[name])
    answers: dict[str, list[dict]] = {name: [] for name in workers}
    for _ in range(count):
        for name, worker in workers.items():
            answers[name].append(worker.ask(**commands[name]))
    return answers


def rate(answers: list[dict], tokens: float) -> float:
    """Median tokens a second."""
    return tokens / median(answer["seconds"] for answer in answers)
