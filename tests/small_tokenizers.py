"""Tokenizers and chat templates of a few hundred ids, made on the spot."""

import json
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import tokenizers
from tokenizers import AddedToken, models, pre_tokenizers, trainers
from tokenizers import decoders as token_decoders

SHARED = Path(__file__).resolve().parents[2] / "shared"

SENTENCES = (
    "What is the capital of France? The capital of France is Paris.",
    "Translate the name of the month into German: May, June, July.",
    "Is it true that 12 plus 30 is 42? Yes, it is 42.\n\nNo answer is needed.",
    "The house is wonderful, and the garden behind the house is larger than it looks.",
    "Question: how many letters has the word `wonderful`?\nAnswer: it has 9 letters.",
    "Grüße aus München, où l'été est fini; 日本語も少し。",
)

CHATML = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
CHATML_DEFAULT_SYSTEM = (
    "{% if messages[0]['role'] != 'system' %}<|im_start|>system\nYou are kind.<|im_end|>\n{% endif %}" + CHATML
)
CHATML_MARKED = (
    "{%- for message in messages %}\n"
    "    {%- if message['role'] == 'assistant' %}\n"
    "        {{- '<|im_start|>assistant\n' }}\n"
    "        {%- generation %}\n"
    "            {{- message['content'] + '<|im_end|>' }}\n"
    "        {%- endgeneration %}\n"
    "        {{- '\n' }}\n"
    "    {%- else %}\n"
    "        {{- '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}\n"
    "    {%- endif %}\n"
    "{%- endfor %}\n"
    "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\n' }}{%- endif %}"
)
# no system role, strict order of turns, start token, no line break after the end token
BRACKETS = (
    "{{ bos_token }}{% for message in messages %}"
    "{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('turns must go user, assistant, user') }}{% endif %}"
    "{% if message['role'] == 'user' %}[INST] {{ message['content'] | trim }} [/INST]"
    "{% else %}{{ ' ' + message['content'] + eos_token }}{% endif %}{% endfor %}"
)
# earlier answers lose what stands in <think> once another turn follows, as in templates of reasoning models
FORGETFUL = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{% if loop.last %}{{ message['content'] }}{% else %}{{ message['content'].split('</think>')[-1] }}{% endif %}"
    "<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


@lru_cache
def _trained(vocab_size: int) -> str:
    backend = tokenizers.Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = token_decoders.ByteLevel()
    specials = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[AddedToken(text, special=True, normalized=False) for text in specials],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    backend.train_from_iterator(SENTENCES * 4, trainer)
    return backend.to_str()


def byte_level_backend(vocab_size: int = 420) -> tokenizers.Tokenizer:
    """A byte-level BPE with three special tokens."""
    return tokenizers.Tokenizer.from_str(_trained(vocab_size))


def write_directory(directory: Path, template: str | None = None, **settings: object) -> Path:
    """A Hugging Face tokenizer directory around `byte_level_backend`."""
    directory.mkdir(parents=True, exist_ok=True)
    byte_level_backend().save(str(directory / "tokenizer.json"))
    tree = {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<|endoftext|>", "eos_token": "<|im_end|>"}
    tree |= {} if template is None else {"chat_template": template}
    (directory / "tokenizer_config.json").write_text(json.dumps(tree | settings))
    return directory


def train_sentencepiece(directory: Path, name: str, sentences: Sequence[str] = SENTENCES, **options: object) -> Path:
    """A SentencePiece model trained on a few sentences; skips the test where the package is missing."""
    import pytest

    sentencepiece = pytest.importorskip("sentencepiece", reason="needs the package sentencepiece to train a vocabulary")
    corpus = directory / "corpus.txt"
    corpus.write_text("\n".join(" ".join(sentence.split()) for sentence in sentences * 8), encoding="utf-8")
    sentencepiece.SentencePieceTrainer.train(
        input=str(corpus), model_prefix=str(directory / name), minloglevel=2, hard_vocab_limit=False, **options
    )
    return directory / f"{name}.model"
