from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from flan_jax.errors import InputError, NotFiniteError
from flan_jax.evaluate.layout import DecoderLayout, PairLayout
from flan_jax.evaluate.score import OptionScorer

# one-token prompts and options, questions that share rows, and one longer than a row
LENGTHS = [(9, (2, 3)), (1, (1, 1, 1)), (5, (4, 1, 6)), (20, (3,)), (40, (9, 2)), (3, (2, 2)), (7, (5, 5))]


def brute_force(graphdef, state, item) -> list[float]:
    """Each option alone after its prompt, whole log-softmax; padded behind, so that one program serves all."""
    sums = []
    for option in item.option_ids:
        ids = np.zeros(65, np.int32)
        length = len(item.prompt_ids) + len(option)
        ids[:length] = [*item.prompt_ids, *option]
        scores = all_scores(graphdef, state, ids[None, :-1], np.int32(np.arange(64) < length - 1)[None])
        places = np.arange(len(item.prompt_ids) - 1, length - 1)
        sums.append(float(np.asarray(scores)[0, places, ids[places + 1]].sum()))
    return sums


@partial(jax.jit, static_argnums=0)
def all_scores(graphdef, state, inputs, segments):
    model = nnx.merge(graphdef, state)
    positions = jnp.arange(inputs.shape[1], dtype=jnp.int32)[None]
    hidden = model.hidden({"inputs": inputs, "segments": segments, "positions": positions})
    return jax.nn.log_softmax(model.logits(hidden))


@pytest.mark.parametrize("devices", [1, 4])
def test_packed_options_equal_one_at_a_time(llama, meshes, make_items, devices):
    graphdef, state = llama
    items = make_items(LENGTHS)
    told = []
    scorer = OptionScorer(graphdef, meshes[devices], layout=DecoderLayout(32), rows=2, longest=128)
    found = scorer(state, nnx.State({}), items, on_progress=told.append)
    for item, likelihoods in zip(items, found, strict=True):
        assert likelihoods.lengths == tuple(map(len, item.option_ids))
        np.testing.assert_allclose(likelihoods.sums, brute_force(graphdef, state, item), rtol=1e-5, atol=1e-4)
    assert sum(told) == len(items)


def test_one_program_scores_all_rows_of_a_length(llama, meshes, make_items):
    graphdef, state = llama
    scorer = OptionScorer(graphdef, meshes[1], layout=DecoderLayout(32), rows=2, longest=None)
    for seed in range(3):
        scorer(state, nnx.State({}), make_items([(9, (2, 3))] * (1 + 4 * seed), seed))
    assert scorer.programs == 1
    scorer(state, nnx.State({}), make_items([(40, (2, 3)), (50, (1, 1))]))
    assert scorer.programs == 2


def test_choice_by_sum_and_per_token():
    from flan_jax.evaluate.protocol import OptionLikelihoods

    likelihoods = OptionLikelihoods((-2.0, -3.0, -2.0), (1, 3, 1))
    assert likelihoods.choice(per_token=False) == 0
    assert likelihoods.choice(per_token=True) == 1


def test_too_long_question_is_refused_before_any_work(llama, meshes, make_items):
    graphdef, state = llama
    scorer = OptionScorer(graphdef, meshes[1], layout=DecoderLayout(32), rows=2, longest=20)
    with pytest.raises(InputError, match="example 3: prompt and answer take 23 tokens; the model reads at most 20"):
        scorer(state, nnx.State({}), make_items(LENGTHS))
    assert scorer.programs == 0


def test_unusable_weights_are_named(llama, meshes, make_items):
    graphdef, state = llama
    broken = jax.tree.map(lambda x: x * jnp.nan, state)
    scorer = OptionScorer(graphdef, meshes[1], layout=DecoderLayout(32), rows=2, longest=None)
    with pytest.raises(NotFiniteError, match=r"task 't', example 0: .* option 0 is nan"):
        scorer(broken, nnx.State({}), make_items(LENGTHS[:1]))


def test_pair_rows_name_the_segment_each_option_reads(make_items):
    items = make_items([(3, (2, 1)), (2, (1, 1))])
    batch, spans = PairLayout(8, 8, start_id=0).fill(items, [[0, 1], []], (8, 8))
    assert batch["encoder_segments"].tolist() == [[1, 1, 1, 2, 2, 0, 0, 0], [0] * 8]
    assert batch["decoder_segments"][0].tolist() == [1, 1, 2, 3, 4, 0, 0, 0]
    assert batch["cross_segments"][0].tolist() == [1, 1, 1, 2, 2, 0, 0, 0]
    first, second = items[0].option_ids
    assert batch["decoder_inputs"][0, :3].tolist() == [0, first[0], 0]
    assert batch["targets"][0, :3].tolist() == [*first, *second]
    assert [(s.item, s.option, s.row, s.start, s.stop) for s in spans][:2] == [(0, 0, 0, 0, 2), (0, 1, 0, 2, 3)]
    assert batch["weights"].sum() == 5
