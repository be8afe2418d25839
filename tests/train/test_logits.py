"""What a model makes of its states, `logits`, is what training, scores and generation all compute with."""

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from tiny_run import ARCHITECTURE, NUM_TASKS, ROWS, batch_at, tiny_config, tiny_mesh

from flan_jax.evaluate.layout import DecoderLayout
from flan_jax.evaluate.questions import EvaluationItem
from flan_jax.evaluate.score import OptionScorer
from flan_jax.generate.decoder import Decoder
from flan_jax.generate.sampling import GREEDY
from flan_jax.model.decoder import Llama
from flan_jax.model.encoder_decoder import T5
from flan_jax.model.load import Parts, create
from flan_jax.parallel.mesh import place_batch
from flan_jax.train.objectives.sft import SFT
from flan_jax.train.state import init_state
from flan_jax.train.step import StepSettings, make_train_step

CAP = 3.0
WIDE = {**ARCHITECTURE, "initializer_range": 0.3}
UNTIED = {**WIDE, "tie_word_embeddings": False}
SIZES = {"vocab_size": 64, "d_model": 16, "d_kv": 8, "d_ff": 32, "num_layers": 1, "num_heads": 2}
T5_TIED = {"model_type": "t5", **SIZES}
FULL = {"method": "full"}


class CappedLlama(Llama):
    """Capped, and turned around, so that the likeliest token is another one too."""

    def logits(self, hidden, head=None):
        return -CAP * jnp.tanh(super().logits(hidden, head) / CAP)


class CappedT5(T5):
    def logits(self, hidden, head=None):
        return -CAP * jnp.tanh(super().logits(hidden, head) / CAP)


def capped(parts: Parts) -> Parts:
    """The same arrays under a module that differs in its logits alone."""
    module = {"decoder": CappedLlama, "encoder_decoder": CappedT5}[parts.family.kind]
    description = parts.blueprint.description
    family = replace(description.family, module=module)
    blueprint = replace(parts.blueprint, description=replace(description, family=family))
    return replace(parts, blueprint=blueprint, graphdef=blueprint.abstract()[0])


def pair_batch() -> dict[str, np.ndarray]:
    batch = batch_at(1)
    sides = {f"{side}_{name}": batch[name] for side in ("encoder", "decoder") for name in ("inputs", "segments")}
    return {**sides, **{name: batch[name] for name in ("targets", "weights", "tasks")}}


def plain_loss(parts: Parts, tuned: nnx.State, batch: dict[str, jax.Array]) -> jax.Array:
    """The mean loss by all logits at once."""
    model = nnx.merge(parts.graphdef, tuned, parts.frozen)
    logits = model.logits(model.hidden(batch))
    chosen = jnp.take_along_axis(jax.nn.log_softmax(logits), batch["targets"][..., None], axis=-1)[..., 0]
    return -(chosen * batch["weights"]).sum() / batch["weights"].sum()


@pytest.mark.parametrize(
    ("architecture", "tuning", "shape"),
    [
        (WIDE, {}, {}),
        (WIDE, FULL, {}),
        (UNTIED, FULL, {"data": 2, "fsdp": 2, "tensor": 2}),
        (T5_TIED, FULL, {}),
    ],
    ids=["lora", "full", "full-sharded", "t5"],
)
def test_training_takes_the_models_logits(architecture, tuning, shape) -> None:
    mesh = tiny_mesh(**shape)
    parts = capped(create(tiny_config(model={"architecture": architecture}, tuning=tuning), mesh))
    # away from where fresh adapters add nothing
    noise = jax.tree.map(lambda x: 0.1 * jnp.cos(jnp.arange(x.size)).reshape(x.shape), parts.tuned)
    parts = replace(parts, tuned=jax.tree.map(jnp.add, parts.tuned, noise))
    batch = pair_batch() if architecture is T5_TIED else batch_at(1)
    plain = jax.jit(jax.value_and_grad(partial(plain_loss, parts)))
    expected, gradients = plain(parts.tuned, jax.tree.map(jnp.asarray, batch))

    settings = StepSettings(0, 1, False, NUM_TASKS)
    optimizer = optax.sgd(1.0)
    step = make_train_step(
        parts.graphdef, parts.tuned, parts.frozen, optimizer, lambda _: 1.0, settings, mesh, objective=SFT
    )
    state = init_state(jax.tree.map(jnp.copy, parts.tuned), optimizer, mesh)
    with jax.set_mesh(mesh):
        after, metrics = step(state, parts.frozen, place_batch(batch, mesh, ROWS))
    np.testing.assert_allclose(metrics["loss"] / metrics["weight"], expected, rtol=1e-5)
    moved = jax.tree.map(lambda old, new: np.asarray(old) - np.asarray(new), parts.tuned, after.tuned)
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-5), moved, jax.device_get(gradients))


@pytest.fixture(scope="module")
def model() -> Parts:
    return capped(create(tiny_config(model={"architecture": WIDE}, tuning=FULL), tiny_mesh()))


def all_logits(parts: Parts, ids: list[int]) -> np.ndarray:
    """[T, V], of one text alone; padded behind, so that one program serves all."""
    inputs = np.zeros((1, 16), np.int32)
    inputs[0, : len(ids)] = ids
    return np.asarray(_logits(parts.graphdef, parts.tuned, parts.frozen, inputs))[0, : len(ids)]


@partial(jax.jit, static_argnums=0)
def _logits(graphdef, tuned, frozen, inputs):
    positions = jnp.arange(16, dtype=jnp.int32)[None]
    model = nnx.merge(graphdef, tuned, frozen)
    return model.logits(model.hidden({"inputs": inputs, "segments": jnp.ones_like(inputs), "positions": positions}))


def test_scores_take_the_models_logits(model: Parts) -> None:
    prompt, options = (3, 9, 27, 17), ((5, 6), (7,), (8, 1, 2))
    item = EvaluationItem("t", 0, 0, "", prompt, ("a", "b", "c"), options, 0, ("a",))
    scorer = OptionScorer(model.graphdef, tiny_mesh(), layout=DecoderLayout(16), rows=1, longest=None)
    (likelihoods,) = scorer(model.tuned, model.frozen, [item])
    for option, likelihood in zip(options, likelihoods.sums, strict=True):
        scores = jax.nn.log_softmax(all_logits(model, [*prompt, *option[:-1]])[len(prompt) - 1 :])
        np.testing.assert_allclose(likelihood, scores[np.arange(len(option)), np.array(option)].sum(), rtol=1e-5)


def test_generation_takes_the_models_logits(model: Parts) -> None:
    ids = [3, 9, 27, 17]
    decoder = Decoder(model.graphdef, tiny_mesh(), kind="decoder", rows=1, stop_ids=(), longest=None)
    (answer,) = decoder(model.tuned, model.frozen, [ids], max_new_tokens=5, sampling=GREEDY)
    for token in answer:
        assert token == all_logits(model, ids)[-1].argmax()
        ids.append(token)
