from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from building import LLAMA, parts_of
from flax import nnx

from flan_jax.text.tokenizer import load_tokenizer

NEW = 6
FAST_COMPILE = {"xla_backend_optimization_level": 0}


def left_padded(ids: np.ndarray, padding: list[int]) -> dict[str, np.ndarray]:
    segments = (np.arange(ids.shape[1])[None] >= np.array(padding)[:, None]).astype(np.int32)
    return {"inputs": ids * segments, "segments": segments}


@partial(jax.jit, static_argnums=0, static_argnames="steps", compiler_options=FAST_COMPILE)
def start(graphdef, tuned, frozen, prompt, *, steps):
    module = nnx.merge(graphdef, tuned, frozen)
    hidden, state = module.start_decode(prompt, max_new_tokens=steps)
    return module.logits(hidden), state


@partial(jax.jit, static_argnums=0, donate_argnums=3, compiler_options=FAST_COMPILE)
def step(graphdef, tuned, frozen, state, tokens):
    module = nnx.merge(graphdef, tuned, frozen)
    hidden, state = module.decode_step(state, tokens)
    return module.logits(hidden), state


def decoded_logits(parts, prompt, following) -> np.ndarray:
    """Logits before each of the following tokens and after the last, [B, 1 + steps, V], one step at a time."""
    model = (parts.graphdef, parts.tuned, parts.frozen)
    logits, state = start(*model, prompt, steps=following.shape[1])
    found = [logits]
    for tokens in following.T:
        logits, state = step(*model, state, tokens)
        found.append(logits)
    return np.stack(found, axis=1)


def test_cached_steps_equal_the_whole_row(strict_types):
    parts = parts_of({"architecture": LLAMA})
    ids = np.random.default_rng(0).integers(0, 40, (3, 9 + NEW)).astype(np.int32)
    padding = [0, 4, 8]
    found = decoded_logits(parts, left_padded(ids[:, :9], padding), ids[:, 9:])
    module = nnx.merge(parts.graphdef, parts.tuned, parts.frozen)
    logits = jax.jit(lambda batch: module.logits(module.hidden(batch)), compiler_options=FAST_COMPILE)
    for row, pad in enumerate(padding):
        # the whole row, its padding moved to the end, where nothing sees it
        real = np.concatenate([ids[row, pad:], np.zeros(pad, np.int32)])[None]
        segments = (np.arange(real.size) < real.size - pad).astype(np.int32)[None]
        positions = np.arange(real.size, dtype=np.int32)[None]
        whole = logits({"inputs": real, "segments": segments, "positions": positions})[0]
        np.testing.assert_allclose(found[row], whole[8 - pad : real.size - pad], rtol=1e-4, atol=1e-5)


def test_bfloat16_steps_stay_near_the_whole_row():
    low = {"compute_dtype": "bfloat16", "frozen_dtype": "bfloat16"}
    ids = np.random.default_rng(1).integers(0, 40, (2, 9 + NEW)).astype(np.int32)
    prompt = left_padded(ids[:, :9], [0, 3])
    tuning = {"method": "lora"}
    found = decoded_logits(parts_of({"architecture": LLAMA, **low}, tuning), prompt, ids[:, 9:])
    expected = decoded_logits(parts_of({"architecture": LLAMA}, tuning), prompt, ids[:, 9:])
    assert np.abs(found - expected).mean() < 0.03 * np.abs(expected).mean()


def test_the_cache_is_written_in_place():
    """The step's compiled text moves no array of the cache's size."""
    parts = parts_of({"architecture": LLAMA, "compute_dtype": "bfloat16"})
    model = (parts.graphdef, parts.tuned, parts.frozen)
    ids = np.ones((2, 9), np.int32)
    _, state = start(*model, {"inputs": ids, "segments": ids}, steps=NEW)
    text = step.lower(*model, state, jnp.zeros(2, jnp.int32)).compile().as_text()
    shape = ",".join(map(str, state.keys.shape))
    lines = [line for line in text.splitlines() if f"[{shape}]" in line.partition(" = ")[2].split("(")[0]]
    assert lines
    assert not [line for line in lines if " copy(" in line or " convert(" in line]


def test_a_real_model_tells_its_story():
    path = Path(__file__).parents[3] / "shared" / "models" / "stories260k"
    if not path.is_dir():
        pytest.skip(f"the model stories260k is not at {path}")
    tokenizer = load_tokenizer(path)
    parts = parts_of({"path": str(path)})
    model = (parts.graphdef, parts.tuned, parts.frozen)
    first = np.full((1, 1), tokenizer.bos_id, np.int32)
    logits, state = start(*model, {"inputs": first, "segments": np.ones_like(first)}, steps=32)
    ids = []
    for _ in range(32):
        token = jnp.argmax(logits, -1).astype(jnp.int32)
        ids.append(int(token[0]))
        logits, state = step(*model, state, token)
    story = "Once upon a time, there was a little girl named Lily. She loved"
    assert tokenizer.decode(ids).strip().startswith(story)
