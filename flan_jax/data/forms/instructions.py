"""Records of instruction sets: Alpaca, Dolly, Self-Instruct, OpenOrca, prompt and completion."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from flan_jax.data.forms.conversations import checked, checked_pair, cut_end, from_messages, turn
from flan_jax.data.spec.schema import Skip
from flan_jax.data.spec.task import MESSAGES, Fields

Map = Callable[[Mapping[str, Any]], Fields | Iterable[Fields | Skip] | Skip | None]


def from_alpaca(record: Mapping[str, Any]) -> Fields | Skip:
    """Instruction, with the input below it where there is one, and output; earlier turns and a system text are kept.

    Source: the form of tatsu-lab/stanford_alpaca's alpaca_data.json; `response` of GPTeacher; `history` and `system` of
    LLaMA-Factory.
    """
    prompt = _join(record["instruction"], record.get("input") or "")
    answer = record["response"] if "response" in record and "output" not in record else record["output"]
    system, history = record.get("system"), record.get("history")
    if not system and not history:
        return checked_pair(prompt, answer)
    turns = [turn("system", system)] if system else []
    for asked, answered in history or ():
        turns += [turn("user", asked), turn("assistant", answered)]
    return checked([*turns, turn("user", prompt), turn("assistant", answer)])


def from_dolly(record: Mapping[str, Any]) -> Fields | Skip:
    """Instruction, with the context below it where there is one, and response.

    Source: the form of databricks/databricks-dolly-15k.
    """
    return checked_pair(_join(record["instruction"], record.get("context") or ""), record["response"])


def from_self_instruct(record: Mapping[str, Any]) -> Fields | Skip | list[Fields | Skip]:
    """One example an instance of the instruction; a prompt and its completion, without the end mark, as they are.

    Source: the forms of yizhongw/self-instruct: seed_tasks.jsonl, and its data for fine-tuning.
    """
    if "instances" not in record:
        return checked_pair(record["prompt"], cut_end(record["completion"]))
    instruction = record["instruction"]
    return [checked_pair(_join(instruction, case["input"]), case["output"]) for case in record["instances"]]


def from_openorca(record: Mapping[str, Any]) -> Fields | Skip:
    """Question and response, under the system text where there is one.

    Source: the form of Open-Orca/OpenOrca.
    """
    talk = [turn("user", record["question"]), turn("assistant", record["response"])]
    return checked([turn("system", record.get("system_prompt") or ""), *talk])


def from_prompt_completion(record: Mapping[str, Any]) -> Fields | Skip:
    """Prompt and completion as they are; lists of turns become one conversation.

    Source: the prompt-completion form of huggingface/trl, plain and conversational.
    """
    prompt, completion = record["prompt"], record["completion"]
    if isinstance(prompt, str):
        return checked_pair(prompt, completion)
    return from_messages({MESSAGES: [*prompt, *completion]})


def _join(*texts: str) -> str:
    return "\n\n".join(text for text in texts if text)
