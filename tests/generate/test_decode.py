import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from flan_jax.errors import InputError
from flan_jax.generate.decoder import Decoder
from flan_jax.generate.sampling import GREEDY, Sampling

SAMPLED = Sampling(temperature=1.5, top_k=20, top_p=0.9, seed=3)
EMPTY = nnx.State({})
NEW = 7


@pytest.fixture
def prompts(make_items):
    return [item.prompt_ids for item in make_items([(5, ()), (40, ()), (1, ()), (12, ()), (33, ())])]


def make_decoder(llama, mesh, *, rows=2, stop_ids=(), longest=None) -> Decoder:
    return Decoder(llama[0], mesh, kind="decoder", rows=rows, stop_ids=stop_ids, longest=longest)


@partial(jax.jit, static_argnums=0)
def last_logits(graphdef, state, inputs, length):
    model = nnx.merge(graphdef, state)
    positions = jnp.arange(inputs.shape[1], dtype=jnp.int32)[None]
    segments = (positions < length).astype(jnp.int32)
    hidden = model.hidden({"inputs": inputs, "segments": segments, "positions": positions})
    return model.logits(hidden[0, length - 1])


def naive_greedy(llama, prompt, count) -> list[int]:
    """The whole text through the whole model for every token."""
    ids = list(prompt)
    for _ in range(count):
        padded = np.zeros((1, 64), np.int32)
        padded[0, : len(ids)] = ids
        ids.append(int(jnp.argmax(last_logits(*llama, padded, len(ids)))))
    return ids[len(prompt) :]


@pytest.mark.parametrize("devices", [1, 4])
def test_greedy_equals_the_model_without_a_cache(llama, meshes, prompts, devices):
    told = []
    decoder = make_decoder(llama, meshes[devices])
    answers = decoder(llama[1], EMPTY, prompts, max_new_tokens=NEW, sampling=GREEDY, on_progress=told.append)
    assert answers == [naive_greedy(llama, prompt, NEW) for prompt in prompts]
    assert sum(told) == len(prompts)
    assert decoder.programs == 2  # prompts up to 32 and up to 64 tokens


def test_answers_end_before_a_stop_token(llama, meshes, prompts):
    whole = [naive_greedy(llama, prompt, NEW) for prompt in prompts]
    stop_ids = (whole[0][3], whole[1][0])
    decoder = make_decoder(llama, meshes[1], rows=4, stop_ids=stop_ids)
    answers = decoder(llama[1], EMPTY, prompts, max_new_tokens=NEW, sampling=GREEDY)

    def cut(tokens):
        places = [place for place, token in enumerate(tokens) if token in stop_ids]
        return tokens[: places[0]] if places else tokens

    assert answers == [cut(tokens) for tokens in whole]
    assert answers[1] == []


def test_draws_depend_on_seed_and_place_and_not_on_the_batch(llama, meshes, prompts):
    asked = [prompts[0], prompts[2], prompts[3], prompts[0]]

    def draw(rows, sampling):
        decoder = make_decoder(llama, meshes[1], rows=rows)
        return decoder(llama[1], EMPTY, asked, max_new_tokens=NEW, sampling=sampling)

    answers = draw(1, SAMPLED)
    assert draw(4, SAMPLED) == answers
    assert answers[0] != answers[3]
    assert draw(4, dataclasses.replace(SAMPLED, seed=4)) != answers


def test_stream_gives_the_tokens_of_a_call(llama, meshes, prompts):
    decoder = make_decoder(llama, meshes[4])
    (whole,) = decoder(llama[1], EMPTY, prompts[:1], max_new_tokens=NEW, sampling=SAMPLED)
    assert list(decoder.stream(llama[1], EMPTY, prompts[0], max_new_tokens=NEW, sampling=SAMPLED)) == whole
    stopping = make_decoder(llama, meshes[4], stop_ids=(whole[2],))
    streamed = list(stopping.stream(llama[1], EMPTY, prompts[0], max_new_tokens=NEW, sampling=SAMPLED))
    assert streamed == whole[: whole.index(whole[2])]


def test_prompts_that_cannot_be_answered_are_refused(llama, meshes, prompts):
    decoder = make_decoder(llama, meshes[1], longest=45)
    with pytest.raises(InputError, match=r"prompt 2: takes 40 tokens, with 7 for the answer.* at most 45"):
        decoder(llama[1], EMPTY, prompts, max_new_tokens=NEW, sampling=GREEDY)
    with pytest.raises(InputError, match="prompt 1: has no tokens"):
        next(decoder.stream(llama[1], EMPTY, [], max_new_tokens=NEW, sampling=GREEDY))
    with pytest.raises(InputError, match="3 rows does not divide"):
        make_decoder(llama, meshes[4], rows=3)


def test_no_prompt_gives_no_answer(llama, meshes):
    assert make_decoder(llama, meshes[1])(llama[1], EMPTY, [], max_new_tokens=NEW, sampling=GREEDY) == []
