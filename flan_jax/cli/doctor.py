"""`flan-jax doctor`: versions, devices, memory, and which optional package is missing for what."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.table import Table

from flan_jax.report.console import make_console

BASE = (
    "flan-jax",
    "jax",
    "jaxlib",
    "flax",
    "optax",
    "orbax-checkpoint",
    "numpy",
    "transformers",
    "tokenizers",
    "array-record",
)
OPTIONAL = (
    ("seqio", "full", "SeqIO tasks and mixtures as sources, ours as SeqIO's"),
    ("tensorflow-datasets", "full", "TFDS sources"),
    ("datasets", "hub", "Hugging Face hub data sets"),
    ("gcsfs", "gcs", "gs:// files and stores"),
    ("torch", "parity", "tests against the PyTorch reference"),
    ("peft", "parity", "tests of exported adapters"),
)


def run() -> None:
    """Print the report."""
    console = make_console()
    console.print(_versions())
    console.print(_devices())
    console.print(_machine())


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _versions() -> Table:
    table = Table(title="Packages", title_justify="left", box=SIMPLE_HEAD)
    for heading in ("package", "version", "needed for"):
        table.add_column(heading)
    table.add_row("python", platform.python_version(), "")
    for package in BASE:
        table.add_row(package, _version(package) or "[red]missing[/]: pip install flan-jax", "")
    for package, extra, purpose in OPTIONAL:
        table.add_row(package, _version(package) or f"not installed: pip install 'flan-jax\\[{extra}]'", purpose)
    return table


def _devices() -> Table:
    import jax

    table = Table(title="Devices", title_justify="left", box=SIMPLE_HEAD)
    for heading in ("process", "id", "kind", "platform", "memory"):
        table.add_column(heading)
    for device in jax.devices():
        stats = device.memory_stats() or {}
        limit = stats.get("bytes_limit")
        memory = (
            f"{stats.get('bytes_in_use', 0) / 2**30:.1f} of {limit / 2**30:.1f} GiB used" if limit else "the host's"
        )
        table.add_row(str(device.process_index), str(device.id), device.device_kind, device.platform, memory)
    return table


def _machine() -> Table:
    table = Table(title="Machine", title_justify="left", box=SIMPLE_HEAD)
    table.add_column("what")
    table.add_column("found")
    pages, page_bytes = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    table.add_row("cores", str(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()))
    table.add_row("memory", f"{pages * page_bytes / 2**30:.1f} GiB")
    table.add_row("disk free here", f"{shutil.disk_usage(Path.cwd()).free / 2**30:.1f} GiB")
    table.add_row("native bfloat16", _native_bfloat16())
    return table


def _native_bfloat16() -> str:
    """Whether the CPU multiplies bfloat16 itself (Linux on x86 only says so)."""
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return "unknown (no /proc/cpuinfo)"
    if "amx_bf16" in flags:
        return "yes (AMX)"
    if "avx512_bf16" in flags:
        return "yes (AVX-512)"
    return "no: set model.compute_dtype=float32 for speed on this CPU"
