"""Answers to prompts, all at once, or turn by turn as they are made."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from flan_jax.config import Config, GenerationConfig
from flan_jax.errors import InputError
from flan_jax.generate.decoder import Decoder
from flan_jax.generate.sampling import Sampling
from flan_jax.runs.model import OpenModel
from flan_jax.runs.open import Text
from flan_jax.text.conversation import Message

_HALF = "\N{REPLACEMENT CHARACTER}"  # what a character of several tokens decodes to until its last byte is there


def answer_all(config: Config, text: Text, model: OpenModel, prompts: Sequence[str]) -> list[str]:
    """The answer to each prompt, all in one batch.

    Raises:
        InputError: a prompt is longer than the model reads.
    """
    if not prompts:
        return []
    settings = config.generation
    data_shards = _data_shards(model)
    rows = -(-len(prompts) // data_shards) * data_shards
    ids = text.encoder.prompt([[Message("user", prompt)] for prompt in prompts])
    answers = _make_decoder(text, model, rows)(
        model.parts.tuned,
        model.parts.frozen,
        [prompt_ids.tolist() for prompt_ids in ids],
        max_new_tokens=settings.max_tokens,
        sampling=_sampling_of(settings),
    )
    return [text.tokenizer.decode(answer).strip() for answer in answers]


class Chat:
    """A conversation with a model: what was said is read again with each turn."""

    def __init__(self, config: Config, text: Text, model: OpenModel):
        """Begins a conversation.

        Raises:
            InputError: the model is an encoder–decoder.
        """
        if model.parts.architecture.kind == "encoder_decoder":
            raise InputError("generate: a conversation needs a decoder; give this encoder-decoder model its --prompt")
        self._settings, self._text, self._model = config.generation, text, model
        self._decoder = _make_decoder(text, model, _data_shards(model))
        self._turns: list[Message] = []

    def say(self, turn: str) -> Iterator[str]:
        """The answer to a turn, piece by piece as it is made; it counts as said when the last piece was taken.

        Raises:
            InputError: the conversation is longer than the model reads.
        """
        turns = [*self._turns, Message("user", turn)]
        [ids] = self._text.encoder.prompt([turns])
        parts = self._model.parts
        answer: list[int] = []
        shown = ""
        for token in self._decoder.stream(
            parts.tuned,
            parts.frozen,
            ids.tolist(),
            max_new_tokens=self._settings.max_tokens,
            sampling=_sampling_of(self._settings),
        ):
            answer.append(token)
            whole = self._text.tokenizer.decode(answer)
            if not whole.endswith(_HALF):
                yield whole[len(shown) :]
                shown = whole
        said = self._text.tokenizer.decode(answer)
        if said != shown:
            yield said[len(shown) :]
        self._turns = [*turns, Message("assistant", said)]

    def forget(self) -> None:
        """Begins anew."""
        self._turns = []


def _data_shards(model: OpenModel) -> int:
    return model.mesh.shape["data"] * model.mesh.shape["fsdp"]


def _make_decoder(text: Text, model: OpenModel, rows: int) -> Decoder:
    return Decoder(
        model.parts.graphdef,
        model.mesh,
        kind=model.parts.architecture.kind,
        rows=rows,
        stop_ids=text.encoder.stop_ids,
        longest=model.parts.architecture.max_length,
    )


def _sampling_of(settings: GenerationConfig) -> Sampling:
    """How tokens are chosen, from the config."""
    return Sampling(temperature=settings.temperature, top_k=settings.top_k, top_p=settings.top_p, seed=settings.seed)
