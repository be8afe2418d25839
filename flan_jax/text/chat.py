"""Conversations as token ids in a model's own chat form, with the loss on what the assistant says and nothing else.

```
messages ──template──► text ──tokenizer──► ids ──┬─► weights 1 from the first token of an answer
                         │                       │         to the token that ends the turn
                         └─ where answers begin and end (marks of the template, or rendered prefixes)
```

Every answer of every example is checked to begin, in the ids, exactly where it begins in the text (see `token_edges`);
a template or tokenizer that does not allow it is an error that names the turn. A form is built once and holds no state.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from flan_jax.errors import InputError
from flan_jax.text.chat_template import ChatTemplate
from flan_jax.text.conversation import ConversationError, Encoded, Message, encoded, unanswered
from flan_jax.text.plain import PairEncoder, TextEncoder, encoder_fingerprint
from flan_jax.text.token_edges import TokenizedText, locate
from flan_jax.text.tokenizer import Tokenizer

__all__ = ["ChatEncoder", "ConversationError", "Encoded", "Message", "PairEncoder", "TextEncoder", "make_encoder"]

Conversation = Sequence[Message]
_VERSION = 1  # raise it when the same conversation gives other ids
_PROBE = (
    Message("user", "first question 7f3a"),
    Message("assistant", "first answer 7f3a"),
    Message("user", "second question 7f3a"),
)


@dataclass(frozen=True)
class _Rendered:
    """A conversation's text, and the character spans of its answers."""

    text: str
    spans: list[tuple[int, int]]
    # spans from rendered prefixes hold all that the template writes for a turn, also what stands after its end token;
    # spans from marks are as the template's author wants them
    is_marked: bool


class ChatEncoder:
    """Conversations in the form of the tokenizer's chat template.

    Attributes:
        stop_ids: Tokens that end an answer: the one this template ends a turn with, then the tokenizer's own.
    """

    kind = "chat"

    def __init__(self, tokenizer: Tokenizer, system: str):
        """Takes a tokenizer and the config's chat.system, and tries the template on a short conversation.

        Raises:
            InputError: no or a faulty template, one that cannot do what `system` asks, or one that ends an answer
                without a special token, so that a model could not learn to stop.
        """
        if tokenizer.chat_template is None:
            raise InputError(
                f"tokenizer '{tokenizer.name}': has no chat template, which data.form: chat needs; use text or auto"
            )
        self.tokenizer = tokenizer
        self._template = ChatTemplate(tokenizer.chat_template, tokenizer.special, tokenizer.name)
        self._keeps_system = system == "default"
        self._opening = self._resolve_system(system)
        self.stop_ids = self._find_stop_ids()
        self.fingerprint = encoder_fingerprint(self.kind, tokenizer, system, _VERSION)

    def encode(self, conversations: Sequence[Conversation]) -> list[Encoded]:
        """Ids with loss weights, one per conversation.

        Raises:
            ConversationError: no assistant turn in a conversation, the template refuses it, or an answer's place in the
                text is no place in the ids.
        """
        rendered = [self._render_answers(self._opened(turns), index) for index, turns in enumerate(conversations)]
        return [encoded(ids, spans) for ids, spans in self._encode_rendered(rendered)]

    def prompt(self, conversations: Sequence[Conversation]) -> list[np.ndarray]:
        """Ids (int32) up to and with the generation prompt; an assistant turn at the end is the answer and left out."""
        texts = [self._render_prompt(unanswered(self._opened(turns)), i) for i, turns in enumerate(conversations)]
        return [np.asarray(ids, np.int32) for ids in self.tokenizer.encode_batch(texts)]

    def answers(self, conversations: Sequence[Conversation], answers: Sequence[str]) -> list[np.ndarray]:
        """Ids (int32) that follow `prompt` for each conversation's answer, up to and with the token that ends the turn.

        Raises:
            ConversationError: as `encode`.
        """
        rendered = []
        for index, (turns, answer) in enumerate(zip(conversations, answers, strict=True)):
            before = unanswered(self._opened(turns))
            prompt = self._render_prompt(before, index)
            whole = self._render_answers([*before, Message("assistant", answer)], index)
            self._check_prefix(prompt, whole.text, index, "the answer")
            begin, end = len(prompt), whole.spans[-1][1]
            rendered.append(_Rendered(whole.text, [(begin, end)], whole.is_marked))
        return [np.asarray(ids[begin:end], np.int32) for ids, ((begin, end),) in self._encode_rendered(rendered)]

    def _opened(self, turns: Conversation) -> list[Message]:
        if self._keeps_system:
            return list(turns)
        return [*self._opening, *(turn for turn in turns if turn.role != "system")]

    def _resolve_system(self, system: str) -> tuple[Message, ...]:
        """The messages that go before every conversation."""
        if system == "default":
            return ()
        if system == "none":
            for opening in ((), (Message("system", ""),)):
                if self._has_no_system_turn(opening):
                    return opening
            raise InputError(
                f"chat template of '{self.tokenizer.name}': inserts a system turn by itself, so chat.system: none "
                "cannot hold; use default, or give the text it shall have"
            )
        opening = (Message("system", system),)
        text, _ = self._template.render([*opening, *_PROBE], add_generation_prompt=True)
        if system.strip() not in text:
            raise InputError(
                f"chat template of '{self.tokenizer.name}': leaves system turns out, so the text in chat.system would "
                "be lost; use none or default"
            )
        return opening

    def _has_no_system_turn(self, opening: tuple[Message, ...]) -> bool:
        """Whether the first user turn opens as the second does, but for the start token."""
        text, _ = self._template.render([*opening, *_PROBE], add_generation_prompt=True)
        question, answer, follow_up = (message.content for message in _PROBE)
        if not all(content in text for content in (question, answer, follow_up)):
            return False
        head = text.partition(question)[0].removeprefix(self.tokenizer.special.get("bos_token", ""))
        between = text.partition(answer)[2].partition(follow_up)[0]
        return between.endswith(head)

    def _find_stop_ids(self) -> tuple[int, ...]:
        text, _ = self._template.render([*self._opening, *_PROBE[:2]], add_generation_prompt=False)
        _, answer, tail = text.rpartition(_PROBE[1].content)
        if not answer:
            raise InputError(
                f"chat template of '{self.tokenizer.name}': does not write an assistant's text as it stands, so no "
                "loss can be put on it; use data.form: text"
            )
        after = [i for i in self.tokenizer.encode(tail) if i in self.tokenizer.special_ids]
        if not after:
            raise InputError(
                f"chat template of '{self.tokenizer.name}': ends an assistant turn with no special token, so a model "
                f"cannot learn to stop; end turns with '{self.tokenizer.special['eos_token']}' or use data.form: text"
            )
        return tuple(dict.fromkeys((after[0], *self.tokenizer.stop_ids)))

    def _render_prompt(self, turns: Conversation, index: int) -> str:
        return self._render(turns, index, add_generation_prompt=True)[0]

    def _render(
        self, turns: Conversation, index: int, *, add_generation_prompt: bool
    ) -> tuple[str, list[tuple[int, int]]]:
        try:
            return self._template.render(turns, add_generation_prompt=add_generation_prompt)
        except InputError as e:
            raise ConversationError(index, f"conversation {index} of the batch: {e}") from e

    def _render_answers(self, turns: Conversation, index: int) -> _Rendered:
        """The whole text, and where its answers stand."""
        text, marked_spans = self._render(turns, index, add_generation_prompt=False)
        if marked_spans:
            return _Rendered(text, marked_spans, is_marked=True)
        spans = []
        for place, turn in enumerate(turns):
            if turn.role != "assistant":
                continue
            before = self._render_prompt(turns[:place], index)
            is_last = place + 1 == len(turns)
            through = text if is_last else self._render(turns[: place + 1], index, add_generation_prompt=False)[0]
            self._check_prefix(before, through, index, f"turn {place}")
            self._check_prefix(through, text, index, f"turn {place}")
            spans.append((len(before), len(through)))
        if not spans:
            raise ConversationError(index, f"conversation {index} of the batch: has no assistant turn to learn from")
        return _Rendered(text, spans, is_marked=False)

    def _check_prefix(self, before: str, text: str, index: int, what: str) -> None:
        if not text.startswith(before):
            raise self._split_error(index, what, "writes earlier turns in another way once it follows")

    def _split_error(self, index: int, what: str, reason: str) -> ConversationError:
        return ConversationError(
            index,
            f"conversation {index} of the batch: {what} cannot be told apart from what stands before, since the chat "
            f"template of '{self.tokenizer.name}' {reason}; use a template with generation marks, or data.form: text",
        )

    def _encode_rendered(self, rendered: Sequence[_Rendered]) -> list[tuple[list[int], list[tuple[int, int]]]]:
        """Ids of each text, and its character spans as spans of ids; two batches are encoded, however many texts."""
        wholes = self.tokenizer.encode_batch_with_offsets([conversation.text for conversation in rendered])
        texts = [
            TokenizedText(conversation.text, ids, offsets, self.tokenizer.hard_tokens)
            for conversation, (ids, offsets) in zip(rendered, wholes, strict=True)
        ]
        stops = [self._stops(conversation, text) for conversation, text in zip(rendered, texts, strict=True)]
        edges = [
            [begin for begin, _ in conversation.spans]
            + [end for (_, end), stop in zip(conversation.spans, of_spans, strict=True) if stop is None]
            for conversation, of_spans in zip(rendered, stops, strict=True)
        ]
        places = locate(texts, edges, self.tokenizer)
        results = []
        for index, conversation in enumerate(rendered):
            ids, spans = texts[index].ids, []
            for number, ((begin, end), stop) in enumerate(zip(conversation.spans, stops[index], strict=True)):
                first, last = places[index][begin], places[index][end] if stop is None else stop
                if first is None or last is None:
                    raise self._split_error(index, f"answer {number}", "lets a token reach across its edge")
                spans.append((first, self._with_stop(ids, first, last)))
            results.append((ids, spans))
        return results

    def _stops(self, conversation: _Rendered, text: TokenizedText) -> list[int | None]:
        """For each span the place after the token that ends its turn; none where the span's own end counts.

        What a template writes after that token (a line break, often) is nothing the model is to say.
        """
        if conversation.is_marked:
            return [None] * len(conversation.spans)
        return [text.after_last(self.stop_ids, begin, end) for begin, end in conversation.spans]

    def _with_stop(self, ids: list[int], begin: int, end: int) -> int:
        """The end of an answer; with the token after it, where a template's marks leave out what ends the turn."""
        holds_stop = any(token_id in self.stop_ids for token_id in ids[begin:end])
        return end + 1 if not holds_stop and end < len(ids) and ids[end] in self.stop_ids else end


def make_encoder(
    kind: Literal["auto", "chat", "text"], tokenizer: Tokenizer, system: str, *, is_encoder_decoder: bool
) -> ChatEncoder | TextEncoder | PairEncoder:
    """The form for a config's data.form and chat.system and a model's kind.

    Args:
        kind: auto takes the chat template where the tokenizer has one, and plain text otherwise.
        tokenizer: The model's.
        system: chat.system: none, default, or the text of the system turn.
        is_encoder_decoder: Such a model takes pairs of plain text.

    Raises:
        InputError: a chat template is asked for and there is none, or it cannot do what is asked.
    """
    if is_encoder_decoder:
        if kind == "chat":
            raise InputError(
                "data.form: chat is for decoder models, and this one is an encoder-decoder; use auto or text"
            )
        return PairEncoder(tokenizer, system)
    if kind == "chat" or (kind == "auto" and tokenizer.chat_template is not None):
        return ChatEncoder(tokenizer, system)
    return TextEncoder(tokenizer, system)
