"""flan_jax's side of the benchmarks, driven line by line over a pipe like `torch_worker.py`."""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from flan_jax.config_file import parse_config
from flan_jax.generate.decoder import Decoder
from flan_jax.generate.sampling import GREEDY
from flan_jax.model.load import create
from flan_jax.parallel.mesh import make_mesh, place_batch
from flan_jax.train.objectives import OBJECTIVES
from flan_jax.train.optimizer import make_optimizer, make_schedule
from flan_jax.train.state import init_state
from flan_jax.train.step import StepSettings, make_train_step


class Worker:
    def __init__(self, settings: dict[str, Any]):
        method = settings["method"]
        self.config = parse_config(
            {
                "model": {"architecture": settings["architecture"], **settings.get("model", {})},
                "tuning": {"method": "full" if method == "full" else "lora"},
                "batch": {"rows": settings["rows"], "length": settings["length"]},
            },
            "benchmark",
        )
        self.mesh = make_mesh(self.config.mesh)
        self.parts = create(self.config, self.mesh)
        self.decoders: dict[int, Decoder] = {}
        self.rng = np.random.default_rng(0)
        if method != "decode":
            config = self.config
            schedule = make_schedule(config.schedule, peak=config.optimizer.learning_rate, steps=1000)
            optimizer = make_optimizer(config.optimizer, schedule, self.parts.tuned)
            self.state = init_state(self.parts.tuned, optimizer, self.mesh)
            step = make_train_step(
                self.parts.graphdef, self.parts.tuned, self.parts.frozen, optimizer, schedule,
                StepSettings.from_config(config, 1, has_dropout=False), self.mesh, objective=OBJECTIVES["sft"],
            )  # fmt: skip
            self.step = step

    def train(self, batch: str) -> dict[str, float]:
        """One optimizer step on an .npz batch; the result is waited for."""
        arrays = dict(np.load(batch))
        started = time.perf_counter()
        with jax.set_mesh(self.mesh):
            placed = place_batch(arrays, self.mesh, len(arrays["inputs"]))
            self.state, metrics = self.step(self.state, self.parts.frozen, placed)
            metrics = jax.device_get(metrics)
        return {"seconds": time.perf_counter() - started, "loss": float(metrics["loss"] / metrics["weight"])}

    def decode(self, prompt_tokens: int, rows: int, new_tokens: int) -> dict[str, float]:
        """Greedy decoding without a stop; the prompt's own time is taken off, as for torch."""
        if rows not in self.decoders:
            self.decoders[rows] = Decoder(
                self.parts.graphdef, self.mesh, kind="decoder", rows=rows, stop_ids=(), longest=None
            )
        prompts = self.rng.integers(5, 40_000, (rows, prompt_tokens)).tolist()
        seconds = {}
        for count in (1, new_tokens):
            started = time.perf_counter()
            self.decoders[rows](self.parts.tuned, self.parts.frozen, prompts, max_new_tokens=count, sampling=GREEDY)
            seconds[count] = time.perf_counter() - started
        return {"seconds": seconds[new_tokens] - seconds[1], "tokens": rows * (new_tokens - 1)}

    def matmul(self, size: int) -> dict[str, float]:
        """FLOPs a second of one large bfloat16 product with float32 sums, the machine's practical peak."""
        x = jnp.ones((size, size), jnp.bfloat16)
        product = jax.jit(lambda a, b: jnp.matmul(a, b, preferred_element_type=jnp.float32))
        product(x, x).block_until_ready()
        started = time.perf_counter()
        for _ in range(4):
            product(x, x).block_until_ready()
        return {"seconds": time.perf_counter() - started, "flops": 4 * 2 * size**3}


def main() -> None:
    worker = Worker(json.loads(Path(sys.argv[1]).read_text()))
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        command = json.loads(line)
        answer = getattr(worker, command.pop("do"))(**command)
        answer["peak_gib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
