"""A prepared store for whoever needs one: built first, in a child process, where it is not there."""

from __future__ import annotations

import subprocess
import sys

from flan_jax.config import Config
from flan_jax.data.prepare.handed import Handed
from flan_jax.data.prepare.needed import needed_folders
from flan_jax.data.prepare.opened import Prepared, open_prepared
from flan_jax.data.registry.resolve import Resolved
from flan_jax.data.store.manifest import is_finished
from flan_jax.data.store.root import open_root
from flan_jax.errors import InputError
from flan_jax.runs.open import Text

HANDED = "-"  # in the place of a config: what to prepare comes on standard input


def ensure_prepared(config: Config, text: Text, resolved: Resolved) -> Prepared:
    """The opened store; parts that are not there are built first, in a child process.

    A child, since sources may bring TensorFlow, which would keep memory and devices that training needs. It is handed
    what was worked out here.

    Raises:
        InputError: the store is damaged or stale, or the child refused.
    """
    from flan_jax.parallel.multihost import barrier, is_main  # preparing alone needs no JAX

    root = open_root(config)
    wanted = needed_folders(resolved)
    if is_main() and not all(is_finished(root.folder(one.path)) for one in wanted):
        packed = Handed(config, text.encoder, resolved).pack()
        status = subprocess.run(
            [sys.executable, "-m", "flan_jax", "prepare", HANDED], input=packed, check=False
        ).returncode
        if status:
            raise InputError(f"preparing the store '{config.store_dir}' ended with exit code {status}; see above")
    barrier("prepared")
    return open_prepared(config, text.encoder, resolved)
