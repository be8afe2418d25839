"""Tasks from files in the forms users know, named in a config as `FORM:PATH`.

    alpaca                instruction, input (or none), output (or response)
    prompt-completion     prompt, completion; texts, or lists of turns
    messages              messages: [{role, content}, …]
    sharegpt              conversations: [{from, value}, …], system (or none)
    natural-instructions  task files of Natural Instructions, or their folder

Where there is no validation split, 2% of the records are held back for it, by a keyed hash of their content.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from flan_jax.data.file_source import FileSource
from flan_jax.data.files import find_files, is_folder
from flan_jax.data.natural_instructions import NaturalInstructionsSource
from flan_jax.data.sources import HoldBack
from flan_jax.data.spec import MESSAGES, Fields, TaskSpec
from flan_jax.data.templates import Template
from flan_jax.errors import InputError

SHOWN_EXAMPLES = 2  # positive examples of a Natural Instructions task in the template that shows them

_TOOL_ROLES = ("tool", "function")  # chat templates of small models have no form for them
_SHAREGPT_ROLES = {
    "system": "system",
    "human": "user",
    "user": "user",
    "gpt": "assistant",
    "assistant": "assistant",
    "chatgpt": "assistant",
    "bing": "assistant",
    "bard": "assistant",
    "model": "assistant",
}


def from_alpaca(record: Mapping[str, Any]) -> Fields:
    """Instruction, with the input below it where there is one, and output; earlier turns and a system text are kept.

    Source: the form of tatsu-lab/stanford_alpaca's alpaca_data.json; `response` of GPTeacher; `history` and `system` of
    LLaMA-Factory.
    """
    prompt = _join(_text(record, "instruction"), record.get("input") or "")
    answer = _text(record, "output", "response")
    system, history = record.get("system"), record.get("history")
    if not system and not history:
        return {"prompt": prompt, "answer": answer}
    turns = [_turn("system", system)] if system else []
    for asked, answered in history or ():
        turns += [_turn("user", asked), _turn("assistant", answered)]
    return {MESSAGES: [*turns, _turn("user", prompt), _turn("assistant", answer)]}


def from_prompt_completion(record: Mapping[str, Any]) -> Fields | None:
    """Prompt and completion as they are; lists of turns become one conversation.

    Source: the prompt-completion form of huggingface/trl, plain and conversational.
    """
    prompt, completion = record["prompt"], record["completion"]
    if isinstance(prompt, str):
        return {"prompt": prompt, "answer": completion}
    return from_messages({MESSAGES: [*prompt, *completion]})


def from_messages(record: Mapping[str, Any]) -> Fields | None:
    """The turns under `messages` (or `conversations`), content in parts joined; None where one is a tool's or no text.

    Source: the form of OpenAI's chat data and of huggingface/trl.
    """
    turns = record[MESSAGES] if MESSAGES in record or "conversations" not in record else record["conversations"]
    plain = []
    for turn in turns:
        role, content = turn["role"], turn["content"]
        if isinstance(content, list):
            content = None if any(part.get("type") != "text" for part in content) else _joined(content)
        if content is None or role in _TOOL_ROLES:
            return None
        plain.append(_turn("system" if role == "developer" else role, content))
    return {MESSAGES: plain}


def from_sharegpt(record: Mapping[str, Any]) -> Fields | None:
    """The turns under `conversations`, from the first question to the last answer.

    None where a turn is of another kind (tool calls, for one) or two turns in a row are of one side, since chat
    templates have no form for them.

    Source: the form of lm-sys/FastChat, data/dummy_conversation.json.
    """
    turns = []
    for turn in record["conversations"]:
        role = _SHAREGPT_ROLES.get(turn["from"])
        if role is None:
            return None
        turns.append(_turn(role, turn["value"]))
    system = [turn for turn in turns[:1] if turn["role"] == "system"]
    talk = turns[len(system) :]
    # collected conversations often open with an answer to a question that was not kept, or end with an open question
    if talk and talk[0]["role"] == "assistant":
        talk = talk[1:]
    if talk and talk[-1]["role"] == "user":
        talk = talk[:-1]
    sides = [turn["role"] for turn in talk]
    if not talk or sides != ["user", "assistant"] * (len(talk) // 2):
        return None
    if record.get("system") and not system:
        system = [_turn("system", record["system"])]
    return {MESSAGES: [*system, *talk]}


def from_natural_instructions(record: Mapping[str, Any]) -> Fields:
    """The definition, the input, accepted outputs, and the first positive examples as one text."""
    shown = record["positive_examples"][:SHOWN_EXAMPLES]
    return {
        **record,
        "examples": "".join(f"Input: {example['input']}\nOutput: {example['output']}\n\n" for example in shown),
    }


@dataclass(frozen=True)
class Form:
    """A form of records.

    Attributes:
        map: record → fields.
        templates: how fields that are no conversation are phrased.
        inputs: the bare input.
        answer: the field with the answer.
    """

    map: Callable[[Mapping[str, Any]], Fields | None]
    templates: tuple[Template, ...] = (Template("{prompt}"),)
    inputs: str = "{prompt}"
    answer: str = "answer"


FORMS: dict[str, Form] = {
    "alpaca": Form(from_alpaca),
    "prompt-completion": Form(from_prompt_completion),
    "messages": Form(from_messages, templates=(), inputs=""),
    "sharegpt": Form(from_sharegpt, templates=(), inputs=""),
    "natural-instructions": Form(
        from_natural_instructions,
        templates=(
            Template("{definition}\n\n{input}"),
            Template("{definition}\n\nInput: {input}\nOutput:"),
            Template("{definition}\n\n{examples}Input: {input}\nOutput:"),
        ),
        inputs="{input}",
        answer="outputs",
    ),
}


def split_form(name: str) -> tuple[str, str] | None:
    """(form, path) of a name `FORM:PATH`; None where it is no such name."""
    form, colon, path = name.partition(":")
    return (form, path) if colon and form in FORMS else None


def form_task(form: str, path: str, *, name: str = "", cluster: str = "") -> TaskSpec:
    """A task over a file, glob or folder in one of the forms.

    Args:
        form: one of FORMS.
        path: the file, glob or folder.
        name: of the task; empty: FORM:PATH.
        cluster: of the task; empty: the form's name.

    Raises:
        InputError: the form is unknown or there is no such file.
    """
    if form not in FORMS:
        raise InputError(f"data form '{form}': unknown; allowed: {', '.join(FORMS)}")
    if not is_folder(path) and not find_files(path):
        raise InputError(f"data file '{path}': no such file; a task named {form}:PATH needs a file, a glob or a folder")
    known = FORMS[form]
    source = NaturalInstructionsSource(path) if form == "natural-instructions" else FileSource(path)
    return TaskSpec(
        name=name or f"{form}:{path}",
        cluster=cluster or form,
        source=HoldBack(source, usable=known.map),
        templates=known.templates,
        inputs=known.inputs,
        map=known.map,
        answer=known.answer,
        metrics=("exact_match", "rouge_l"),
        dataset_name=PurePosixPath(path).stem,
        description=f"{PurePosixPath(path).name} in the form {form}",
    )


def _text(record: Mapping[str, Any], *names: str) -> str:
    """The first of these fields that the record has."""
    return record[next((name for name in names if name in record), names[0])]


def _join(*texts: str) -> str:
    return "\n\n".join(text for text in texts if text)


def _joined(parts: Iterable[Mapping[str, str]]) -> str:
    return "".join(part["text"] for part in parts)


def _turn(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}
