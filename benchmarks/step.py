"""Training and decoding on the SmolLM2-135M shape, beside torch + transformers + peft where they are installed.

    python benchmarks/step.py              all of it, some 20 minutes on two cores
    python benchmarks/step.py lora decode  parts: lora, full, short, decode, first

All contenders of a part are measured in turns within one run, so the ratios hold where the absolute numbers of a busy
machine do not. Weights are random in the model's shape. `short` compares useful tokens a second on the starter mixture
(real short instruction data): our packed rows against torch padding to the row, and to the longest of the batch.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from harness import Worker, rate, rounds

ROWS, LENGTH = 4, 512
ARCHITECTURE: dict[str, Any] = {
    "model_type": "llama", "vocab_size": 49152, "hidden_size": 576, "intermediate_size": 1536,
    "num_hidden_layers": 30, "num_attention_heads": 9, "num_key_value_heads": 3, "head_dim": 64,
    "rms_norm_eps": 1e-5, "rope_theta": 100_000.0, "tie_word_embeddings": True, "max_position_embeddings": 8192,
}  # fmt: skip
PARAMETERS = 134_515_008
ROUNDS = 5
HAS_TORCH = all(importlib.util.find_spec(name) for name in ("torch", "transformers", "peft"))


def batch(folder: Path, name: str, *, share: float, segments: int = 8) -> str:
    """A packed batch with `share` of its tokens carrying loss."""
    rng = np.random.default_rng(1)
    shape = (ROWS, LENGTH)
    size = LENGTH // segments
    arrays = {
        "inputs": rng.integers(0, 49_000, shape, dtype=np.int32),
        "targets": rng.integers(0, 49_000, shape, dtype=np.int32),
        "weights": (rng.random(shape) < share).astype(np.float32),
        "segments": np.broadcast_to(np.repeat(np.arange(1, segments + 1, dtype=np.int32), size), shape),
        "positions": np.broadcast_to(np.tile(np.arange(size, dtype=np.int32), segments), shape),
        "tasks": np.zeros(shape, np.int32),
    }
    path = folder / f"{name}.npz"
    np.savez(path, **arrays)
    return str(path)


def workers(folder: Path, method: str) -> dict[str, Worker]:
    settings = {
        "architecture": ARCHITECTURE,
        "method": method,
        "threads": os.cpu_count(),
        "rows": ROWS,
        "length": LENGTH,
    }
    found = {"flan_jax": Worker("jax_worker.py", settings, folder, f"flan_jax-{method}")}
    if HAS_TORCH:
        found["torch"] = Worker("torch_worker.py", settings, folder, f"torch-{method}")
    return found


def compare(title: str, rates: dict[str, float], unit: str, extra: str = "") -> None:
    parts = [f"{name} {value:,.1f}" for name, value in rates.items()]
    ratio = f"  ratio {rates['flan_jax'] / rates['torch']:.2f}" if "torch" in rates else "  (torch not installed)"
    print(f"{title:<42} {unit}: {'  '.join(parts)}{ratio}{extra}", flush=True)


def training(folder: Path, method: str, shares: tuple[float, ...]) -> None:
    contenders = workers(folder, method)
    for share in shares:
        path = batch(folder, f"share-{share}", share=share)
        command = {"do": "train", "batch": path}
        answers = rounds(contenders, dict.fromkeys(contenders, command), ROUNDS)
        rates = {name: rate(found, ROWS * LENGTH) for name, found in answers.items()}
        peak = contenders["flan_jax"].ask(do="matmul", size=2048)
        flops = rates["flan_jax"] * (4 if method == "lora" else 6) * PARAMETERS
        memory = ", ".join(f"{name} {found[-1]['peak_gib']:.2f}" for name, found in answers.items())
        share_of_peak = flops / (peak["flops"] / peak["seconds"])
        title = f"{method}, {share:.0%} of tokens with loss"
        compare(title, rates, "tokens/s", f"  {share_of_peak:.0%} of matmul peak; peak GiB: {memory}")
    for worker in contenders.values():
        worker.close()


def decoding(folder: Path) -> None:
    contenders = workers(folder, "decode")
    for rows in (1, 8):
        command = {"do": "decode", "prompt_tokens": 64, "rows": rows, "new_tokens": 33}
        answers = rounds(contenders, dict.fromkeys(contenders, command), ROUNDS)
        compare(f"decode, batch {rows}", {name: rate(a, a[0]["tokens"]) for name, a in answers.items()}, "tokens/s")
    for worker in contenders.values():
        worker.close()


def short_data(folder: Path) -> None:
    """Useful tokens a second on the starter mixture's own lengths."""
    from flan_jax.config_file import parse_config
    from flan_jax.data.plan.loader import Loader
    from flan_jax.data.plan.plan import make_plan
    from flan_jax.data.prepare.opened import open_prepared
    from flan_jax.data.prepare.prepare import prepare
    from flan_jax.data.registry.resolve import resolve_run
    from flan_jax.text.byte_tokenizer import BYTES
    from flan_jax.text.chat import make_encoder
    from flan_jax.text.tokenizer import load_tokenizer

    tokenizer = os.environ.get("FLAN_JAX_SMOLLM2", BYTES)
    config = parse_config(
        {
            "run": {"dir": str(folder / "short")},
            "batch": {"rows": ROWS, "length": LENGTH},
            "model": {"tokenizer": tokenizer},
        },
        "benchmark",
    )
    encoder = make_encoder("auto", load_tokenizer(tokenizer), "default", is_encoder_decoder=False)
    prepare(config, encoder, resolve_run(config))
    prepared = open_prepared(config, encoder, resolve_run(config))
    plan = make_plan(config, prepared.train, prepared.resolved.mixture)
    with Loader(plan, prepared.train, rows=slice(0, ROWS), position=plan.start(), workers=0) as loader:
        packed, _ = next(loader)
    packed_path = folder / "packed.npz"
    packed["inputs"] %= 49_000
    np.savez(packed_path, **packed)
    useful = {"flan_jax": float((packed["segments"] > 0).sum())}
    lengths = np.concatenate([store.lengths[:, 0] for store in prepared.train.values()])
    rng = np.random.default_rng(0)
    chosen = [rng.choice(lengths, ROWS) for _ in range(ROUNDS + 1)]
    contenders = workers(folder, "lora")
    if not HAS_TORCH:
        print("short data: torch is not installed; nothing to compare with")
        return
    seconds: dict[str, list[float]] = {"flan_jax": [], "torch, padded to the row": [], "torch, to the longest": []}
    tokens: dict[str, list[float]] = {name: [] for name in seconds}
    for number, picked in enumerate(chosen):
        ours = contenders["flan_jax"].ask(do="train", batch=str(packed_path))
        measured = {"flan_jax": (ours["seconds"], useful["flan_jax"])}
        for name, width in (("torch, padded to the row", LENGTH), ("torch, to the longest", int(picked.max()))):
            weights = (np.arange(width) < picked[:, None]).astype(np.float32)
            weights[:, : width // 3] = 0
            path = folder / "padded.npz"
            np.savez(
                path, inputs=np.ones((ROWS, width), np.int32), targets=np.ones((ROWS, width), np.int32), weights=weights
            )
            answer = contenders["torch"].ask(do="train", batch=str(path))
            measured[name] = (answer["seconds"], float(picked.sum()))
        if number:  # the first round warms up
            for name, (took, count) in measured.items():
                seconds[name].append(took)
                tokens[name].append(count)
    rates = {name: sum(tokens[name]) / sum(seconds[name]) for name in seconds}
    ours = rates.pop("flan_jax")
    print(
        f"starter mixture, mean example {lengths.mean():.0f} tokens, useful tokens/s: flan_jax {ours:,.0f}", flush=True
    )
    for name, value in rates.items():
        print(f"  {name}: {value:,.0f}  ratio {ours / value:.2f}", flush=True)
    for worker in contenders.values():
        worker.close()


def first_step(folder: Path) -> None:
    """Seconds from process start to the first step's result, through the real command."""
    config = {
        "run": {"dir": str(folder / "first")},
        "model": {"architecture": ARCHITECTURE, "tokenizer": "bytes"},
        "data": {"mixture": "starter_small"},
        "batch": {"rows": ROWS, "length": LENGTH},
        "train": {"steps": 1},
        "logging": {"compilation_cache": str(folder / "cache"), "tensorboard": False},
    }
    weights = os.environ.get("FLAN_JAX_SMOLLM2")
    if weights:
        config["model"] = {"path": weights}
    path = folder / "first.yaml"
    path.write_text(json.dumps(config))  # JSON is YAML
    command = [sys.executable, "-m", "flan_jax"]
    subprocess.run([*command, "prepare", str(path)], check=True, capture_output=True)
    for label in ("cold", "warm", "warm"):
        started = time.time()
        run = f"run.dir={folder / 'first'}-{label}-{started}"
        subprocess.run(
            [*command, "train", str(path), run, f"data.store={folder / 'first' / 'store'}"],
            check=True,
            capture_output=True,
        )
        metrics = next(Path(run.partition("=")[2]).glob("metrics.jsonl"))
        done = metrics.stat().st_mtime - started
        print(
            f"first step, {label} compilation cache: {done:.1f} s from process start to its logged metrics", flush=True
        )


def main() -> None:
    parts = sys.argv[1:] or ["lora", "full", "short", "decode", "first"]
    print(f"{os.cpu_count()} cores, batch {ROWS} x {LENGTH}, medians of {ROUNDS} rounds in turns", flush=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        todo = {
            "lora": lambda: training(folder, "lora", (0.4, 1.0)),
            "full": lambda: training(folder, "full", (0.4,)),
            "short": lambda: short_data(folder),
            "decode": lambda: decoding(folder),
            "first": lambda: first_step(folder),
        }
        for part in parts:
            todo[part]()


if __name__ == "__main__":
    main()
