"""A tiny run for the training tests: a random Llama of two layers, and packed batches made from their number."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from flan_jax.config import Config, MeshConfig
from flan_jax.config_file import parse_config
from flan_jax.model.load import Parts, create
from flan_jax.parallel.mesh import host_rows, make_mesh, place_batch
from flan_jax.train.objectives import OBJECTIVES
from flan_jax.train.optimizer import make_optimizer, make_schedule
from flan_jax.train.state import init_state
from flan_jax.train.step import StepSettings, make_train_step

VOCABULARY, ROWS, LENGTH, NUM_TASKS = 64, 8, 16, 3
ARCHITECTURE = {
    "model_type": "llama",
    "vocab_size": VOCABULARY,
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "tie_word_embeddings": True,
}


def tiny_config(**sections: Any) -> Config:
    """Float32, LoRA of rank 2 with a high rate, so that a few steps move the loss; sections are merged in."""
    tree: dict[str, Any] = {
        "model": {"architecture": ARCHITECTURE, "compute_dtype": "float32", "frozen_dtype": "float32"},
        "tuning": {"method": "lora", "lora": {"rank": 2}},
        "batch": {"rows": ROWS, "length": LENGTH},
        "optimizer": {"learning_rate": 1e-2, "weight_decay": 0.1},
        "schedule": {"kind": "cosine", "warmup_steps": 2},
        "train": {"steps": 12},
    }
    for name, section in sections.items():
        tree[name] = {**tree.get(name, {}), **section}
    return parse_config(tree, "tiny config")


def tiny_mesh(data: int = 1, fsdp: int = 1, tensor: int = 1):
    return make_mesh(MeshConfig(data=data, fsdp=fsdp, tensor=tensor))


def batch_at(number: int, rows: int = ROWS) -> dict[str, np.ndarray]:
    """Two or three examples a row, with some padding; the first third of an example carries no loss."""
    rng = np.random.default_rng(number)
    batch = {name: np.zeros((rows, LENGTH), np.int32) for name in ("inputs", "targets", "segments", "positions")}
    batch["weights"] = np.zeros((rows, LENGTH), np.float32)
    batch["tasks"] = np.full((rows, LENGTH), -1, np.int32)
    for row in range(rows):
        offset = 0
        for segment in range(1, 4):
            size = int(rng.integers(3, 7))
            if offset + size > LENGTH:
                break
            # a step of 1 or 2 through the vocabulary: something that two layers can learn
            ids = (rng.integers(VOCABULARY) + rng.integers(1, 3) * np.arange(size + 1)) % VOCABULARY
            place = (row, slice(offset, offset + size))
            batch["inputs"][place], batch["targets"][place] = ids[:-1], ids[1:]
            batch["segments"][place], batch["positions"][place] = segment, np.arange(size)
            batch["weights"][place] = np.arange(size) >= size // 3
            batch["tasks"][place] = rng.integers(NUM_TASKS)
            offset += size
    return batch


class TinyRun:
    """The parts of a run on a mesh, wired as the command line wires them."""

    def __init__(self, config: Config, mesh: jax.sharding.Mesh):
        self.config, self.mesh = config, mesh
        self.parts: Parts = create(config, mesh)
        self.schedule = make_schedule(config.schedule, peak=config.optimizer.learning_rate, steps=config.train.steps)
        self.optimizer = make_optimizer(config.optimizer, self.schedule, self.parts.tuned)
        self.step = make_train_step(
            self.parts.graphdef,
            self.parts.tuned,
            self.parts.frozen,
            self.optimizer,
            self.schedule,
            StepSettings.from_config(config, NUM_TASKS, has_dropout=self.parts.blueprint.has_dropout),
            mesh,
            objective=OBJECTIVES["sft"],
        )

    def init(self):
        # copied, as the step donates its state and a test may begin twice
        return init_state(jax.tree.map(jnp.copy, self.parts.tuned), self.optimizer, self.mesh)

    def place(self, batch: dict[str, np.ndarray]) -> dict[str, jax.Array]:
        return place_batch(batch, self.mesh, ROWS)

    def batch(self, number: int) -> dict[str, jax.Array]:
        rows = host_rows(self.mesh, ROWS)
        return self.place({name: x[rows] for name, x in batch_at(number).items()})

    def run(self, steps: int, state: Any = None) -> tuple[Any, list[dict[str, np.ndarray]]]:
        state = self.init() if state is None else state
        history = []
        for number in range(steps):
            state, metrics = self.step(state, self.parts.frozen, self.batch(number))
            history.append(jax.device_get(metrics))
        return state, history


def mean_losses(history: list[dict[str, np.ndarray]]) -> np.ndarray:
    return np.array([metrics["loss"] / metrics["weight"] for metrics in history])
