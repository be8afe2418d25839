from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from flan_jax.config import BatchConfig, EvaluationConfig
from flan_jax.errors import InputError
from flan_jax.evaluate.evaluator import Evaluator
from flan_jax.evaluate.tasks import EvaluationTask
from flan_jax.model.architecture.encoder_decoder import T5Architecture
from flan_jax.model.encoder_decoder import T5
from flan_jax.model.nn.layers import ComputeSettings

LENGTHS = [(9, (2, 3)), (1, (1, 1)), (5, (4, 1, 6)), (20, (3, 2))]
EMPTY = nnx.State({})


@pytest.fixture(scope="module")
def t5(split_model):
    architecture = T5Architecture.from_hf(
        {
            "vocab_size": 61,
            "d_model": 16,
            "d_kv": 8,
            "d_ff": 24,
            "num_heads": 2,
            "num_layers": 2,
            "feed_forward_proj": "gated-gelu",
            "tie_word_embeddings": False,
            "initializer_factor": 1.0,
            "pad_token_id": 0,
            "eos_token_id": 1,
        }
    )
    settings = ComputeSettings(jnp.dtype("float32"), jnp.dtype("float32"), remat="none", unroll=1)
    return architecture, split_model(
        lambda: T5(architecture, rngs=nnx.Rngs(params=0, lora=1), settings=settings, lora=None)
    )


def make_task(items, *metrics, name="t") -> EvaluationTask:
    return EvaluationTask(name, "c", True, metrics, None, False, tuple(items))


def make_evaluator(tasks, architecture, graphdef, mesh, **settings) -> Evaluator:
    return Evaluator(
        tasks,
        graphdef=graphdef,
        architecture=architecture,
        mesh=mesh,
        batch=BatchConfig(length=32, input_length=24, target_length=16),
        settings=EvaluationConfig(rows=2, max_tokens=4, **settings),
        stop_ids=(1,),
        decode_text=lambda ids: " ".join(map(str, ids)),
    )


def t5_logits(graphdef, state, prompt, targets) -> np.ndarray:
    """Logits [T, V] of one pair alone in its row; padded behind, so that one program serves all."""

    def padded(ids, length):
        return np.array([[*ids, *[0] * (length - len(ids))]], np.int32)

    given = {
        "encoder_inputs": padded(prompt, 24),
        "encoder_segments": padded([1] * len(prompt), 24),
        "decoder_inputs": padded([0, *targets], 8),
        "decoder_segments": padded([1] * (1 + len(targets)), 8),
    }
    return np.asarray(all_logits(graphdef, state, given))[: 1 + len(targets)]


@partial(jax.jit, static_argnums=0)
def all_logits(graphdef, state, batch):
    model = nnx.merge(graphdef, state)
    return model.logits(model.hidden(batch)[0])


@pytest.mark.parametrize("devices", [1, 4])
def test_encoder_decoder_equals_one_pair_at_a_time(t5, meshes, make_items, devices):
    architecture, (graphdef, state) = t5
    items = make_items(LENGTHS)
    evaluator = make_evaluator([make_task(items, "accuracy", "bleu")], architecture, graphdef, meshes[devices])
    told = []
    (result,) = evaluator(state, EMPTY, label="x", on_progress=told.append).results
    assert sum(told) == evaluator.total == 2 * len(items)
    for item, prediction in zip(items, result.per_example, strict=True):
        sums = []
        for option in item.option_ids:
            logits = jax.nn.log_softmax(t5_logits(graphdef, state, item.prompt_ids, option[:-1]))
            sums.append(float(logits[np.arange(len(option)), option].sum()))
        np.testing.assert_allclose(prediction.likelihoods.sums, sums, rtol=1e-5, atol=1e-4)
        tokens = []
        while len(tokens) < 4 and 1 not in tokens:
            tokens.append(int(t5_logits(graphdef, state, item.prompt_ids, tokens)[-1].argmax()))
        assert prediction.text == " ".join(str(token) for token in tokens if token != 1)


def test_other_weights_compile_nothing(llama, meshes, make_items):
    graphdef, state = llama
    architecture = nnx.merge(graphdef, state).architecture
    tasks = [make_task(make_items(LENGTHS), "accuracy"), make_task(make_items(LENGTHS), "exact_match", name="u")]
    evaluator = make_evaluator(tasks, architecture, graphdef, meshes[1])
    first = evaluator(state, EMPTY, label="x")
    other = evaluator(jax.tree.map(lambda x: -x, state), EMPTY, label="y")
    assert (evaluator.scorer.programs, evaluator.decoder.programs) == (1, 1)
    assert first.results[0].per_example[0].likelihoods != other.results[0].per_example[0].likelihoods


def test_questions_that_do_not_fit_are_refused_when_it_is_made(llama, meshes, make_items):
    graphdef, state = llama
    architecture = nnx.merge(graphdef, state).architecture
    items = make_items([(5, (2, 2)), (126, (3, 1))])
    for metric in ("accuracy", "exact_match"):
        with pytest.raises(InputError, match=r"evaluation of task 't', example 1.* at most 128"):
            make_evaluator([make_task(items, metric)], architecture, graphdef, meshes[1])
    with pytest.raises(InputError, match="2 rows does not divide"):
        make_evaluator([make_task(items[:1], "accuracy")], architecture, graphdef, meshes[8])
