"""Weight files of other tools: safetensors and GGUF, and the architecture that stands beside the weights."""
