"""How a model reads: tokenizers, chat templates, and conversations as ids with loss weights."""
