"""What a model's rotary positions are, with the frequency scalings of the released Llama 1–3 checkpoints.

Source: Su et al. 2021, RoFormer (arXiv:2104.09864) section 3.4; scalings as in transformers 5.23
modeling_rope_utils.py.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from flan_jax.errors import InputError

KINDS = ("default", "linear", "dynamic", "llama3")
NUMBERS = {
    "default": (),
    "linear": ("factor",),
    "dynamic": ("factor",),
    "llama3": ("factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings"),
}


@dataclass(frozen=True)
class Rotary:
    """Rotation frequencies of a model.

    Attributes:
        theta: base wavelength.
        kind: one of `KINDS`.
        scaling: the numbers `kind` needs (`NUMBERS`), as (name, value) pairs.
    """

    theta: float
    kind: str
    scaling: tuple[tuple[str, int | float], ...]

    @classmethod
    def from_hf(cls, architecture: Mapping[str, Any]) -> Rotary:
        """Reads `rope_theta` and `rope_scaling`, or `rope_parameters` as transformers 5 writes them; theta is stated.

        Raises:
            InputError: the kind is not one of `KINDS`, or a number it needs is missing.
        """
        rope = dict(architecture.get("rope_parameters") or architecture.get("rope_scaling") or {})
        theta = rope.pop("rope_theta", None) or architecture["rope_theta"]
        kind = rope.pop("rope_type", None) or rope.pop("type", None) or "default"
        if kind not in KINDS:
            raise InputError(f"config.json: rope type '{kind}' is not supported; allowed: {', '.join(KINDS)}")
        if kind == "llama3":
            rope.setdefault("original_max_position_embeddings", architecture.get("max_position_embeddings"))
        for name in NUMBERS[kind]:
            if not isinstance(rope.get(name), int | float) or isinstance(rope[name], bool):
                raise InputError(f"config.json: rope type '{kind}' needs a number '{name}', found {rope.get(name)!r}")
        if float(rope.get("partial_rotary_factor", 1.0)) != 1.0:
            raise InputError("config.json: 'partial_rotary_factor' other than 1.0 is not supported for Llama models")
        return cls(float(theta), kind, tuple((name, rope[name]) for name in NUMBERS[kind]))

    def to_hf(self) -> dict[str, Any]:
        """The keys `rope_theta` and `rope_scaling`, which every transformers version reads."""
        scaling = None if self.kind == "default" else {"rope_type": self.kind, **dict(self.scaling)}
        return {"rope_theta": self.theta, "rope_scaling": scaling}

    def frequencies(self, head_dim: int) -> np.ndarray:
        """Radians a position, [H / 2] float32.

        The dynamic kind has the plain frequencies up to the model's own length, to which its rows are held.
        """
        steps = np.arange(0, head_dim, 2, dtype=np.float32) / np.float32(head_dim)
        plain = 1.0 / (self.theta**steps)
        scaling = dict(self.scaling)
        if self.kind == "linear":
            plain = plain / scaling["factor"]
        if self.kind == "llama3":
            plain = _llama3(plain, scaling)
        return plain.astype(np.float32)


def _llama3(plain: np.ndarray, scaling: Mapping[str, float]) -> np.ndarray:
    """Long wavelengths divided by the factor, short ones kept, those between interpolated."""
    factor, low, high = scaling["factor"], scaling["low_freq_factor"], scaling["high_freq_factor"]
    turns = scaling["original_max_position_embeddings"] * plain / (2 * math.pi)
    smooth = np.clip((turns - low) / (high - low), 0.0, 1.0)
    return (1 - smooth) * plain / factor + smooth * plain
