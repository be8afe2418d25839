"""Preparing: tokens a second with one process and with several, and that memory stays flat as a task grows.

    python benchmarks/prepare.py speed --tokenizer DIR [--set a.b=c …]     a mixture; none: the starter mixture
    python benchmarks/prepare.py memory --tokenizer DIR --examples 500000 5000000      one made task of that many

Each measurement is a process of its own, so that its peak memory is its own. Tokens are those that land in the store.

Measured on two cores with SmolLM2's tokenizer: the chain-of-thought tasks (10.9M tokens) at 530,000 tokens/s in one
process, 750,000 in two; 500,000 made examples in 125 MiB at most, 5,000,000 in 127 MiB.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from flan_jax.config import Config
from flan_jax.config_file import load_config
from flan_jax.data.prepare.prepare import prepare
from flan_jax.data.registry import IterableSource, TaskSpec, Template, add_task
from flan_jax.text.chat import make_encoder
from flan_jax.text.tokenizer import load_tokenizer

MADE = "benchmark_made_task"
_WORDS = (
    "time",
    "year",
    "people",
    "way",
    "day",
    "thing",
    "life",
    "child",
    "world",
    "school",
    "state",
    "family",
    "city",
)


def speed(tokenizer: str, processes: list[int], overrides: list[str]) -> None:
    print("processes    seconds      M tokens     tokens/s   MiB at most   in a worker")
    for count in processes:
        show(str(count), measured(tokenizer, [*overrides, f"data.prepare_processes={count}"]))


def memory(tokenizer: str, sizes: list[int], overrides: list[str]) -> None:
    print(" examples    seconds      M tokens     tokens/s   MiB at most   in a worker")
    for size in sizes:
        words = [f"data.mixture=[{MADE}]", f"data.max_examples={size}", *overrides]
        show(f"{size:,}", measured(tokenizer, words, made_examples=size))


def measured(tokenizer: str, overrides: list[str], *, made_examples: int = 0) -> dict[str, float]:
    command = [sys.executable, __file__, "child", "--tokenizer", tokenizer, "--made", str(made_examples)]
    output = subprocess.run([*command, "--set", *overrides], check=True, stdout=subprocess.PIPE, text=True).stdout
    return json.loads(output.splitlines()[-1])


def show(label: str, found: dict[str, float]) -> None:
    rate = found["tokens"] / found["seconds"]
    print(
        f"{label:>9} {found['seconds']:10.1f} {found['tokens'] / 1e6:13.2f} {rate:12,.0f} {found['mib']:13,.0f}"
        f" {found['worker_mib']:13,.0f}",
        flush=True,
    )


def child(tokenizer: str, made_examples: int, overrides: list[str]) -> None:
    """Prepares once and prints what it took; the worker's memory is that of the largest one."""
    if made_examples:
        add_made_task(made_examples)
    encoder = make_encoder("auto", load_tokenizer(tokenizer), "default", is_encoder_decoder=False)
    with tempfile.TemporaryDirectory() as folder:
        report = prepare(run := config_of(folder, overrides), encoder, resolve_run(run))
    peaks = [resource.getrusage(who).ru_maxrss / 1024 for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    print(json.dumps({"seconds": report.seconds, "tokens": report.num_tokens, "mib": peaks[0], "worker_mib": peaks[1]}))


def config_of(folder: str, overrides: list[str]) -> Config:
    file = Path(folder, "config.yaml")
    file.write_text("{}")
    return load_config(file, [f"run.dir={folder}/run", *overrides])


def add_made_task(count: int) -> None:
    """A task of short made examples: what costs memory is their number."""

    def records(split: str) -> Iterator[dict[str, str]]:
        for number in range(count if split == "train" else 100):
            first, second = _WORDS[number % 13], _WORDS[number // 13 % 13]
            yield {"question": f"Which comes first, {first} or {second} ({number})?", "answer": min(first, second)}

    add_task(
        TaskSpec(
            MADE,
            "made",
            IterableSource(records, version=str(count), name="benchmark"),
            templates=(Template("{question}"), Template("Answer: {question}")),
            metrics=("exact_match",),
        )
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("speed", "memory", "child"))
    parser.add_argument("--tokenizer", default="bytes", help="folder or file of a tokenizer; bytes: one of bytes")
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--examples", type=int, nargs="+", default=[500_000, 5_000_000])
    parser.add_argument("--made", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--set", nargs="*", default=[], metavar="a.b=c", help="settings of the config")
    arguments = parser.parse_args()
    overrides = arguments.set
    if arguments.what == "speed":
        speed(arguments.tokenizer, arguments.processes, overrides)
    elif arguments.what == "memory":
        memory(arguments.tokenizer, arguments.examples, overrides)
    else:
        child(arguments.tokenizer, arguments.made, overrides)


if __name__ == "__main__":
    main()
