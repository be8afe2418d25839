"""Toy models and questions, the fixtures of scoring and decoding."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from flan_jax.config import MeshConfig
from flan_jax.evaluate.questions import EvaluationItem
from flan_jax.model.architecture.decoder import LlamaArchitecture
from flan_jax.model.decoder import Llama
from flan_jax.model.nn.layers import ComputeSettings
from flan_jax.parallel.mesh import make_mesh

VOCABULARY = 61


def split_jitted(make: Callable[[], nnx.Module]) -> tuple[nnx.GraphDef, nnx.State]:
    """Graph definition and state of a new model, initialised in one program."""
    graphs = []

    def state() -> nnx.State:
        graph, state = nnx.split(make())
        graphs.append(graph)
        return state

    values = jax.jit(state)()
    return graphs[0], values


@pytest.fixture(scope="session")
def split_model():
    """`split_jitted`, for models that one test file alone needs."""
    return split_jitted


@pytest.fixture(scope="session")
def llama():
    """Graph definition and state of a toy float32 Llama; weights large enough that likelihoods differ."""
    architecture = LlamaArchitecture.from_hf(
        {
            "vocab_size": VOCABULARY,
            "hidden_size": 32,
            "intermediate_size": 48,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "initializer_range": 0.3,
            "max_position_embeddings": 128,
        }
    )
    settings = ComputeSettings(jnp.dtype("float32"), jnp.dtype("float32"), remat="none", unroll=1)
    return split_jitted(lambda: Llama(architecture, rngs=nnx.Rngs(params=0, lora=1), settings=settings, lora=None))


@pytest.fixture(scope="session")
def meshes():
    """One device, four as data 2 × tensor 2, and eight as data 8."""
    return {
        8: make_mesh(MeshConfig(data=8), jax.devices()[:8]),
        1: make_mesh(MeshConfig(data=1), jax.devices()[:1]),
        4: make_mesh(MeshConfig(data=2, tensor=2), jax.devices()[:4]),
    }


@pytest.fixture
def make_items():
    """Questions with random ids of the given lengths: (prompt, (option, …))."""

    def make(lengths, seed=0) -> list[EvaluationItem]:
        rng = np.random.default_rng(seed)

        def ids(count):
            return tuple(int(i) for i in rng.integers(1, VOCABULARY, count))

        return [
            EvaluationItem(
                task="t",
                example_id=number,
                template_id=0,
                prompt="",
                prompt_ids=ids(prompt),
                options=tuple(map(str, options)),
                option_ids=tuple(ids(count) for count in options),
                answer_index=0,
                references=("x",),
            )
            for number, (prompt, options) in enumerate(lengths)
        ]

    return make
