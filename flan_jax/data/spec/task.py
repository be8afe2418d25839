"""What a task is: `TaskSpec`, checked when it is made, and `MixtureSpec`.

A spec is data. Making one opens no file and imports no library; what can be checked without a record is checked here
(template syntax, placeholders, options, metrics), and the rest with the first record.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from flan_jax.data.spec.schema import KINDS, Labels, Schema, Skip
from flan_jax.data.spec.source import Source
from flan_jax.data.spec.template import OPTIONS, Pattern, Template, parse
from flan_jax.errors import InputError

RANKED = "accuracy"  # the one metric of the chosen option, not of a generated text
METRICS = (RANKED, "exact_match", "token_f1", "bleu", "rouge_1", "rouge_2", "rouge_l")
MAX_EXAMPLES = 30_000  # training examples of a task where nobody says otherwise (FLAN, arXiv 2109.01652)
ANSWER = "answer"
MESSAGES = "messages"  # field with turns: the example is a conversation, and templates are not applied
TOKEN_IDS = "token_ids"  # field with `TokenIds` of another pipeline, which are taken as they are

Fields = Mapping[str, Any]


def _same_splits() -> dict[str, str]:
    return {"train": "train", "validation": "validation"}


@dataclass(frozen=True, eq=False)
class TaskSpec:
    """One task: records, and how they become instruction, additional information and desired output.

    Attributes:
        name: unique name.
        cluster: tasks of one cluster are held out together.
        source: where the records are.
        templates: ways to phrase an example; none only where the records are conversations (field `messages`).
        inputs: the bare input, for the template modes `name` and `none`.
        target: the desired output of templates that state none of their own.
        map: raw record → fields, several of them, or None for a record that is skipped (and counted), or a `Skip` with
            the reason it is counted under.
        options: field that lists the answer options, or the options themselves; the answer is one of them. An example
            with None in the field has no options.
        answer: field with the answer text, or a list of accepted texts; templates call it `{answer}` as well.
        trains_on: of several accepted answers: any, drawn by key, or the first, where the others are only accepted.
        metrics: what is measured, of METRICS; `accuracy` ranks the options.
        answer_pattern: regular expression whose one group reads the answer out of a chain of thought.
        reasoning: the target holds a chain of thought, so answers are longer.
        dataset_name: what the template mode `name` puts before the input; empty: the task's name.
        splits: this project's split name → the source's.
        schema: the fields of a raw record that the task reads, with their kinds (`schema.py`); labels are names from
            there on.
        label_words: value of the answer field → the words that stand for it; they become the options.
        sample: a made-up record in the form of the source's, to show and to check the task without its data.
        max_examples: most training examples; none: the mixture's cap, else MAX_EXAMPLES.
        cap_by: field (after `map`) each value of which may have that many training examples; empty: all together.
        shots: how many examples stand before the question (`shots.py`); none: as the config says.
        options_shown: whether the prompt lists the options; none: as the config says.
        version: changed by the author whenever `map` or the phrasing changes in a way that fields do not show.
        license: licence of the records.
        citation: where the records are described.
        description: one sentence for `tasks list`.
    """

    name: str
    cluster: str
    source: Source
    templates: tuple[Template, ...] = ()
    inputs: str = ""
    target: str = "{answer}"
    map: Callable[[Mapping[str, Any]], Fields | Iterable[Fields | Skip] | Skip | None] | None = None
    options: str | tuple[str, ...] | None = None
    answer: str = ANSWER
    trains_on: Literal["any", "first"] = "any"
    metrics: tuple[str, ...] = ("accuracy",)
    answer_pattern: str | None = None
    reasoning: bool = False
    dataset_name: str = ""
    splits: Mapping[str, str] = field(default_factory=_same_splits)
    schema: Schema = field(default_factory=dict)
    label_words: Mapping[str, str] = field(default_factory=dict)
    sample: Mapping[str, Any] | None = None
    max_examples: int | None = None
    cap_by: str = ""
    shots: int | Literal["few", "fit"] | None = None
    options_shown: bool | None = None
    version: str = "1"
    license: str = ""
    citation: str = ""
    description: str = ""

    def __post_init__(self) -> None:
        for key in ("name", "cluster"):
            if not getattr(self, key):
                raise InputError(f"task '{self.name}': '{key}' is empty; give it a name")
        lacking = [name for name in ("records", "version_here", "is_here", "local") if not hasattr(self.source, name)]
        if lacking:
            raise InputError(
                f"task '{self.name}': its source, a {type(self.source).__name__}, has no '{lacking[0]}'; let the class "
                "inherit from flan_jax.data.registry.OwnSource"
            )
        self._check_schema()
        self._check_options()
        self._check_metrics()
        self._check_templates()

    def _check_schema(self) -> None:
        for path, kind in self.schema.items():
            if not isinstance(kind, Labels) and kind not in KINDS:
                raise InputError(
                    f"task '{self.name}': schema field '{path}' has the unknown kind '{kind}'; allowed: "
                    f"{', '.join(KINDS)}, or Labels(...)"
                )
        if not self.label_words:
            return
        words = tuple(self.label_words.values())
        if self.options not in (None, words):
            raise InputError(f"task '{self.name}': gives both 'options' and 'label_words', whose words are the options")
        object.__setattr__(self, "options", words)
        kind = self.schema.get(self.answer)
        unworded = [name for name in kind if name not in self.label_words] if isinstance(kind, Labels) else []
        if unworded:
            raise InputError(
                f"task '{self.name}': label {unworded[0]!r} of field '{self.answer}' has no words; give each label its "
                "words in 'label_words'"
            )

    def _check_options(self) -> None:
        if isinstance(self.options, tuple) and (len(self.options) < 2 or len(set(self.options)) < len(self.options)):
            raise InputError(f"task '{self.name}': options {self.options!r} must be at least two different texts")

    def _check_metrics(self) -> None:
        for metric in self.metrics:
            if metric not in METRICS:
                raise InputError(f"task '{self.name}': unknown metric '{metric}'; allowed: {', '.join(METRICS)}")
        if RANKED in self.metrics and self.options is None:
            raise InputError(
                f"task '{self.name}': metric 'accuracy' ranks answer options, and the task has none; give 'options', "
                f"or metrics of {', '.join(METRICS[1:])}"
            )
        if RANKED in self.metrics and self.reasoning:
            raise InputError(
                f"task '{self.name}': metric 'accuracy' ranks bare options, and the target holds a chain of thought; "
                "use exact_match with answer_pattern"
            )
        if self.answer_pattern is not None:
            try:
                groups = re.compile(self.answer_pattern).groups
            except re.error as e:
                raise InputError(
                    f"task '{self.name}': answer_pattern {self.answer_pattern!r} is not valid ({e})"
                ) from e
            if groups != 1:
                raise InputError(
                    f"task '{self.name}': answer_pattern {self.answer_pattern!r} has {groups} groups; it must have "
                    "one, the answer"
                )

    def _check_templates(self) -> None:
        if self.templates and all(template.inverted for template in self.templates):
            raise InputError(f"task '{self.name}': every template is inverted; at least one must ask for the answer")
        for number, (template, (prompt, target)) in enumerate(zip(self.templates, self.patterns, strict=True)):
            where = f"task '{self.name}', template {number}"
            if OPTIONS in prompt.fields and self.options is None:
                raise InputError(f"{where}: asks for {{options}}, and the task has none; set 'options' or take it out")
            if OPTIONS in target.fields:
                raise InputError(f"{where}: {{options}} stands in the target; it belongs in the prompt")
            if not template.inverted and {ANSWER, self.answer} & set(prompt.fields):
                raise InputError(f"{where}: the prompt gives the answer away; take it out, or set inverted=True")
            if template.inverted and template.target is None:
                raise InputError(
                    f"{where}: is inverted and states no target; say what it asks for, e.g. '{{question}}'"
                )
        for where, pattern in (("inputs", self.inputs_pattern), ("target", self.target_pattern)):
            if OPTIONS in pattern.fields:
                raise InputError(f"task '{self.name}': {{options}} stands in '{where}'; they are added where shown")

    @functools.cached_property
    def patterns(self) -> tuple[tuple[Pattern, Pattern], ...]:
        """(prompt, target) of every template, parsed."""
        pairs = []
        for number, template in enumerate(self.templates):
            where = f"task '{self.name}', template {number}"
            target = self.target_pattern if template.target is None else parse(template.target, f"{where}, target")
            pairs.append((parse(template.prompt, f"{where}, prompt"), target))
        return tuple(pairs)

    @functools.cached_property
    def inputs_pattern(self) -> Pattern:
        """The bare input, parsed."""
        return parse(self.inputs, f"task '{self.name}', inputs")

    @functools.cached_property
    def target_pattern(self) -> Pattern:
        """The desired output, parsed."""
        return parse(self.target, f"task '{self.name}', target")

    @property
    def folder(self) -> str:
        """The name as one safe path part: itself where it is one, else made safe and told apart by a hash."""
        safe = re.sub(r"[^A-Za-z0-9_.-]+", "_", self.name).strip("._")[-80:]
        return safe if safe == self.name else f"{safe}-{hashlib.sha256(self.name.encode()).hexdigest()[:8]}"

    def identity(self, source_version: str | None) -> dict[str, Any]:
        """All that decides the rendered text, as plain values: what the store's fingerprint is made of.

        Args:
            source_version: of the records; none where it is not known here.
        """
        return {
            "name": self.name,
            "version": self.version,
            "source": {"name": self.source.name, "version": source_version},
            "splits": dict(self.splits),
            "templates": [dataclasses.asdict(template) for template in self.templates],
            "inputs": self.inputs,
            "target": self.target,
            "options": list(self.options) if isinstance(self.options, tuple) else self.options,
            "answer": self.answer,
            "trains_on": self.trains_on,
            "reasoning": self.reasoning,
            "dataset_name": self.dataset_name,
            "schema": {path: list(kind) if isinstance(kind, Labels) else kind for path, kind in self.schema.items()},
            "label_words": dict(self.label_words),
            **({"cap_by": self.cap_by} if self.cap_by else {}),
        }
