"""Shapes in signatures are claims that the tests check: a function of each room refuses what it does not say."""

import jax
import jax.numpy as jnp
import pytest
from jaxtyping import TypeCheckError

from flan_jax.evaluate.layout import DecoderLayout
from flan_jax.generate.sampling import GREEDY, choose_tokens
from flan_jax.model.nn.attention import Visibility, attend
from flan_jax.model.nn.matmul import unembed
from flan_jax.train.objectives.cross_entropy import cross_entropy


def test_a_wrong_shape_is_refused_in_every_room() -> None:
    hidden, table = jnp.ones((2, 3, 4)), jnp.ones((7, 5))
    with pytest.raises(TypeCheckError, match="unembed"):
        unembed(hidden, table)
    segments = jnp.ones((2, 3), jnp.int32)
    with pytest.raises(TypeCheckError, match="cross_entropy"):
        cross_entropy(hidden, table[:, :4], segments, jnp.ones((3, 2)), logits=unembed, chunk=2, groups=1)
    with pytest.raises(TypeCheckError, match="choose_tokens"):
        choose_tokens(jnp.ones((2, 7)), jax.random.split(jax.random.key(0), 3), GREEDY)
    with pytest.raises(TypeCheckError, match="DecoderLayout"):
        DecoderLayout("long")


def test_a_wrong_type_is_refused_in_a_tree_of_arrays() -> None:
    segments = jnp.ones((2, 3), jnp.int32)
    with pytest.raises(TypeCheckError, match="Visibility"):
        Visibility(segments, segments.astype(jnp.float32))
    # but JAX may put anything in place of its arrays
    shapes = jax.eval_shape(lambda: Visibility(segments, segments, causal=True))
    assert shapes.causal
    assert jax.tree.map(lambda x: x.shape, shapes).key_segments == (2, 3)


def test_a_dimension_of_one_name_has_one_size() -> None:
    segments = jnp.ones((2, 3), jnp.int32)
    query, narrow = jnp.ones((2, 3, 4, 8)), jnp.ones((2, 3, 2, 6))
    with pytest.raises(TypeCheckError, match="attend"):
        attend(query, narrow, narrow, Visibility(segments, segments), scale=1.0)
