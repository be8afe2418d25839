"""Shared by all tests: eight simulated CPU devices, no network, checked shapes; a fixture for strict types."""

import contextlib
import os
import resource
import signal
from collections.abc import Callable, Iterator

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import jax
import jaxtyping
import pytest

# before any of them is imported: every annotated function then checks what it is given and what it gives
CHECKED = ("flan_jax.model", "flan_jax.train", "flan_jax.generate", "flan_jax.evaluate")
jaxtyping.install_import_hook(CHECKED, "beartype.beartype")

jax.config.update("jax_platforms", "cpu")
jax.config.update("jax_num_cpu_devices", 8)


@pytest.fixture
def strict_types() -> Iterator[None]:
    """No implicit promotion of dtype or rank. Not global: optax itself raises under it."""
    with jax.numpy_dtype_promotion("strict"), jax.numpy_rank_promotion("raise"):
        yield


@pytest.fixture
def own_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test registers is gone after it."""
    from flan_jax.data.registry import loading, tables

    tables.task_names()
    for module, table in ((tables, "_tasks"), (tables, "_mixtures"), (tables, "_clusters"), (loading, "_loaded")):
        monkeypatch.setattr(module, table, getattr(module, table).copy())


@pytest.fixture
def full_disk() -> Callable[[int], contextlib.AbstractContextManager[None]]:
    """`with full_disk(size_bytes)`: no file of this process grows beyond that, for root too.

    A context manager, not a setting for the whole test: pytest's own output may be a file.
    """

    @contextlib.contextmanager
    def limit(size_bytes: int) -> Iterator[None]:
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, before[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
            signal.signal(signal.SIGXFSZ, handler)

    return limit
