"""The reference of the benchmarks: torch + transformers + peft on the same batches, driven line by line over a pipe.

Reads one JSON command a line and answers with one JSON line. Weights are random in the model's shape: speed does not
depend on their values. Attention is plain causal (its fastest path), so a packed row costs torch no mask.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import LlamaConfig, LlamaForCausalLM


class Worker:
    def __init__(self, architecture: dict[str, Any], method: str, threads: int):
        torch.manual_seed(0)
        torch.set_num_threads(threads)
        self.model: Any = LlamaForCausalLM(LlamaConfig(**architecture))
        if method == "lora":
            from peft import LoraConfig, get_peft_model

            self.model = get_peft_model(self.model, LoraConfig(r=16, lora_alpha=32, target_modules="all-linear"))
        if method == "decode":
            self.model = self.model.to(torch.bfloat16).eval()
        else:
            tuned = [p for p in self.model.parameters() if p.requires_grad]
            self.optimizer = torch.optim.AdamW(tuned, lr=2e-4)

    def train(self, batch: str) -> dict[str, float]:
        """One optimizer step on an .npz of inputs, targets and weights; bf16 autocast, loss on weighted tokens only."""
        arrays = np.load(batch)
        inputs = torch.from_numpy(arrays["inputs"].astype(np.int64))
        labels = torch.from_numpy(np.where(arrays["weights"] > 0, arrays["targets"], -100).astype(np.int64))
        started = time.perf_counter()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            # `shift_labels` is transformers' own name for labels that already stand at the position predicting them
            loss = self.model(input_ids=inputs, labels=labels, shift_labels=labels).loss
        loss.backward()
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return {"seconds": time.perf_counter() - started, "loss": float(loss)}

    def decode(self, prompt_tokens: int, rows: int, new_tokens: int) -> dict[str, float]:
        prompt = torch.randint(5, 40_000, (rows, prompt_tokens))
        seconds = {}
        for count in (1, new_tokens):
            started = time.perf_counter()
            with torch.inference_mode():
                self.model.generate(
                    prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=count, min_new_tokens=count,
                    do_sample=False, pad_token_id=0,
                )  # fmt: skip
            seconds[count] = time.perf_counter() - started
        # the prompt's pass is in both: the difference is decoding alone
        return {"seconds": seconds[new_tokens] - seconds[1], "tokens": rows * (new_tokens - 1)}


def main() -> None:
    settings = json.loads(Path(sys.argv[1]).read_text())
    worker = Worker(settings["architecture"], settings["method"], settings["threads"])
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        command = json.loads(line)
        answer = getattr(worker, command.pop("do"))(**command)
        answer["peak_gib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
