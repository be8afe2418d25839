"""Tiny T5 models away from every default, their rows, and the golden files made of them.

`python tests/model/t5_reference.py` makes tests/golden/t5_*.npz again from transformers on PyTorch.
"""

from pathlib import Path

import numpy as np

GOLDEN = Path(__file__).parents[1] / "golden"
_SIZES = {
    "model_type": "t5",
    "vocab_size": 40,
    "d_model": 16,
    "d_kv": 6,
    "d_ff": 20,
    "num_heads": 4,
    "num_layers": 2,
    "num_decoder_layers": 3,
    "relative_attention_num_buckets": 12,
    "relative_attention_max_distance": 17,
    "layer_norm_epsilon": 1e-3,
    "dropout_rate": 0.2,
    "decoder_start_token_id": 3,
    "pad_token_id": 0,
    "eos_token_id": 1,
}
# T5 1.0 and 1.1 as their released config.json files tell them apart
ARCHITECTURES = {
    "t5_1_0": {**_SIZES, "feed_forward_proj": "relu", "tie_word_embeddings": True},
    "t5_1_1": {**_SIZES, "feed_forward_proj": "gated-gelu", "tie_word_embeddings": False},
}


def rows(seed: int = 0) -> dict[str, np.ndarray]:
    """Two rows of one segment each, the second padded on both sides of the model; longer than max_distance."""
    rng = np.random.default_rng(seed)
    encoder, decoder = (2, 29), (2, 23)
    batch = {
        "encoder_inputs": rng.integers(2, 40, encoder),
        "encoder_segments": np.ones(encoder),
        "decoder_inputs": rng.integers(2, 40, decoder),
        "decoder_segments": np.ones(decoder),
    }
    batch["encoder_segments"][1, 21:] = 0
    batch["decoder_segments"][1, 19:] = 0
    return {name: array.astype(np.int32) for name, array in batch.items()}


def torch_model(name: str):
    """The reference model with random weights that no two tensors share by chance."""
    import torch
    from transformers import T5Config, T5ForConditionalGeneration

    torch.manual_seed(1)
    model = T5ForConditionalGeneration(T5Config(**ARCHITECTURES[name]))
    if not ARCHITECTURES[name]["tie_word_embeddings"]:
        model.lm_head.weight = torch.nn.Parameter(0.3 * torch.randn_like(model.lm_head.weight))
    with torch.no_grad():
        for parameter in {id(p): p for p in model.parameters()}.values():
            # norm scales and position biases start at one value or near zero, which would hide mistakes
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model.eval()


def torch_logits(model, batch: dict[str, np.ndarray]) -> np.ndarray:
    import torch

    tensors = {name: torch.tensor(array, dtype=torch.long) for name, array in batch.items()}
    with torch.no_grad():
        output = model(
            input_ids=tensors["encoder_inputs"],
            attention_mask=tensors["encoder_segments"],
            decoder_input_ids=tensors["decoder_inputs"],
            decoder_attention_mask=tensors["decoder_segments"],
        )
    return output.logits.numpy()


def write_golden() -> None:
    GOLDEN.mkdir(exist_ok=True)
    for name in ARCHITECTURES:
        model = torch_model(name)
        logits = torch_logits(model, rows())
        copies = ("embed_tokens.weight", *(("lm_head.weight",) if ARCHITECTURES[name]["tie_word_embeddings"] else ()))
        weights = {key: value.numpy() for key, value in model.state_dict().items() if not key.endswith(copies)}
        np.savez_compressed(GOLDEN / f"{name}.npz", logits=logits, **weights)


if __name__ == "__main__":
    write_golden()
