"""Natural Instructions: some 750 English training tasks, and 119 others to be tested on, each defined in words.

The official lists of the English track say which is which; its test tasks are the validation split here, so that what
is measured is the following of definitions that were never trained on. `natural_instructions` states the definition
alone; `natural_instructions_examples` shows positive examples after it: they are the task's own, so the few-shot
examples of other tasks (shots) do not apply.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flan_jax.data.registry import (
    HoldBack,
    HubSource,
    NaturalInstructionsSource,
    Skip,
    TaskSpec,
    Template,
    add_task,
    natural_instructions_rows,
)

CLUSTER = "natural_instructions"
MAX_EXAMPLES_A_TASK = 5_000  # of each of its tasks in Flan 2022: Longpre et al., arXiv 2301.13688, appendix
SHOWN_EXAMPLES = 2
NO_EXAMPLE = Skip("task without positive examples")
CITATION = (
    "Wang, Mishra, Alipoormolabashi, Kordi, Mirzaei et al. (2022), Super-NaturalInstructions: Generalization via "
    "Declarative Instructions on 1600+ NLP Tasks, arXiv:2204.07705"
)
SCHEMA = {"task": "text", "definition": "text", "positive_examples": "list", "input": "text", "outputs": "texts"}
SAMPLE = {
    "task": "task9000_colour_mixing",
    "id": "task9000-1",
    "categories": ["Question Answering"],
    "definition": "You are given the names of two paints. Name the colour that comes out when they are mixed.",
    "positive_examples": [
        {"input": "blue and yellow", "output": "green"},
        {"input": "red and white", "output": "pink"},
    ],
    "input": "red and yellow",
    "outputs": ["orange"],
}


def with_examples(record: Mapping[str, Any]) -> Mapping[str, Any] | Skip:
    """The record with its first positive examples as one text; a task that has none is left out."""
    shown = [f"Input: {case['input']}\nOutput: {case['output']}" for case in record["positive_examples"]]
    return {**record, "examples": "\n\n".join(shown[:SHOWN_EXAMPLES])} if shown else NO_EXAMPLE


add_task(
    TaskSpec(
        name="natural_instructions",
        cluster=CLUSTER,
        source=natural_instructions_rows(HubSource("Muennighoff/natural-instructions")),
        splits={"train": "train", "validation": "test"},
        schema=SCHEMA,
        templates=(
            Template("{definition}\n\n{input}"),
            Template("{definition}\n\nInput: {input}\nOutput:"),
            Template("Task: {definition}\n\nHere is the input.\n{input}\n\nWhat is the output?"),
            Template("{input}\n\nWith the text above, do the following. {definition}"),
            Template("Read the instructions, then work on the input below them.\n\n{definition}\n\n{input}"),
            Template("Instructions: {definition}\nInput: {input}\nAnswer:"),
            Template("Your job is described here:\n{definition}\n\nAnd this is what you get to work on:\n{input}"),
            Template("Input:\n{input}\n\nInstructions:\n{definition}\n\nOutput:"),
            Template("{definition} Please do so for this input:\n\n{input}"),
            Template("A colleague left you this note.\n\n{definition}\n\nThe first item on the pile reads:\n\n{input}"),
        ),
        inputs="{input}",
        answer="outputs",
        metrics=("rouge_l", "exact_match"),
        dataset_name="Natural Instructions",
        sample=SAMPLE,
        max_examples=MAX_EXAMPLES_A_TASK,
        cap_by="task",
        shots=0,
        license="Apache-2.0",
        citation=CITATION,
        description="Tasks from their definitions alone; evaluated on the official test tasks, never trained on.",
    )
)

add_task(
    TaskSpec(
        name="natural_instructions_examples",
        cluster=CLUSTER,
        # the hub's copy has no positive examples: this task reads a clone of github.com/allenai/natural-instructions
        source=HoldBack(NaturalInstructionsSource("natural-instructions"), usable=with_examples),
        schema=SCHEMA,
        map=with_examples,
        templates=(
            Template("{definition}\n\n{examples}\n\nInput: {input}\nOutput:"),
            Template("{definition}\n\nThis is how it is done:\n\n{examples}\n\nNow you.\n\nInput: {input}\nOutput:"),
            Template("Task: {definition}\n\nExamples\n\n{examples}\n\nYour turn\n\nInput: {input}\nOutput:"),
            Template("{examples}\n\nThe examples follow this rule: {definition}\n\nInput: {input}\nOutput:"),
            Template(
                "Read what is asked for, look at what others answered, and answer the last input.\n\n{definition}\n\n"
                "{examples}\n\nInput: {input}\nOutput:"
            ),
            Template("{definition}\n\nFor instance:\n{examples}\n\nWhat is the output for this input?\n{input}"),
            Template("How would you continue?\n\n{definition}\n\n{examples}\n\nInput: {input}\nOutput:"),
            Template("Solved cases:\n{examples}\n\nInstructions: {definition}\n\nOpen case:\nInput: {input}\nOutput:"),
            Template("Instructions: {definition}\n\n{examples}\n\nGive the output alone.\nInput: {input}\nOutput:"),
            Template(
                "A new colleague is shown the job.\n\n{definition}\n\nWhat was done so far:\n\n{examples}\n\n"
                "The next input is this:\n{input}\nWhat should the colleague write?"
            ),
        ),
        inputs="{input}",
        answer="outputs",
        metrics=("rouge_l", "exact_match"),
        dataset_name="Natural Instructions",
        sample=SAMPLE,
        max_examples=MAX_EXAMPLES_A_TASK,
        cap_by="task",
        shots=0,
        license="Apache-2.0",
        citation=CITATION,
        description="Tasks from their definitions and two positive examples; evaluated on the official test tasks.",
    )
)
