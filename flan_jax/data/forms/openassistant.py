"""Conversations from OpenAssistant's message trees (Köpf et al., 2023, arXiv 2304.07327).

    prompter ─┬─ assistant, rank 0 ─┬─ prompter ── assistant ...     one conversation
              │                     └─ prompter ── assistant ...     another one
              ├─ assistant, rank 1   left out: not the best reply
              └─ assistant, deleted  left out

Which paths become conversations: below a question only the best reply is followed, below a reply every question is. The
best reply has the lowest rank; of replies without a rank it is the one most often reviewed, and of these the first. A
path ends with its last reply. A message is left out, with all below it and counted as one, where it was deleted, did
not pass review, is in a language that is not asked for, or where its labels call it spam, of another language than it
claims, or of low quality.

Three published forms are read: trees (`prompt` with nested `replies`), nested messages without a tree around them, and
flat rows that name their parent, in any order.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from flan_jax.data.forms.conversations import TWO_ANSWERS, TWO_QUESTIONS, checked, turn
from flan_jax.data.sources.plain import Reshaped
from flan_jax.data.spec.schema import Skip
from flan_jax.data.spec.source import Record, SplitSource
from flan_jax.data.spec.task import Fields
from flan_jax.errors import InputError

Message = Mapping[str, Any]

GIVEN_UP = Skip("tree that was given up or halted by moderators")
DELETED = Skip("deleted message")
NOT_APPROVED = Skip("message that did not pass review")
OTHER_LANGUAGE = Skip("message in a language that is not asked for")
NOT_THE_BEST = Skip("reply that is not the best of its question")
UNANSWERED = Skip("question without an answer")
NO_PARENT = Skip("message whose parent is missing")

_GIVEN_UP_STATES = ("aborted_low_grade", "halted_by_moderator")
_LABELS = {  # label → whether its mean over the reviewers (0 to 1) speaks against the message
    "spam": (lambda value: value >= 0.5, Skip("message labelled as spam")),
    "lang_mismatch": (lambda value: value >= 0.5, Skip("message labelled as of another language")),
    "quality": (lambda value: value < 0.25, Skip("message labelled as of low quality")),
}
_IDS = ("message_id", "user_message_id")  # of the exports; of the backend's seed data
_PARENTS = ("parent_id", "parent_message_id")


def trees(source: SplitSource) -> Reshaped:
    """The trees of a source of trees, nested messages or flat rows; flat rows of a split are gathered in memory.

    A record is {prompt, tree_state or none}, the prompt with its replies below it.
    """
    return Reshaped(source, _trees)


def _trees(records: Iterable[Record], where: str) -> Iterator[Record]:
    """The trees of the records.

    Raises:
        InputError: a record is of none of the three forms.
    """
    rows: list[Message] = []
    for record in records:
        if "prompt" in record:
            yield record
        elif "replies" in record:
            yield {"prompt": record}
        elif any(name in record for name in _IDS):
            rows.append(record)
        else:
            raise InputError(
                f"{where}: a record has {', '.join(record)}; OpenAssistant's have 'prompt' (trees), 'replies' (nested "
                "messages) or 'message_id' (flat rows)"
            )
    yield from _grown(rows)


def _grown(rows: Iterable[Message]) -> Iterator[Record]:
    """The trees of flat rows, in the order of their first messages."""
    nodes = {row[_key(row, _IDS)]: {**row, "replies": []} for row in rows}
    for node in nodes.values():
        parent = node.get(_key(node, _PARENTS))
        if parent in nodes:
            nodes[parent]["replies"].append(node)
    for node in nodes.values():
        parent = node.get(_key(node, _PARENTS))
        if parent is None:
            yield {"prompt": node, "tree_state": node.get("tree_state")}
        elif parent not in nodes:
            yield {"prompt": node, "is_orphan": True}


def _key(row: Message, names: tuple[str, str]) -> str:
    return next((name for name in names if name in row), names[0])


@dataclass(frozen=True)
class TreeConversations:
    """A task's map: the conversations of a tree, and what was left out.

    Attributes:
        languages: codes of the languages to keep; empty: all.
    """

    languages: tuple[str, ...] = ()

    def __call__(self, tree: Record) -> list[Fields | Skip]:
        """The conversations of the tree, in its order, among reasons for what is left out."""
        if tree.get("is_orphan"):
            return [NO_PARENT]
        if tree.get("tree_state") in _GIVEN_UP_STATES:
            return [GIVEN_UP]
        examples: list[Fields | Skip] = []
        self._follow(tree["prompt"], [], examples)
        return examples

    def _follow(self, question: Message, before: list[dict[str, Any]], examples: list[Fields | Skip]) -> bool:
        """Adds the conversations that go on with this question; whether there is one."""
        refusal = self._refusal(question) if question["role"] == "prompter" else TWO_ANSWERS
        if refusal is not None:
            examples.append(refusal)
            return False
        replies = self._fit_replies(question, examples)
        if not replies:
            examples.append(UNANSWERED)
            return False
        best, *others = sorted(replies, key=_standing)
        examples += [NOT_THE_BEST] * len(others)
        path = [*before, turn("user", question["text"]), turn("assistant", best["text"])]
        goes_on = [self._follow(reply, path, examples) for reply in best["replies"]]
        if not any(goes_on):
            examples.append(checked(path))
        return True

    def _fit_replies(self, question: Message, examples: list[Fields | Skip]) -> list[Message]:
        fit = []
        for reply in question["replies"]:
            refusal = self._refusal(reply) if reply["role"] == "assistant" else TWO_QUESTIONS
            if refusal is None:
                fit.append(reply)
            else:
                examples.append(refusal)
        return fit

    def _refusal(self, message: Message) -> Skip | None:
        if message.get("deleted"):
            return DELETED
        if message.get("review_result") is False:  # none: it was not reviewed yet
            return NOT_APPROVED
        if self.languages and message.get("lang") not in self.languages:
            return OTHER_LANGUAGE
        labels = _labels(message)
        for name, (is_against, refusal) in _LABELS.items():
            if name in labels and is_against(labels[name]):
                return refusal
        return None


def _standing(reply: Message) -> tuple[bool, int, int]:
    """Sorts the best reply first; equal ones stay in their order."""
    rank = reply.get("rank")
    return rank is None, rank or 0, -(reply.get("review_count") or 0)


def _labels(message: Message) -> Mapping[str, float]:
    """Label → mean value, from the exports' form {name: {value, count}} or the hub's {name: [...], value: [...]}."""
    labels = message.get("labels") or {}
    if isinstance(labels.get("name"), (list, tuple)):
        return dict(zip(labels["name"], labels["value"], strict=True))
    return {name: label["value"] for name, label in labels.items() if isinstance(label, Mapping)}
