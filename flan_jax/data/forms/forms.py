"""Tasks from files in the forms users know, named in a config as `FORM:PATH`.

    alpaca                instruction, input (or none), output (or response)
    dolly                 instruction, context (or none), response
    self-instruct         instruction, instances: [{input, output}, …]; or prompt, completion
    openorca              system_prompt (or none), question, response
    prompt-completion     prompt, completion; texts, or lists of turns
    messages              messages: [{role, content}, …]
    sharegpt              conversations: [{from, value}, …], system (or none)
    oasst                 OpenAssistant's message trees, or its flat messages
    p3                    prompted records of P3; `p3:PATH#TEMPLATE` takes those of one template
    natural-instructions  task files of Natural Instructions, their folder, or the official repository's folder
    seqio-cache           a task's folder written by SeqIO's seqio_cache_tasks

Where there is no validation split, `data.validation_share` of the records are held back for it, by a keyed hash of
their content; with 0 there is none then. A record that is malformed is left out and counted under what is wrong.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from flan_jax.data.forms.conversations import from_messages, from_sharegpt
from flan_jax.data.forms.instructions import (
    Map,
    from_alpaca,
    from_dolly,
    from_openorca,
    from_prompt_completion,
    from_self_instruct,
)
from flan_jax.data.forms.natural_instructions import NaturalInstructionsSource, from_natural_instructions
from flan_jax.data.forms.openassistant import TreeConversations, trees
from flan_jax.data.forms.p3 import from_prompted, prompted
from flan_jax.data.sources.files import FileSource
from flan_jax.data.sources.held_back import HoldBack
from flan_jax.data.sources.seqio_cache import SeqioCacheSource
from flan_jax.data.spec.source import SplitSource
from flan_jax.data.spec.task import TaskSpec
from flan_jax.data.spec.template import Template
from flan_jax.errors import InputError
from flan_jax.files.addresses import find_files, is_folder


@dataclass(frozen=True)
class Form:
    """A form of records.

    Attributes:
        map: record → fields.
        source: path → where the records are.
        templates: how fields that are no conversation are phrased.
        inputs: the bare input.
        answer: the field with the answer.
    """

    map: Map
    source: Callable[[str], SplitSource] = FileSource
    templates: tuple[Template, ...] = (Template("{prompt}"),)
    inputs: str = "{prompt}"
    answer: str = "answer"


def _prompted_source(path: str) -> SplitSource:
    path, _, template = path.partition("#")
    return prompted(FileSource(path), template or None)


FORMS: dict[str, Form] = {
    "alpaca": Form(from_alpaca),
    "dolly": Form(from_dolly),
    "self-instruct": Form(from_self_instruct),
    "openorca": Form(from_openorca, templates=(), inputs=""),
    "prompt-completion": Form(from_prompt_completion),
    "messages": Form(from_messages, templates=(), inputs=""),
    "sharegpt": Form(from_sharegpt, templates=(), inputs=""),
    "oasst": Form(TreeConversations(), lambda path: trees(FileSource(path)), templates=(), inputs=""),
    "p3": Form(from_prompted, _prompted_source),
    "natural-instructions": Form(
        from_natural_instructions,
        NaturalInstructionsSource,
        templates=(
            Template("{definition}\n\n{input}"),
            Template("{definition}\n\nInput: {input}\nOutput:"),
            Template("{definition}\n\n{examples}Input: {input}\nOutput:"),
        ),
        inputs="{input}",
        answer="outputs",
    ),
    "seqio-cache": Form(lambda record: record, SeqioCacheSource),  # text, or token ids
}


def split_form(name: str) -> tuple[str, str] | None:
    """(form, path) of a name `FORM:PATH`; None where it is no such name."""
    form, colon, path = name.partition(":")
    return (form, path) if colon and form in FORMS else None


def form_task(form: str, path: str, *, name: str = "", cluster: str = "") -> TaskSpec:
    """A task over a file, glob or folder in one of the forms.

    Args:
        form: one of FORMS.
        path: the file, glob or folder; for p3 with `#TEMPLATE` after it, or without.
        name: of the task; empty: FORM:PATH.
        cluster: of the task; empty: the form's name.

    Raises:
        InputError: the form is unknown or there is no such file.
    """
    if form not in FORMS:
        raise InputError(f"data form '{form}': unknown; allowed: {', '.join(FORMS)}")
    file = path.partition("#")[0] if form == "p3" else path
    if not is_folder(file) and not find_files(file):
        raise InputError(f"data file '{file}': no such file; a task named {form}:PATH needs a file, a glob or a folder")
    return task_in_form(
        form,
        FORMS[form].source(path),
        name=name or f"{form}:{path}",
        cluster=cluster or form,
        dataset_name=PurePosixPath(file).stem,
        description=f"{PurePosixPath(path).name} in the form {form}",
    )


def task_in_form(form: str, source: SplitSource, **settings: Any) -> TaskSpec:
    """A task whose records are in one of the forms.

    Args:
        form: one of FORMS.
        source: of the records; where it has no validation split, the config's share is held back for it, or its own
            (`HoldBack`).
        settings: fields of TaskSpec; `name` and `cluster` must be there, the form gives the rest.
    """
    known = FORMS[form]
    given: dict[str, Any] = {
        "source": source if isinstance(source, HoldBack) else HoldBack(source, usable=known.map),
        "templates": known.templates,
        "inputs": known.inputs,
        "map": known.map,
        "answer": known.answer,
        "metrics": ("exact_match", "rouge_l"),
    }
    return TaskSpec(**(given | settings))
