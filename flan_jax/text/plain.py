"""Plain text for models without a chat template: decoders read prompt and answer, encoder-decoders a pair.

A decoder's example is `[bos] prompt ⏎ answer eos`; several turns follow each other with a blank line between. Space at
the end of a prompt and around an answer is taken off, so that the line break stands alone and tokenises the same with
and without the answer; where it does not, that is an error and no guess.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

import numpy as np

from flan_jax.text.conversation import ConversationError, Encoded, Message, encoded, unanswered
from flan_jax.text.tokenizer import Tokenizer

_BETWEEN_TURNS = "\n\n"
_VERSION = 1  # raise it when the same conversation gives other ids


def encoder_fingerprint(kind: str, tokenizer: Tokenizer, system: str, version: int) -> str:
    """SHA-256 over what decides the ids of a conversation."""
    parts = [kind, version, tokenizer.fingerprint, system]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


class TextEncoder:
    """Conversations as plain text for a decoder; loss on the answers and the end token after each."""

    kind = "text"

    def __init__(self, tokenizer: Tokenizer, system: str):
        """Takes a tokenizer and chat.system of the config: a text other than none and default opens conversations."""
        self.tokenizer = tokenizer
        self.stop_ids = tokenizer.stop_ids
        self.fingerprint = encoder_fingerprint(self.kind, tokenizer, system, _VERSION)
        self._system = system

    def encode(self, conversations: Sequence[Sequence[Message]]) -> list[Encoded]:
        """Ids with loss weights, one per conversation.

        Raises:
            ConversationError: no answer in a conversation, or the tokenizer joins a prompt and its answer.
        """
        exchanges = [_exchanges(self._opened(turns), index) for index, turns in enumerate(conversations)]
        pieces = iter(self._encode_exchanges(exchanges))
        results = []
        for index, turns in enumerate(exchanges):
            ids, spans = self._start(), []
            for _, answer in turns:
                prompt_ids, answer_ids = next(pieces)
                begin = len(ids) + len(prompt_ids)
                ids += prompt_ids + answer_ids
                if answer is not None:
                    spans.append((begin, len(ids)))
            if not spans:
                raise ConversationError(
                    index, f"conversation {index} of the batch: has no assistant turn to learn from"
                )
            results.append(encoded(ids, spans))
        return results

    def prompt(self, conversations: Sequence[Sequence[Message]]) -> list[np.ndarray]:
        """Ids up to where the answer begins; an assistant turn at the end is the answer and left out."""
        exchanges = [_exchanges(unanswered(self._opened(turns)), index) for index, turns in enumerate(conversations)]
        pieces = iter(self._encode_exchanges(exchanges))
        results = []
        for turns in exchanges:
            ids = self._start()
            for _ in turns:
                prompt_ids, answer_ids = next(pieces)
                ids += prompt_ids + answer_ids
            results.append(np.asarray(ids, np.int32))
        return results

    def answers(self, conversations: Sequence[Sequence[Message]], answers: Sequence[str]) -> list[np.ndarray]:
        """Ids that follow `prompt` for each conversation's answer, the end token included."""
        last = []
        for index, (turns, answer) in enumerate(zip(conversations, answers, strict=True)):
            exchange = _exchanges([*unanswered(self._opened(turns)), Message("assistant", answer)], index)
            last.append(exchange[-1:])
        return [np.asarray(ids, np.int32) for _, ids in self._encode_exchanges(last)]

    def _start(self) -> list[int]:
        bos_id = self.tokenizer.bos_id
        return [bos_id] if self.tokenizer.adds_bos and bos_id is not None else []

    def _opened(self, turns: Sequence[Message]) -> list[Message]:
        if self._system in ("none", "default"):
            return list(turns)
        return [Message("system", self._system), *(turn for turn in turns if turn.role != "system")]

    def _encode_exchanges(
        self, exchanges: Sequence[Sequence[tuple[str, str | None]]]
    ) -> list[tuple[list[int], list[int]]]:
        """Prompt ids and answer ids (end token included) of every exchange, conversation by conversation."""
        flat = [(index, *exchange) for index, turns in enumerate(exchanges) for exchange in turns]
        prompts = self.tokenizer.encode_batch([prompt for _, prompt, _ in flat])
        wholes = self.tokenizer.encode_batch([prompt + answer for _, prompt, answer in flat if answer is not None])
        whole_of = iter(wholes)
        results: list[tuple[list[int], list[int]]] = []
        for (index, _, answer), prompt_ids in zip(flat, prompts, strict=True):
            if answer is None:
                results.append((prompt_ids, []))
                continue
            whole = next(whole_of)
            if whole[: len(prompt_ids)] != prompt_ids:
                raise ConversationError(
                    index,
                    f"conversation {index} of the batch: tokenizer '{self.tokenizer.name}' joins the prompt's end and "
                    f"the answer's start {answer[:20]!r} into one token, so the loss cannot begin there; change either",
                )
            results.append((prompt_ids, [*whole[len(prompt_ids) :], self.tokenizer.eos_id]))
        return results


class PairEncoder:
    """Conversations as (input, target) for an encoder-decoder; the last assistant turn is the target."""

    kind = "pair"

    def __init__(self, tokenizer: Tokenizer, system: str):
        """Takes a tokenizer and the config's chat.system: a text other than none and default opens each input."""
        self.tokenizer = tokenizer
        self.stop_ids = tokenizer.stop_ids
        self.fingerprint = encoder_fingerprint(self.kind, tokenizer, system, _VERSION)
        self._system = system

    def encode_pairs(self, conversations: Sequence[Sequence[Message]]) -> list[tuple[np.ndarray, np.ndarray]]:
        """(input ids int32 [S], target ids int32 [T]) of each conversation, both with the end token.

        Raises:
            ConversationError: a conversation does not end in an assistant turn.
        """
        for index, turns in enumerate(conversations):
            if not turns or turns[-1].role != "assistant":
                raise ConversationError(index, f"conversation {index} of the batch: must end in an assistant turn")
        answers = [turns[-1].content for turns in conversations]
        return list(zip(self.prompt(conversations), self.answers(conversations, answers), strict=True))

    def prompt(self, conversations: Sequence[Sequence[Message]]) -> list[np.ndarray]:
        """Input ids with the end token; an assistant turn at the end is the answer and left out."""
        return self._with_end([self._input(turns) for turns in conversations])

    def answers(self, conversations: Sequence[Sequence[Message]], answers: Sequence[str]) -> list[np.ndarray]:
        """Target ids of each answer with the end token; they do not depend on the conversation."""
        del conversations
        return self._with_end(answers)

    def _input(self, turns: Sequence[Message]) -> str:
        texts = [turn.content for turn in unanswered(turns)]
        if self._system not in ("none", "default"):
            texts = [self._system, *(turn.content for turn in unanswered(turns) if turn.role != "system")]
        return _BETWEEN_TURNS.join(texts)

    def _with_end(self, texts: Sequence[str]) -> list[np.ndarray]:
        eos_id = self.tokenizer.eos_id
        return [np.asarray([*ids, eos_id], np.int32) for ids in self.tokenizer.encode_batch(texts)]


def _exchanges(turns: Sequence[Message], index: int) -> list[tuple[str, str | None]]:
    """(prompt text, answer text) pairs; what stands before an answer is one prompt, the last answer may be missing."""
    exchanges: list[tuple[str, str | None]] = []
    waiting: list[str] = []
    for turn in turns:
        if turn.role != "assistant":
            waiting.append(turn.content.rstrip())
            continue
        exchanges.append((_prompt_text(waiting, is_first=not exchanges), turn.content.strip()))
        waiting = []
    if waiting:
        exchanges.append((_prompt_text(waiting, is_first=not exchanges), None))
    if not exchanges:
        raise ConversationError(index, f"conversation {index} of the batch: is empty; give at least one turn")
    return exchanges


def _prompt_text(texts: Sequence[str], *, is_first: bool) -> str:
    return ("" if is_first else _BETWEEN_TURNS) + _BETWEEN_TURNS.join(texts) + "\n"
