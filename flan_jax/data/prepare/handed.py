"""What a process hands on to those that work for it: config, encoder and tasks as it worked them out itself.

Tasks hold functions: the maps of records. They travel as Ray and Dask send theirs (cloudpickle): what a module holds by
its name there, what a notebook or another function holds by value. So a task need not be registered again where it is
used, and two processes cannot take a name for different tasks.
"""

from __future__ import annotations

import dataclasses
import pickle
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flan_jax.config import Config
from flan_jax.data.prepare.encode import Encoder
from flan_jax.data.registry.loading import load_as, load_modules, loaded_files
from flan_jax.data.registry.resolve import Resolved
from flan_jax.data.spec.source import OwnSource
from flan_jax.data.spec.task import TaskSpec
from flan_jax.errors import InputError


@dataclass(frozen=True)
class Handed:
    """What is prepared.

    Attributes:
        config: the run.
        encoder: how the model reads.
        resolved: the tasks.
    """

    config: Config
    encoder: Encoder
    resolved: Resolved

    def pack(self) -> bytes:
        """All of it as bytes, for a process of the same installation.

        Raises:
            InputError: a task's function cannot travel.
        """
        import cloudpickle

        try:
            handed = cloudpickle.dumps(self)
        except (pickle.PicklingError, TypeError, AttributeError) as e:
            names = ", ".join(f"'{name}'" for name, spec in self.resolved.specs.items() if not _travels(spec))
            raise InputError(
                f"task {names}: its functions cannot be handed to the process that prepares ({e}); let them hold no "
                "open files, locks or cached functions, or prepare first: 'flan-jax prepare CONFIG', or Run.prepare()"
            ) from e
        return pickle.dumps(((sys.path, loaded_files(), self.config.data.modules), handed))


def _travels(spec: TaskSpec) -> bool:
    import cloudpickle

    try:
        cloudpickle.dumps(spec)
    except (pickle.PicklingError, TypeError, AttributeError):
        return False
    return True


def unpack(data: bytes) -> Handed:
    """What `Handed.pack` packed; only of a process of one's own, since it can hold any code.

    Raises:
        InputError: a module that the tasks are in is gone.
    """
    (path, files, modules), handed = pickle.loads(data)
    sys.path += [folder for folder in path if folder not in sys.path]
    # under the names that they have there; on another machine they may lie elsewhere, where `data.modules` says
    load_as({name: file for name, file in files.items() if Path(file).exists()})
    load_modules(modules)
    return pickle.loads(handed)


class _WithTheJobs(OwnSource):
    """The source of a task whose records come with the jobs."""

    def __init__(self, name: str):
        self.name, self.version = name, ""

    def records(self, split: str) -> Iterator[Any]:
        """Nothing is read where shards are built."""
        raise AssertionError(f"{self.name} is read by the process that hands out jobs")


def phrasing(spec: TaskSpec) -> TaskSpec:
    """A task as far as its fields are phrased: without what reads and maps records, so that plain pickle takes it."""
    return dataclasses.replace(spec, source=_WithTheJobs(spec.source.name), map=None)
