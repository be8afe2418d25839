"""Records of instruction sets: Alpaca, Dolly, Self-Instruct, OpenOrca, prompt and completion."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from flan_jax.data.forms.conversations import (
    checked,
    checked_pair,
    form_map,
    from_messages,
    text,
    text_or_none,
    turn,
    without_end_mark,
)
from flan_jax.data.spec.schema import Skip
from flan_jax.data.spec.task import MESSAGES, Fields

Map = Callable[[Mapping[str, Any]], Fields | Iterable[Fields | Skip] | Skip | None]


@form_map
def from_alpaca(record: Mapping[str, Any]) -> Fields | Skip:
    """Instruction, with the input below it where there is one, and output; earlier turns and a system text are kept.

    Source: the form of tatsu-lab/stanford_alpaca's alpaca_data.json; `response` of GPTeacher; `history` and `system` of
    LLaMA-Factory.
    """
    prompt = _join(text(record["instruction"]), text_or_none(record.get("input")))
    answer = record["response"] if "response" in record and "output" not in record else record["output"]
    system, history = record.get("system"), record.get("history")
    if not system and not history:
        return checked_pair(prompt, answer)
    turns = [turn("system", system)] if system else []
    for asked, answered in history or ():
        turns += [turn("user", asked), turn("assistant", answered)]
    return checked([*turns, turn("user", prompt), turn("assistant", text(answer))])


@form_map
def from_dolly(record: Mapping[str, Any]) -> Fields | Skip:
    """Instruction, with the context below it where there is one, and response.

    Source: the form of databricks/databricks-dolly-15k.
    """
    prompt = _join(text(record["instruction"]), text_or_none(record.get("context")))
    return checked_pair(prompt, record["response"])


@form_map
def from_self_instruct(record: Mapping[str, Any]) -> Fields | Skip | list[Fields | Skip]:
    """One example an instance of the instruction; a prompt and its completion, without the end mark, as they are.

    Source: the forms of yizhongw/self-instruct: seed_tasks.jsonl, and its data for fine-tuning.
    """
    if "instances" not in record:
        return checked_pair(record["prompt"], without_end_mark(record["completion"]))
    instruction = text(record["instruction"])
    return [_instance({"instruction": instruction, "case": case}) for case in record["instances"]]


@form_map
def _instance(record: Mapping[str, Any]) -> Fields | Skip:
    case = record["case"]
    prompt = _join(record["instruction"], text_or_none(case.get("input")))
    return checked_pair(prompt, case.get("output"))


@form_map
def from_openorca(record: Mapping[str, Any]) -> Fields | Skip:
    """Question and response, under the system text where there is one.

    Source: the form of Open-Orca/OpenOrca.
    """
    talk = [turn("user", text(record["question"])), turn("assistant", text(record["response"]))]
    return checked([turn("system", text_or_none(record.get("system_prompt"))), *talk])


@form_map
def from_prompt_completion(record: Mapping[str, Any]) -> Fields | Skip:
    """Prompt and completion as they are; lists of turns become one conversation.

    Source: the prompt-completion form of huggingface/trl, plain and conversational.
    """
    prompt, completion = record["prompt"], record["completion"]
    if isinstance(prompt, list):
        return from_messages({MESSAGES: [*prompt, *completion]})
    return checked_pair(prompt, completion)


def _join(*texts: str) -> str:
    return "\n\n".join(text for text in texts if text)
