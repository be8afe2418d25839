"""Prompted records: texts that are instruction and input in one, as the P3 collection publishes them.

    bigscience/P3 on the hub       inputs_pretokenized, targets_pretokenized, answer_choices where the prompt has some
    files with several prompts     template, prompt, completion (ending in <|endoftext|>, which is cut)

Source: Sanh et al., 2022, arXiv 2110.08207.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Any

from flan_jax.data.forms.conversations import checked_pair, form_map, text, without_end_mark
from flan_jax.data.sources.plain import Reshaped
from flan_jax.data.spec.schema import Skip
from flan_jax.data.spec.source import Record, SplitSource
from flan_jax.data.spec.task import Fields
from flan_jax.errors import InputError

_MANY = 8  # templates named in an error; a file may have hundreds


def prompted(source: SplitSource, template: str | None = None) -> Reshaped:
    """The records of one prompt or of all, with P3's fields.

    Args:
        source: gives the records in either form.
        template: of the records to take, where they name theirs; none: all are taken.
    """
    return Reshaped(source, partial(_of_prompt, template), "" if template is None else f"#{template}")


def _of_prompt(template: str | None, records: Iterable[Record], where: str) -> Iterator[Record]:
    """The records that are taken.

    Raises:
        InputError: there is none; names some of the templates that there are.
    """
    others: dict[str, None] = {}
    is_empty = True
    for row in records:
        own = row.get("template", template)
        if template in (None, own):
            is_empty = False
            yield _in_p3_form(row)
        elif len(others) < _MANY:
            others[own] = None
    if is_empty:
        raise InputError(
            f"{where}: no record has the template '{template}'; there are {', '.join(map(repr, others))} and maybe more"
        )


def _in_p3_form(row: Record) -> Record:
    if "inputs_pretokenized" in row or not {"prompt", "completion"} <= row.keys():
        return row  # a record of neither form is told where it is mapped, with its number
    completion = row["completion"]
    cut = without_end_mark(completion) if isinstance(completion, str) else completion
    return {"inputs_pretokenized": row["prompt"], "targets_pretokenized": cut}


@form_map
def from_prompted(record: Mapping[str, Any]) -> Fields | Skip:
    """Prompt, answer and choices: None where the record lists none, or its answer is none of them."""
    prompt, answer = text(record["inputs_pretokenized"]).strip(), text(record["targets_pretokenized"]).strip()
    choices = list(dict.fromkeys(text(choice).strip() for choice in record.get("answer_choices") or ()))
    is_choice = answer in choices and len(choices) > 1
    return checked_pair(prompt, answer, choices=choices if is_choice else None)
