"""What a PEFT adapter directory says, held against the run's own LoRA settings.

`adapter_config.json` states rank, alpha, scaling and targets. The run's config must state the same, since it alone
decides what a resumed run builds; where it does not, the error lists the overrides that make it agree. Options that
change what an adapter computes and that we do not compute are refused by name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from flan_jax.config import LoraConfig
from flan_jax.errors import InputError
from flan_jax.files.whole import read_json
from flan_jax.model.adapters.lora import resolve_targets
from flan_jax.model.names import Name
from flan_jax.weights.hub import local_weights

ADAPTER_CONFIG = "adapter_config.json"
ADAPTER_TENSORS = "adapter_model.safetensors"

# Keys that are read here, or that say nothing about what the adapter computes. Any other key must be unset.
# Source: peft 0.21, tuners/lora/config.py, LoraConfig.
_NEUTRAL = frozenset(
    (
        *("peft_type", "peft_version", "task_type", "inference_mode", "base_model_name_or_path", "revision"),
        *("r", "lora_alpha", "lora_dropout", "use_rslora", "target_modules", "bias", "init_lora_weights"),
        *("auto_mapping", "runtime_config", "megatron_core", "qalora_group_size"),
    )
)
# Ways to start an adapter that leave the base weights as they are; pissa, olora and their like do not
_PLAIN_STARTS = (True, False, None, "gaussian", "orthogonal", "eva")


def check_adapter(lora: LoraConfig, directory: str | Path, names: Iterable[Name], depth: Mapping[str, int]) -> None:
    """Holds a PEFT adapter's settings against the config's.

    Args:
        lora: the run's settings.
        directory: with adapter_config.json, or a hub name.
        names: the model's name table.
        depth: number of layers by our projection path.

    Raises:
        InputError: the file is missing or malformed, asks for an option we do not compute, or disagrees with `lora`.
    """
    where = f"adapter '{directory}'"
    settings = read_json(local_weights(directory) / ADAPTER_CONFIG, where)
    _refuse_unsupported(settings, where)
    kernels = {name.ours.removesuffix(".kernel"): name for name in names if name.is_kernel}
    modules = {path: name.theirs.removesuffix(".weight") for path, name in kernels.items()}
    stated = {
        "rank": settings.get("r"),
        "alpha": settings.get("lora_alpha"),
        "scaling": "rslora" if settings.get("use_rslora") else "lora",
    }
    differing = [f"tuning.lora.{key}={value}" for key, value in stated.items() if getattr(lora, key) != value]
    theirs = _targets(settings.get("target_modules"), modules, depth, where)
    if theirs != resolve_targets(lora.targets, modules):
        differing.append(f"tuning.lora.targets=[{', '.join(sorted(theirs))}]")
    if differing:
        raise InputError(
            f"{where}: its {ADAPTER_CONFIG} disagrees with the run's LoRA settings; set {' '.join(differing)}"
        )


def _refuse_unsupported(settings: Mapping[str, Any], where: str) -> None:
    kind = settings.get("peft_type")
    if kind != "LORA":
        raise InputError(f"{where}: peft_type is {kind!r}; LORA is what can be started from")
    if settings.get("bias", "none") != "none":
        raise InputError(
            f"{where}: option 'bias' is {settings['bias']!r}; only adapters with bias 'none' are supported"
        )
    start = settings.get("init_lora_weights")
    if start not in _PLAIN_STARTS:
        raise InputError(
            f"{where}: option 'init_lora_weights' is {start!r}, which changes the base weights; convert the adapter "
            "to plain LoRA with peft's path_initial_model_for_weight_conversion"
        )
    for key, value in settings.items():
        if key not in _NEUTRAL and value:
            raise InputError(f"{where}: option '{key}' is {value!r}, which is not supported; only plain LoRA is")


def _targets(target_modules: Any, modules: Mapping[str, str], depth: Mapping[str, int], where: str) -> frozenset[str]:
    """Our paths of the projections that `target_modules` names; by PEFT's rule, a text is a pattern of whole names."""
    if isinstance(target_modules, list):
        tests = [re.compile(rf"(.*\.)?{re.escape(str(target))}") for target in target_modules]
    elif target_modules == "all-linear":
        tests = [re.compile(".*")]
    elif isinstance(target_modules, str):
        try:
            tests = [re.compile(target_modules)]
        except re.error as e:
            raise InputError(f"{where}: 'target_modules' {target_modules!r} is not a valid pattern ({e})") from e
    else:
        raise InputError(f"{where}: 'target_modules' must be a list of names or a pattern, found {target_modules!r}")
    adapted = set()
    for path, module in modules.items():
        layers = [module.format(layer=layer) for layer in range(depth[path])]
        matched = [any(test.fullmatch(layer) for test in tests) for layer in layers]
        if all(matched):
            adapted.add(path)
        elif any(matched):
            raise InputError(
                f"{where}: adapts {module.format(layer='…')} in some layers only; all or none is supported"
            )
    if not adapted:
        raise InputError(f"{where}: 'target_modules' {target_modules!r} matches no projection of this model")
    return frozenset(adapted)
