"""Weights out of the mesh, in the forms that Hugging Face tools load, with proof that they say the same.

    peft          adapter_model.safetensors + adapter_config.json: the adapters alone
    huggingface   model.safetensors (sharded where large) + config.json: adapters folded in float32, then rounded

The folder is written under a temporary name, loaded again by our own reader, compared with the running model on given
prompts (parity.json, parity.txt), and only then gets its name. Arrays leave the mesh layer by layer, so the host holds
one shard of the output at most. One process exports; it may hold any mesh.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from flan_jax.config import Config
from flan_jax.errors import InputError
from flan_jax.files.whole import new_folder, write_json, write_text
from flan_jax.model.adapters.lora import folded
from flan_jax.model.adapters.peft import ADAPTER_CONFIG, ADAPTER_TENSORS
from flan_jax.model.blueprint import blueprint_of, flat_parameters
from flan_jax.model.load import Parts, create, read_adapter
from flan_jax.model.parity import Parity, prove
from flan_jax.weights.hub import hub_name
from flan_jax.weights.safetensors import write_tensors

# Keys of a config.json that speak of the files it came with
_OF_THE_ORIGIN = ("torch_dtype", "dtype", "quantization_config", "transformers_version", "_name_or_path", "auto_map")


def export_peft(
    parts: Parts,
    out: str | Path,
    *,
    config: Config,
    mesh: Mesh,
    prompts: Sequence[Sequence[int]],
    add_files: Callable[[Path], None] | None = None,
) -> Parity:
    """Writes the adapters as a PEFT directory that `peft` loads onto the transformers model.

    Args:
        parts: a LoRA-tuned model.
        out: folder that is missing or empty.
        config: of the run; names the base model and the adapters' settings.
        mesh: that holds the arrays.
        prompts: token ids to compare logits on; for an encoder-decoder, of its input.
        add_files: writes more (a tokenizer) into the folder before it gets its name.

    Returns:
        The parity report, which is in the folder too.

    Raises:
        InputError: nothing is tuned with adapters, `out` is not empty, there is no prompt, or the disk refuses.
        ArithmeticError: the export, loaded again, gives other logits.
    """
    if parts.blueprint.lora is None:
        raise InputError("export as peft: the run tunes every weight and has no adapter; export as huggingface")
    with _new_folder(out, prompts) as folder:
        write_tensors(folder, _tensors(parts, parts.tuned, mesh, dtype="float32"), stem=Path(ADAPTER_TENSORS).stem)
        write_json(folder / ADAPTER_CONFIG, adapter_config(parts, config))
        adapter = config.tuning.lora.model_copy(update={"adapter": str(folder)})
        reload = config.model_copy(update={"tuning": config.tuning.model_copy(update={"lora": adapter})})
        blueprint = blueprint_of(reload, parts.blueprint.description)
        again = replace(parts, tuned=read_adapter(blueprint, folder, mesh))
        parity = prove(parts, again, mesh, prompts, form="peft", dtype="float32")
        _finish(folder, parity, add_files)
    return parity


def export_huggingface(
    parts: Parts,
    out: str | Path,
    *,
    config: Config,
    mesh: Mesh,
    prompts: Sequence[Sequence[int]],
    dtype: Literal["float32", "bfloat16"],
    add_files: Callable[[Path], None] | None = None,
    max_shard_bytes: int = 5_000_000_000,
) -> Parity:
    """Writes the whole model, adapters folded in, as a directory that transformers loads.

    Args:
        parts: a tuned model of either method.
        out: folder that is missing or empty.
        config: of the run.
        mesh: that holds the arrays.
        prompts: token ids to compare logits on; for an encoder-decoder, of its input.
        dtype: of the written tensors; sums are float32 and rounded once.
        add_files: writes more (a tokenizer) into the folder before it gets its name.
        max_shard_bytes: data bytes of one file.

    Returns:
        The parity report, which is in the folder too.

    Raises:
        InputError: `out` is not empty, there is no prompt, or the disk refuses.
        ArithmeticError: a float32 export, loaded again, gives other logits.
    """
    base = parts.frozen if parts.blueprint.lora else parts.tuned
    with _new_folder(out, prompts) as folder:
        write_tensors(folder, _tensors(parts, base, mesh, dtype=dtype), max_shard_bytes=max_shard_bytes)
        kept = {key: value for key, value in parts.blueprint.description.settings.items() if key not in _OF_THE_ORIGIN}
        write_json(folder / "config.json", {**kept, **parts.architecture.to_hf(), "dtype": dtype})
        model = config.model.model_copy(update={"path": str(folder), "architecture": None})
        tuning = config.tuning.model_copy(update={"method": "full"})
        again = create(config.model_copy(update={"model": model, "tuning": tuning}), mesh)
        parity = prove(parts, again, mesh, prompts, form="huggingface", dtype=dtype)
        _finish(folder, parity, add_files)
    return parity


def adapter_config(parts: Parts, config: Config) -> dict[str, Any]:
    """What the adapters' `adapter_config.json` says.

    Source: peft 0.21, tuners/lora/config.py.
    """
    lora = config.tuning.lora
    base = hub_name(config.model.path) if config.model.path else None
    return {
        "peft_type": "LORA",
        "task_type": parts.family.peft_task,
        "base_model_name_or_path": base.repo if base else config.model.path or "",
        "revision": base.revision if base else None,
        "r": lora.rank,
        "lora_alpha": lora.alpha,
        "use_rslora": lora.scaling == "rslora",
        "lora_dropout": lora.dropout,
        "target_modules": _target_modules(parts),
        "bias": "none",
        "fan_in_fan_out": False,
        "init_lora_weights": True,
        "inference_mode": True,
    }


def _target_modules(parts: Parts) -> list[str]:
    """Projections with an adapter in PEFT's words: last parts of names where these name no other, else whole names."""
    adapted = {path.removesuffix(".lora_a") for path in flat_parameters(parts.tuned) if path.endswith(".lora_a")}
    kernels = {path.removesuffix(".kernel"): name for path, name in parts.blueprint.names.items() if name.is_kernel}
    short = {kernels[path].their_module for path in adapted}
    if {path for path, name in kernels.items() if name.their_module in short} == adapted:
        return sorted(short)
    shapes = {path: value.get_value().shape for path, value in flat_parameters(parts.tuned).items()}
    return [
        tensor.removesuffix(".weight")
        for path in sorted(adapted)
        for tensor in kernels[path].their_names(shapes[f"{path}.lora_a"])
    ]


def _tensors(
    parts: Parts, state: nnx.State, mesh: Mesh, *, dtype: Literal["float32", "bfloat16"]
) -> Iterator[tuple[str, np.ndarray]]:
    """The state's parameters under Hugging Face names, layer by layer, adapters folded into kernels that have one."""
    tuned = flat_parameters(parts.tuned)
    scale = parts.blueprint.lora.scale if parts.blueprint.lora else 0.0
    take = partial(_take_layer, scale=scale, whole=NamedSharding(mesh, PartitionSpec()))
    for path, parameter in flat_parameters(state).items():
        name = parts.blueprint.names[path]
        module = path.removesuffix("kernel")
        adapter = (
            [tuned[module + which].get_value() for which in ("lora_a", "lora_b")]
            if name.is_kernel and module + "lora_a" in tuned
            else None
        )
        array = parameter.get_value()
        for layer, tensor in enumerate(name.their_names(array.shape)):
            taken = take(array, adapter, layer, is_stacked=name.is_stacked)
            yield tensor, name.to_theirs(np.asarray(taken)).astype(jnp.dtype(dtype))


@partial(jax.jit, static_argnames=("is_stacked", "scale", "whole"))
def _take_layer(
    array: jax.Array,
    adapter: list[jax.Array] | None,
    layer: jax.Array,
    *,
    is_stacked: bool,
    scale: float,
    whole: NamedSharding,
) -> jax.Array:
    """One layer in float32, its adapter added; whole on every device, so that the host reads it from its own."""
    if not is_stacked:
        return jax.lax.with_sharding_constraint(array.astype(jnp.float32), whole)
    # kept as a stack of one: `folded` is written for stacks
    kernel, *low = (jax.lax.dynamic_slice_in_dim(x, layer, 1).astype(jnp.float32) for x in (array, *(adapter or ())))
    taken = folded(kernel, low[0], low[1], scale) if low else kernel
    return jax.lax.with_sharding_constraint(taken[0], whole)


@contextlib.contextmanager
def _new_folder(out: str | Path, prompts: Sequence[Sequence[int]]) -> Iterator[Path]:
    """A folder to fill that becomes `out` when all went well, and leaves nothing when not."""
    out = Path(out)
    if jax.process_count() > 1:
        raise InputError(
            f"export to '{out}': runs in one process, found {jax.process_count()}; export from one of them"
        )
    if not prompts or not all(len(prompt) for prompt in prompts):
        raise InputError(f"export to '{out}': needs at least one prompt, and none empty, to compare logits on")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        what = "is not empty" if out.is_dir() else "is a file"
        raise InputError(f"export to '{out}': the folder {what}; remove it or give another")
    try:
        with new_folder(out) as folder:
            yield folder
    except OSError as e:
        raise InputError(f"export to '{out}': cannot be written ({e.strerror}); free space or choose another") from e


def _finish(folder: Path, parity: Parity, add_files: Callable[[Path], None] | None) -> None:
    write_json(folder / "parity.json", asdict(parity))
    write_text(folder / "parity.txt", parity.text())
    if add_files is not None:
        add_files(folder)
