"""Conversations in the forms people store them in, checked before they are trained on.

A conversation may open with a system text; then question and answer take turns, and it ends with an answer. What is not
so is left out under a reason of its own, since chat templates have no form for it and a model would learn it as it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flan_jax.data.spec.schema import Skip
from flan_jax.data.spec.task import MESSAGES, Fields

Turn = Mapping[str, Any]  # role, content

NO_TURNS = Skip("conversation without a turn")
NOT_TURNS = Skip("conversation that is no list of turns")
UNKNOWN_ROLE = Skip("turn of an unknown role")
TOOL_TURN = Skip("turn of a tool or with a tool's call")
NO_TEXT = Skip("turn without text")
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


def turn(role: str, content: Any) -> dict[str, Any]:
    """One turn."""
    return {"role": role, "content": content}


def checked(turns: Sequence[Turn]) -> Fields | Skip:
    """The conversation with roles as chat templates know them, or why it is left out.

    Args:
        turns: role and content each; a role by any of its usual names. An empty system text counts as none.
    """
    plain: list[Turn] = []
    for said in turns:
        role, content = _ROLES.get(said["role"]), said["content"]
        if said["role"] in _TOOL_ROLES or (content is None and said.get("tool_calls")):
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
    """The fields of one question and its answer, or why they are left out."""
    for text, empty in ((prompt, EMPTY_QUESTION), (answer, EMPTY_ANSWER)):
        if text is None:
            return NO_TEXT
        if isinstance(text, str) and not text.strip():
            return empty
    return {"prompt": prompt, "answer": answer, **more}


def cut_end(text: str) -> str:
    """A completion without the mark at its end."""
    return text.removesuffix(END_OF_TEXT).strip()


def from_messages(record: Mapping[str, Any]) -> Fields | Skip:
    """The turns under `messages` (or `conversations`), content in parts joined.

    Source: the form of OpenAI's chat data and of huggingface/trl.
    """
    turns = record[MESSAGES] if MESSAGES in record or "conversations" not in record else record["conversations"]
    if not _are_turns(turns):
        return NOT_TURNS
    return checked([{**said, "content": _whole(said["content"])} for said in turns])


def _are_turns(turns: Any) -> bool:
    return isinstance(turns, (list, tuple)) and all(isinstance(said, Mapping) for said in turns)


def _whole(content: Any) -> str | None:
    """Content as one text; None where a part is none (an image)."""
    if not isinstance(content, list):
        return content
    if any(part.get("type") != "text" for part in content):
        return None
    return "".join(part["text"] for part in content)


def from_sharegpt(record: Mapping[str, Any]) -> Fields | Skip:
    """The turns under `conversations`, from the first question to the last answer.

    Collected conversations often open with an answer whose question was not kept, or end with a question that is open:
    that one turn is trimmed where a conversation is left.

    Source: the form of lm-sys/FastChat, data/dummy_conversation.json.
    """
    if not _are_turns(record["conversations"]):
        return NOT_TURNS
    turns = [turn(said["from"], said["value"]) for said in record["conversations"]]
    system = [said for said in turns[:1] if said["role"] == "system"]
    talk = turns[len(system) :]
    talk = trimmed(talk) or talk
    if record.get("system") and not system:
        system = [turn("system", record["system"])]
    return checked([*system, *talk])


def trimmed(talk: Sequence[Turn]) -> Sequence[Turn]:
    """The turns without an answer that opens them and without a question that ends them."""
    if talk and _ROLES.get(talk[0]["role"]) == "assistant":
        talk = talk[1:]
    if talk and _ROLES.get(talk[-1]["role"]) == "user":
        talk = talk[:-1]
    return talk
