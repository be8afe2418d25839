"""Prints how fast batches are planned, packed and loaded, and how full their rows are; needs no model and no data.

    python benchmarks/packing.py

Lengths are drawn from log-normal distributions like those of instruction data: `short` like one-sentence tasks,
`reasoning` like chains of thought. Times are of one process; a busy machine makes them longer.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from flan_jax.data.plan.loader import Loader
from flan_jax.data.plan.packing import lower_bound, pack
from flan_jax.data.plan.plan import Plan
from flan_jax.data.spec.source import TRAIN
from flan_jax.data.store.folders import new_folder
from flan_jax.data.store.record import TokenRecord
from flan_jax.data.store.shards import finish_shard, merge_shards, shard_name
from flan_jax.data.store.store import ReaderPool, RecordWriter, Store

ROWS, LENGTH, WINDOW_BATCHES = 8, 512, 64


@dataclass(frozen=True)
class Lengths:
    """Lengths of a task's records, without the records."""

    lengths: np.ndarray
    loss_tokens: np.ndarray
    starts: np.ndarray
    content: str = "drawn"


def drawn(random: np.random.Generator, count: int, median: float, spread: float, longest: int) -> np.ndarray:
    return np.clip(random.lognormal(np.log(median), spread, count), 4, longest).astype(np.int32)


def fastest_s(action: Callable[[], object], times: int = 5) -> float:
    """Shortest of several runs: the others were disturbed."""
    spans = []
    for _ in range(times):
        begin = time.perf_counter()
        action()
        spans.append(time.perf_counter() - begin)
    return min(spans)


def packing() -> None:
    random = np.random.default_rng(0)
    cases = {
        "short, 512": (np.stack([drawn(random, 3_500, 65, 0.6, 512)], 1), (512,)),
        "short, 512, large window": (np.stack([drawn(random, 110_000, 65, 0.6, 512)], 1), (512,)),
        "alike (61 ± 7), 256": (random.normal(61, 7, 1_100).round().astype(np.int32)[:, None], (256,)),
        "reasoning, 512": (np.stack([drawn(random, 1_500, 170, 0.5, 512)], 1), (512,)),
        "pairs, inputs bind, 512/128": (
            np.stack([drawn(random, 3_300, 65, 0.6, 512), drawn(random, 3_300, 8, 0.6, 128)], 1),
            (512, 128),
        ),
        "pairs, both bind, 1024/256": (
            np.stack([drawn(random, 3_000, 150, 0.6, 1024), drawn(random, 3_000, 35, 0.8, 256)], 1),
            (1024, 256),
        ),
    }
    print("packing                          M tokens/s    rows  lower bound   fill")
    for name, (lengths, capacities) in cases.items():
        seconds = fastest_s(lambda lengths=lengths, capacities=capacities: pack(lengths, capacities))
        rows, least = int(pack(lengths, capacities).max()) + 1, lower_bound(lengths, capacities)
        fill = max(lengths.sum(axis=0) / (rows * np.array(capacities)))
        print(f"{name:32} {lengths.sum() / seconds / 1e6:10.1f} {rows:7} {least:12} {fill:6.2%}")


def planning() -> None:
    random = np.random.default_rng(1)
    print("\nplanning a window                M tokens/s   milliseconds  examples   fill")
    for count in (10, 1000):
        stores = {}
        for task in range(count):
            lengths = drawn(random, 2_000, 65, 0.6, LENGTH)[:, None]
            stores[f"task{task}"] = Lengths(lengths, np.ones(2_000, np.int32), np.arange(2_001))
        rates = dict.fromkeys(stores, 1 / count)
        plan = Plan(stores, rates, rows=ROWS, capacities=(LENGTH,), window_batches=WINDOW_BATCHES, seed=0)
        seconds = fastest_s(lambda plan=plan: plan.window(3, ()))
        window = plan.window(3, ())
        tokens = int(window.content.lengths.sum())
        fill = tokens / (window.num_rows * LENGTH)
        speed = f"{tokens / seconds / 1e6:31.1f} {seconds * 1e3:14.1f}"
        print(f"{count:5} tasks {speed} {len(window.content.tasks):9} {fill:8.2%}")


def write_stores(root: Path, num_tasks: int, num_examples: int) -> dict[str, Store]:
    random = np.random.default_rng(2)
    readers = ReaderPool()
    stores = {}
    for task in range(num_tasks):
        with new_folder(root / f"task{task}") as folder:
            path = folder / shard_name(TRAIN, 0)
            writer = RecordWriter(path)
            for number, length in enumerate(drawn(random, num_examples, 65, 0.6, LENGTH).tolist()):
                tokens = random.integers(0, 49_152, length).astype(np.int32)
                writer.write(TokenRecord(number, 0, tokens, (np.arange(length) >= length * 0.6).astype(np.float32)))
            writer.close()
            shard = finish_shard(path, 0, writer, inputs="", dropped={}, num_cut=0, shots={})
            merge_shards(folder, [shard], kind="tokens", spec={}, dropped={})
        stores[f"task{task}"] = Store(root / f"task{task}", readers)
    return stores


def loading() -> None:
    print("\nloading, 8 × 512                 M tokens/s   milliseconds a batch")
    with tempfile.TemporaryDirectory() as folder:
        stores = write_stores(Path(folder), num_tasks=20, num_examples=1_000)
        rates = dict.fromkeys(stores, 1 / len(stores))
        plan = Plan(stores, rates, rows=ROWS, capacities=(LENGTH,), window_batches=WINDOW_BATCHES, seed=0)
        for workers in (0, 1, 2):
            with Loader(plan, stores, rows=slice(0, ROWS), position=plan.start(), workers=workers) as loader:
                next(loader)
                num_batches = 4 * WINDOW_BATCHES
                begin = time.perf_counter()
                tokens = sum(int(np.count_nonzero(next(loader)[0]["segments"])) for _ in range(num_batches))
                seconds = time.perf_counter() - begin
            print(f"{workers} threads {tokens / seconds / 1e6:33.2f} {seconds / num_batches * 1e3:14.2f}")


if __name__ == "__main__":
    packing()
    planning()
    loading()
