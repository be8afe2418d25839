"""Tiny Llama models away from every default, and the golden files made of them.

`python tests/model/llama_reference.py` makes tests/golden/llama_*.npz again from transformers on PyTorch.
"""

from pathlib import Path

import numpy as np

GOLDEN = Path(__file__).parents[1] / "golden"
_SIZES = {
    "model_type": "llama",
    "vocab_size": 40,
    "hidden_size": 18,
    "intermediate_size": 20,
    "num_hidden_layers": 3,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "head_dim": 8,  # not hidden_size / num_attention_heads
    "rms_norm_eps": 1e-2,
    "max_position_embeddings": 64,
    "initializer_range": 0.3,
}
_LLAMA3 = {"factor": 8.0, "low_freq_factor": 1.5, "high_freq_factor": 5.0, "original_max_position_embeddings": 24}
# the scaling of positions as config.json files have it: both the older keys and those of transformers 5
ARCHITECTURES = {
    "llama_default": {**_SIZES, "rope_theta": 321.0, "tie_word_embeddings": True},
    "llama_linear": {**_SIZES, "rope_theta": 500.0, "rope_scaling": {"type": "linear", "factor": 2.5}},
    "llama_dynamic": {**_SIZES, "rope_parameters": {"rope_type": "dynamic", "rope_theta": 99.0, "factor": 4.0}},
    "llama_llama3": {**_SIZES, "rope_theta": 700.0, "rope_scaling": {"rope_type": "llama3", **_LLAMA3}},
    "llama_bias": {
        **_SIZES,
        "rope_parameters": {"rope_type": "llama3", "rope_theta": 700.0, **_LLAMA3},
        "attention_bias": True,
        "mlp_bias": True,
        "num_key_value_heads": 6,
    },
}
# without torch these three cover every path; the others differ in a few frequencies
GOLDEN_NAMES = ("llama_default", "llama_llama3", "llama_bias")


def rows(seed: int = 0) -> dict[str, np.ndarray]:
    """Two rows of one segment each, longer than the original context of the llama3 scaling."""
    ids = np.random.default_rng(seed).integers(0, 40, (2, 37)).astype(np.int32)
    positions = np.ascontiguousarray(np.broadcast_to(np.arange(37, dtype=np.int32), ids.shape))
    return {"inputs": ids, "segments": np.ones_like(ids), "positions": positions}


def torch_model(name: str):
    """The reference model with random weights that no two tensors share by chance."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(1)
    model = LlamaForCausalLM(LlamaConfig(**ARCHITECTURES[name]))
    with torch.no_grad():
        for parameter in {id(p): p for p in model.parameters()}.values():
            # norm scales are one and biases zero at first, which would hide mistakes
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model.eval()


def torch_logits(model, batch: dict[str, np.ndarray]) -> np.ndarray:
    import torch

    with torch.no_grad():
        return model(input_ids=torch.tensor(batch["inputs"], dtype=torch.long)).logits.numpy()


def write_golden() -> None:
    GOLDEN.mkdir(exist_ok=True)
    for name in GOLDEN_NAMES:
        model = torch_model(name)
        weights = {key: value.numpy() for key, value in model.state_dict().items()}
        if ARCHITECTURES[name].get("tie_word_embeddings"):
            del weights["lm_head.weight"]
        np.savez_compressed(GOLDEN / f"{name}.npz", logits=torch_logits(model, rows()), **weights)


if __name__ == "__main__":
    write_golden()
