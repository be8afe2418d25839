"""One process of a tiny run, for tests that kill it or start several: resumes where it stands, notes each batch.

Not a test by itself. Arguments: run folder, JSON of {"mesh", "devices", "every_steps", "steps"}. Several processes are
joined by the product's own environment variables.
"""

import hashlib
import json
import sys
from pathlib import Path

import jax

FOLDER, SETTINGS = Path(sys.argv[1]), json.loads(sys.argv[2])

jax.config.update("jax_platforms", "cpu")
jax.config.update("jax_num_cpu_devices", SETTINGS["devices"])
jax.config.update("jax_compilation_cache_dir", str(FOLDER.parent / "cache"))
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)

from flan_jax.parallel import multihost  # noqa: E402

multihost.start()

import numpy as np  # noqa: E402
from tiny_run import NUM_TASKS, TinyRun, batch_at, tiny_config, tiny_mesh  # noqa: E402

from flan_jax.model.blueprint import flat_parameters  # noqa: E402
from flan_jax.parallel.mesh import host_rows  # noqa: E402
from flan_jax.train.checkpoint import Checkpoints  # noqa: E402
from flan_jax.train.loop import Progress, train_loop  # noqa: E402
from flan_jax.train.state import abstract_state  # noqa: E402


class Place:
    def __init__(self, number: int):
        self.number = number

    def to_dict(self) -> dict[str, int]:
        return {"number": self.number}


class Teller:
    """Tells the parent process, line by line."""

    def log(self, step: int, metrics: dict[str, float]) -> None:
        tell(step=step, loss=metrics["train/loss"])


def tell(**facts) -> None:
    # on a line of its own: the collective library may have written half a line before
    print(f"\n{json.dumps(facts)}", flush=True)


def batches(number: int, rows: slice):
    while True:
        batch = {name: x[rows] for name, x in batch_at(number).items()}
        digest = hashlib.sha256(b"".join(batch[name].tobytes() for name in sorted(batch))).hexdigest()
        number += 1
        tell(batch=number, digest=digest)
        yield batch, Place(number)


def main() -> None:
    config = tiny_config(
        tuning={"method": "lora", "lora": {"rank": 2, "dropout": 0.1}},
        train={"steps": SETTINGS["steps"]},
        checkpoint={"every_steps": SETTINGS["every_steps"], "keep": 3},
        logging={"every_steps": 1},
    )
    run = TinyRun(config, tiny_mesh(*SETTINGS["mesh"]))
    with Checkpoints(FOLDER / "checkpoints", config=config, fingerprints={"store": "s"}) as checkpoints:
        restored, damaged = checkpoints.restore_latest(abstract_state(run.parts.tuned, run.optimizer, run.mesh))
        tell(damaged=[damage.name for damage in damaged], resumed=restored and restored.metadata.step)
        state = run.init() if restored is None else restored.state
        first = 0 if restored is None else restored.metadata.position["number"]
        with jax.set_mesh(run.mesh):
            ended = train_loop(
                state,
                config=config,
                step=lambda state, batch: run.step(state, run.parts.frozen, batch),
                batches=batches(first, host_rows(run.mesh, 8)),
                place=run.place,
                mesh=run.mesh,
                task_names=[str(task) for task in range(NUM_TASKS)],
                requested=lambda step: {str(task): 1 / NUM_TASKS for task in range(NUM_TASKS)},
                reporters=[Teller()],
                evaluate=None,
                checkpoints=checkpoints,
                progress=Progress(),
            )
    whole = jax.sharding.NamedSharding(run.mesh, jax.sharding.PartitionSpec())
    tuned = jax.jit(lambda x: x, out_shardings=whole)(ended.state.tuned)
    if multihost.is_main():
        weights = {name: np.asarray(leaf.get_value()) for name, leaf in flat_parameters(tuned).items()}
        np.savez(FOLDER / "final.npz", **weights)
    tell(ended=int(ended.state.step))


if __name__ == "__main__":
    main()
