"""Answers to prompts."""

from __future__ import annotations

from collections.abc import Sequence

from flan_jax.config import Config, GenerationConfig
from flan_jax.generate.decoder import Decoder
from flan_jax.generate.sampling import Sampling
from flan_jax.runs.model import OpenModel
from flan_jax.runs.open import Text
from flan_jax.text.conversation import Message


def answer_all(config: Config, text: Text, model: OpenModel, prompts: Sequence[str]) -> list[str]:
    """The answer to each prompt, all in one batch."""
    settings = config.generation
    data_shards = model.mesh.shape["data"] * model.mesh.shape["fsdp"]
    rows = -(-len(prompts) // data_shards) * data_shards
    ids = text.encoder.prompt([[Message("user", prompt)] for prompt in prompts])
    answers = make_decoder(text, model, rows)(
        model.parts.tuned,
        model.parts.frozen,
        [prompt_ids.tolist() for prompt_ids in ids],
        max_new_tokens=settings.max_tokens,
        sampling=sampling_of(settings),
    )
    return [text.tokenizer.decode(answer).strip() for answer in answers]


def make_decoder(text: Text, model: OpenModel, rows: int) -> Decoder:
    """A decoder of `rows` rows for a model."""
    return Decoder(
        model.parts.graphdef,
        model.mesh,
        kind=model.parts.architecture.kind,
        rows=rows,
        stop_ids=text.encoder.stop_ids,
        longest=model.parts.architecture.max_length,
    )


def sampling_of(settings: GenerationConfig) -> Sampling:
    """How tokens are chosen, from the config."""
    return Sampling(temperature=settings.temperature, top_k=settings.top_k, top_p=settings.top_p, seed=settings.seed)
