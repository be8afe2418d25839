"""Joining several processes into one run, and the few things one process does for all."""

from __future__ import annotations

import os

import jax
from jax.experimental import multihost_utils

from flan_jax.errors import InputError

COORDINATOR = "FLAN_JAX_COORDINATOR"
COUNT = "FLAN_JAX_PROCESS_COUNT"
INDEX = "FLAN_JAX_PROCESS_ID"


def start() -> None:
    """Joins the other processes where the environment asks for it; must run before any device is used.

    `FLAN_JAX_COORDINATOR=host:port` with `FLAN_JAX_PROCESS_COUNT` and `FLAN_JAX_PROCESS_ID` names them explicitly;
    `FLAN_JAX_COORDINATOR=auto` lets JAX find them (Slurm, Open MPI, Cloud TPU). A TPU pod (several hosts in
    TPU_WORKER_HOSTNAMES, or a MEGASCALE_COORDINATOR_ADDRESS) is found without any of these. Joining again does nothing.

    Raises:
        InputError: the variables are incomplete, or no integers in range.
    """
    if jax.distributed.is_initialized():
        return
    coordinator = os.environ.get(COORDINATOR)
    if coordinator is None:
        for name in (COUNT, INDEX):
            if name in os.environ:
                raise InputError(f"environment variable {name} is set without {COORDINATOR}; set it to host:port")
        if _is_tpu_pod():
            jax.distributed.initialize()
        return
    # the one collective backend of CPU processes that every jaxlib build has; other platforms ignore it
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    if coordinator == "auto":
        jax.distributed.initialize()
        return
    if ":" not in coordinator:
        raise InputError(f"environment variable {COORDINATOR} must be host:port or auto, found '{coordinator}'")
    count = _integer(COUNT, 1, None)
    index = _integer(INDEX, 0, count)
    jax.distributed.initialize(coordinator_address=coordinator, num_processes=count, process_id=index)


def _is_tpu_pod() -> bool:
    hosts = [host for host in os.environ.get("TPU_WORKER_HOSTNAMES", "").split(",") if host]
    return len(hosts) > 1 or "MEGASCALE_COORDINATOR_ADDRESS" in os.environ


def _integer(name: str, least: int, below: int | None) -> int:
    text = os.environ.get(name, "")
    limit = f"at least {least}" if below is None else f"from {least} to {below - 1}"
    if not text.isdecimal() or int(text) < least or (below is not None and int(text) >= below):
        raise InputError(f"environment variable {name} must be an integer {limit}, found '{text}'")
    return int(text)


def is_main() -> bool:
    """Whether this is the process that writes what is written once."""
    return jax.process_index() == 0


def barrier(name: str) -> None:
    """Waits until every process has come to the barrier of this name."""
    if jax.process_count() > 1:
        multihost_utils.sync_global_devices(name)
