"""Update rules over stacked parameters: AdamW, Adafactor per layer, clipping, and learning-rate schedules.

A model's parameters are stacked over layers ([L, ...]) and keep heads apart ([D, N, H]). An update rule must not see
that: a norm's scale [L, D] is L vectors, not a matrix to decay, and Adafactor's clipping, parameter scale and row and
column means belong to one layer's matrix. So each parameter has a `View`, read from the names of its dimensions:
whether it is stacked, and the one or two dimensions that a layer's part has once a head's two are joined.

    blocks.attention.query.kernel   (layers, embed, heads, head_dim)   [L, D, N, H]   L matrices [D, N·H]
    blocks.attention_norm.scale     (layers, norm)                     [L, D]         L vectors [D]
    embedding.table                 (vocab, embed)                     [V, D]         one matrix

State trees go in and out as they are (`nnx.State` or any pytree); every function here is pure.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import nnx

from flan_jax.config import OptimizerConfig, ScheduleConfig
from flan_jax.model.blueprint import flat_parameters

# Adafactor's constants, the same in t5x (t5x/adafactor.py), Optax and transformers; no run changes them
_CLIPPING_THRESHOLD = 1.0
_EPSILON = 1e-30
_LEAST_PARAMETER_SCALE = 1e-3
_LEAST_FACTORED = 128

LAYERS = "layers"
HEAD_DIM = "head_dim"  # belongs to the dimension before it


@dataclass(frozen=True)
class View:
    """How one parameter looks to an update rule.

    Attributes:
        is_stacked: whether the first dimension is the layer.
        axes: names of the dimensions of one layer's part, joined ones by the name of their first.
        shape: their sizes.
    """

    is_stacked: bool
    axes: tuple[str, ...]
    shape: tuple[int, ...]

    @property
    def is_matrix(self) -> bool:
        """Whether one layer's part is a matrix."""
        return len(self.shape) == 2

    def of(self, x: jax.Array) -> jax.Array:
        """`x` as [*shape] or [L, *shape]."""
        return x.reshape((x.shape[0], *self.shape) if self.is_stacked else self.shape)


def view_of(axes: Sequence[str], shape: Sequence[int]) -> View:
    """The view of a parameter with these names and sizes of dimensions."""
    is_stacked = axes[0] == LAYERS
    names: list[str] = []
    sizes: list[int] = []
    for name, size in zip(axes[is_stacked:], shape[is_stacked:], strict=True):
        if name == HEAD_DIM and names:
            sizes[-1] *= size
        else:
            names.append(name)
            sizes.append(size)
    return View(is_stacked, tuple(names), tuple(sizes))


def views_of(tuned: nnx.State) -> tuple[View, ...]:
    """The view of every parameter, in the order of the tree's leaves."""
    parameters = flat_parameters(tuned).values()
    return tuple(view_of(variable.get_metadata("axes"), variable.get_value().shape) for variable in parameters)


def make_schedule(config: ScheduleConfig, *, peak: float, steps: int) -> Callable[[Any], Any]:
    """The learning rate as a function of the step, 0 for the first.

    The warm-up's first step already learns: step s of W has peak · (s + 1) / W. The last step of a run of `steps` has
    the final rate of its shape (to one step's difference).

    Args:
        config: shape, warm-up steps, last rate over the peak.
        peak: rate after the warm-up.
        steps: optimizer steps of the whole run.
    """
    after = max(steps - config.warmup_steps, 1)
    match config.kind:
        case "constant":
            shape = optax.constant_schedule(peak)
        case "linear":
            shape = optax.linear_schedule(peak, peak * config.final_ratio, after)
        case "cosine":
            shape = optax.cosine_decay_schedule(peak, after, alpha=config.final_ratio)
    if config.warmup_steps == 0:
        return shape
    first = peak / config.warmup_steps
    warmup = optax.linear_schedule(first, peak, max(config.warmup_steps - 1, 1))
    return optax.join_schedules([warmup, shape], [config.warmup_steps])


def make_optimizer(
    config: OptimizerConfig, schedule: Callable[[Any], Any], tuned: nnx.State
) -> optax.GradientTransformation:
    """The update rule of a config, for parameters with the structure and shapes of `tuned` (abstract or real).

    Returns:
        An Optax transformation; its updates are added to the parameters. Moments have the shapes of their parameters
        (AdamW) or of their views (Adafactor), float32.
    """
    views = views_of(tuned)
    match config.name:
        case "adamw":
            rule = optax.scale_by_adam(b1=config.b1, b2=config.b2, eps=config.eps)
        case "adafactor":
            rule = per_layer(_adafactor(config), views)
    parts = [
        optax.identity() if config.clip_norm is None else optax.clip_by_global_norm(config.clip_norm),
        rule,
        _decay_matrices(config.weight_decay, views),
        optax.scale_by_learning_rate(schedule),
    ]
    return optax.chain(*parts)


def _adafactor(config: OptimizerConfig) -> optax.GradientTransformation:
    """Adafactor of one vector or matrix, without the learning rate.

    Source: Shazeer and Stern 2018 (arXiv:1804.04235), algorithms 4 and 5; the order of parts is that of
    optax.adafactor, where the learning rate stands before the parameter scale, which is the same product.
    """
    return optax.chain(
        optax.scale_by_factored_rms(
            decay_rate=config.decay_rate, min_dim_size_to_factor=_LEAST_FACTORED, epsilon=_EPSILON
        ),
        optax.clip_by_block_rms(_CLIPPING_THRESHOLD),
        optax.scale_by_param_block_rms(_LEAST_PARAMETER_SCALE)
        if config.multiply_by_parameter_scale
        else optax.identity(),
    )


class PerLayerState(NamedTuple):
    """The inner state of each parameter, stacked where the parameter is, in the order of leaves."""

    of_parameters: tuple[Any, ...]


def per_layer(rule: optax.GradientTransformation, views: Sequence[View]) -> optax.GradientTransformation:
    """`rule`, applied to each layer's part of each parameter as if it stood alone.

    Args:
        rule: a transformation of one array, whose update needs the parameter.
        views: of every parameter, in the order of leaves.
    """

    def init(params: Any) -> PerLayerState:
        leaves = jax.tree.leaves(params)
        return PerLayerState(
            tuple(
                (jax.vmap(rule.init) if view.is_stacked else rule.init)(view.of(leaf))
                for view, leaf in zip(views, leaves, strict=True)
            )
        )

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, PerLayerState]:
        gradients, tree = jax.tree.flatten(updates)
        old = zip(views, gradients, state.of_parameters, jax.tree.leaves(params), strict=True)
        made, states = [], []
        for view, gradient, inner, parameter in old:
            one: Callable[..., Any] = jax.vmap(rule.update) if view.is_stacked else rule.update
            new, inner = one(view.of(gradient), inner, view.of(parameter))
            made.append(new.reshape(gradient.shape))
            states.append(inner)
        return jax.tree.unflatten(tree, made), PerLayerState(tuple(states))

    return optax.GradientTransformation(init, update)


def _decay_matrices(rate: float, views: Sequence[View]) -> optax.GradientTransformation:
    """Adds `rate` times the parameter to the update of every matrix; norms and biases are left alone."""
    if rate == 0:
        return optax.identity()

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        leaves, tree = jax.tree.flatten(updates)
        decayed = [
            leaf + jnp.asarray(rate, leaf.dtype) * param if view.is_matrix else leaf
            for view, leaf, param in zip(views, leaves, jax.tree.leaves(params), strict=True)
        ]
        return jax.tree.unflatten(tree, decayed), state

    return optax.GradientTransformation(lambda params: optax.EmptyState(), update)
