import os
import socket
import subprocess
import sys

import pytest

from flan_jax.errors import InputError
from flan_jax.parallel import multihost

VARIABLES = (multihost.COORDINATOR, multihost.COUNT, multihost.INDEX)
# each process has 2 devices and feeds its half of the rows; the sum over all of them is made by both
WORKER = """
import sys
import jax, numpy as np
jax.config.update("jax_platforms", "cpu")
jax.config.update("jax_num_cpu_devices", 2)
from flan_jax.config import MeshConfig
from flan_jax.parallel import mesh as meshes, multihost
multihost.start()
multihost.start()  # as each method of a Run does
mesh = meshes.make_mesh(MeshConfig(data=2, fsdp=2))
rows = meshes.host_rows(mesh, 8)
array = np.arange(24, dtype=np.float32).reshape(8, 3)
placed = meshes.place_batch({"x": array[rows]}, mesh, 8)
with jax.set_mesh(mesh):
    total = jax.jit(lambda x: (x * x).sum())(placed["x"])
multihost.barrier("done")
with open(sys.argv[1], "w") as file:
    print(multihost.is_main(), rows.start, rows.stop, float(total), file=file)
"""


def test_two_processes_are_one_run(tmp_path):
    with socket.socket() as free:
        free.bind(("localhost", 0))
        address = f"localhost:{free.getsockname()[1]}"
    environment = {**os.environ, "JAX_PLATFORMS": "cpu", VARIABLES[0]: address, VARIABLES[1]: "2"}
    environment.pop("XLA_FLAGS", None)
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, str(tmp_path / str(index))],
            env={**environment, VARIABLES[2]: str(index)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for index in range(2)
    ]
    try:
        results = [process.communicate(timeout=180) for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert [process.returncode for process in processes] == [0, 0], results
    total = float(sum(i * i for i in range(24)))
    # in files: the collective library writes to standard output too, into the middle of a line
    found = [(tmp_path / str(index)).read_text().strip() for index in range(2)]
    assert found == [f"True 0 4 {total}", f"False 4 8 {total}"]


@pytest.mark.parametrize(
    ("values", "part"),
    [
        ((None, "2", None), "FLAN_JAX_PROCESS_COUNT is set without FLAN_JAX_COORDINATOR"),
        (("host", "2", "0"), "FLAN_JAX_COORDINATOR must be host:port or auto, found 'host'"),
        (("host:1", None, "0"), "FLAN_JAX_PROCESS_COUNT must be an integer at least 1, found ''"),
        (("host:1", "two", "0"), "FLAN_JAX_PROCESS_COUNT must be an integer at least 1, found 'two'"),
        (("host:1", "2", "2"), "FLAN_JAX_PROCESS_ID must be an integer from 0 to 1, found '2'"),
        (("host:1", "2", "-1"), "FLAN_JAX_PROCESS_ID must be an integer from 0 to 1, found '-1'"),
    ],
)
def test_incomplete_variables_are_refused(values, part, monkeypatch):
    for name, value in zip(VARIABLES, values, strict=True):
        monkeypatch.delenv(name, raising=False)
        if value is not None:
            monkeypatch.setenv(name, value)
    with pytest.raises(InputError) as error:
        multihost.start()
    assert part in str(error.value)


def test_one_process_starts_alone(monkeypatch):
    for name in (*VARIABLES, "TPU_WORKER_HOSTNAMES", "MEGASCALE_COORDINATOR_ADDRESS"):
        monkeypatch.delenv(name, raising=False)
    multihost.start()
    multihost.barrier("alone")
    assert multihost.is_main()
