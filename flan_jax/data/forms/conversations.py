"""Conversations in the forms people store them in, checked before they are trained on.

A conversation may open with a system text; then question and answer take turns, and it ends with an answer. What is not
so is left out under a reason of its own, since chat templates have no form for it and a model would learn it as it is.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from flan_jax.data.spec.schema import Skip
from flan_jax.data.spec.task import MESSAGES, Fields
from flan_jax.data.spec.template import is_number

T = TypeVar("T")
Turn = Mapping[str, Any]  # role, content

NO_TURNS = Skip("conversation without a turn")
NOT_TURNS = Skip("conversation that is no list of turns")
UNKNOWN_ROLE = Skip("turn of an unknown role")
TOOL_TURN = Skip("turn of a tool or with a tool's call")
NO_TEXT = Skip("turn without text")
NOTHING = Skip("null where text is needed")
NOT_TEXT = Skip("true, NaN, a list or an object where text is needed")
NOT_OF_FORM = Skip("record that is not of the form")
LATE_SYSTEM = Skip("system text after the first turn")
TWO_QUESTIONS = Skip("two user turns in a row")
TWO_ANSWERS = Skip("two assistant turns in a row")
OPENS_WITH_ANSWER = Skip("answer before the first question")
EMPTY_QUESTION = Skip("empty question")
EMPTY_ANSWER = Skip("empty answer")
NO_ANSWER = Skip("no answer at the end")

END_OF_TEXT = "<|endoftext|>"  # ends the completions of data made for GPT-3

_TOOL_ROLES = ("tool", "function", "function_call", "observation")
_SPOKEN = {"user": (TWO_QUESTIONS, EMPTY_QUESTION), "assistant": (TWO_ANSWERS, EMPTY_ANSWER)}
_ROLES = {
    "system": "system",
    "developer": "system",
    "human": "user",
    "user": "user",
    "prompter": "user",
    "gpt": "assistant",
    "assistant": "assistant",
    "chatgpt": "assistant",
    "bing": "assistant",
    "bard": "assistant",
    "model": "assistant",
}


class UnfitError(Exception):
    """Raised inside a form's map: the record is left out for this reason."""

    def __init__(self, reason: Skip):
        super().__init__(reason.reason)
        self.reason = reason


def form_map(read: Callable[[Mapping[str, Any]], T]) -> Callable[[Mapping[str, Any]], T | Skip]:
    """A form's map: a record whose values are not of the form is left out and counted, and never ends the reading.

    A record without one of the form's own fields is refused where it is mapped: the file is of another form.
    """

    @functools.wraps(read)
    def mapped(record: Mapping[str, Any]) -> T | Skip:
        try:
            return read(record)
        except UnfitError as e:
            return e.reason
        except (TypeError, AttributeError, ValueError, IndexError):
            return NOT_OF_FORM

    return mapped


def text(value: Any) -> str:
    """A value as text: a text itself, a number as it is written.

    Raises:
        UnfitError: it is none: null, true, NaN, a list, an object.
    """
    if type(value) is str:
        return value
    if is_number(value):
        return str(value)
    raise UnfitError(NOTHING if value is None else NOT_TEXT)


def text_or_none(value: Any) -> str:
    """A value that may be missing, as text; empty where it is."""
    return "" if value is None else text(value)


def turn(role: Any, content: Any) -> dict[str, Any]:
    """One turn."""
    return {"role": role, "content": content}


def checked(turns: Sequence[Turn]) -> Fields | Skip:
    """The conversation with roles as chat templates know them, or why it is left out.

    Args:
        turns: role and content each; a role by any of its usual names. An empty system text counts as none.
    """
    plain: list[Turn] = []
    for said in turns:
        named, content = said.get("role"), said.get("content")
        role = _ROLES.get(named) if isinstance(named, str) else None
        if named in _TOOL_ROLES or (content is None and said.get("tool_calls")):
            return TOOL_TURN
        if role is None:
            return UNKNOWN_ROLE
        if not isinstance(content, str):
            return NO_TEXT
        if role == "system":
            if plain:
                return LATE_SYSTEM
            if not content.strip():
                continue
        plain.append(turn(role, content))
    return _refusal(plain) or {MESSAGES: plain}


def _refusal(turns: Sequence[Turn]) -> Skip | None:
    """What is wrong with turns of known roles and with text."""
    talk = turns[1:] if turns and turns[0]["role"] == "system" else turns
    if not talk:
        return NO_TURNS
    before = None
    for said in talk:
        role = said["role"]
        in_a_row, empty = _SPOKEN[role]
        if before == role:
            return in_a_row
        if before is None and role == "assistant":
            return OPENS_WITH_ANSWER
        if not said["content"].strip():
            return empty
        before = role
    return NO_ANSWER if before == "user" else None


def checked_pair(prompt: Any, answer: Any, **more: Any) -> Fields | Skip:
    """The fields of one question and its answer, or why they are left out.

    Raises:
        UnfitError: one is no text.
    """
    asked, answered = text(prompt), text(answer)
    for said, empty in ((asked, EMPTY_QUESTION), (answered, EMPTY_ANSWER)):
        if not said.strip():
            return empty
    return {"prompt": asked, "answer": answered, **more}


def without_end_mark(completion: Any) -> str:
    """A completion without the mark at its end."""
    return text(completion).removesuffix(END_OF_TEXT).strip()


@form_map
def from_messages(record: Mapping[str, Any]) -> Fields | Skip:
    """The turns under `messages` (or `conversations`), content in parts joined.

    Source: the form of OpenAI's chat data and of huggingface/trl.
    """
    turns = record[MESSAGES] if MESSAGES in record or "conversations" not in record else record["conversations"]
    if not _are_turns(turns):
        return NOT_TURNS
    return checked([{**said, "content": _whole(said.get("content"))} for said in turns])


def _are_turns(turns: Any) -> bool:
    return isinstance(turns, (list, tuple)) and all(isinstance(said, Mapping) for said in turns)


def _whole(content: Any) -> Any:
    """Content in parts as one text; None where a part is none (an image)."""
    if not isinstance(content, list):
        return content
    if any(part.get("type") != "text" or not isinstance(part.get("text"), str) for part in content):
        return None
    return "".join(part["text"] for part in content)


@form_map
def from_sharegpt(record: Mapping[str, Any]) -> Fields | Skip:
    """The turns under `conversations`, from the first question to the last answer.

    Collected conversations often open with an answer whose question was not kept, or end with a question that is open:
    that one turn is trimmed where a conversation is left.

    Source: the form of lm-sys/FastChat, data/dummy_conversation.json.
    """
    if not _are_turns(record["conversations"]):
        return NOT_TURNS
    turns = [turn(said.get("from"), said.get("value")) for said in record["conversations"]]
    system = [said for said in turns[:1] if said["role"] == "system"]
    talk = turns[len(system) :]
    talk = trimmed(talk) or talk
    if record.get("system") and not system:
        system = [turn("system", record["system"])]
    return checked([*system, *talk])


def trimmed(talk: Sequence[Turn]) -> Sequence[Turn]:
    """The turns without an answer that opens them and without a question that ends them."""
    if talk and _ROLES.get(str(talk[0]["role"])) == "assistant":
        talk = talk[1:]
    if talk and _ROLES.get(str(talk[-1]["role"])) == "user":
        talk = talk[:-1]
    return talk
