"""Records from task files in the form of Natural Instructions (Wang et al., 2022, arXiv 2204.07705).

A task file is one JSON object; of it are read `Definition` (a list of texts), `Positive Examples` (input, output) and
`Instances` (id, input, output: a list of accepted texts).

The official repository names the tasks of each split: those of the English track are in splits/default/train_tasks.txt
and test_tasks.txt, and excluded_tasks.txt has what is in neither (other languages, data sets of a test task). Here its
test tasks are the validation split, so that evaluation is on tasks that were never trained on.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from flan_jax.data.forms.conversations import form_map, text
from flan_jax.data.sources.plain import Reshaped
from flan_jax.data.spec.source import TRAIN, VALIDATION, Record, SplitSource
from flan_jax.data.spec.task import Fields
from flan_jax.data.spec.template import described, is_number
from flan_jax.errors import InputError
from flan_jax.files.addresses import content_hash, find_files, is_folder, list_folder, open_bytes
from flan_jax.files.json_text import parse_json

SHOWN_EXAMPLES = 2  # positive examples that a prompt shows
EVALUATION_INSTANCES = 100  # of each test task, its first ones: the repository's splits/README.md

_LISTS = {TRAIN: "train_tasks.txt", VALIDATION: "test_tasks.txt"}
_EXCLUDED = "excluded_tasks.txt"


@dataclass(frozen=True)
class NaturalInstructionsSource:
    """The instances of task files.

    A record has the fields task, id, categories, definition, positive_examples ({input, output} each), input and
    outputs (accepted texts).

    Attributes:
        path: a task file, a glob, or a folder of task files, which are all the split `train`; or the repository's
            folder, with `tasks/` and the lists of each split in `splits/default/` or `splits/`.
    """

    path: str

    @property
    def name(self) -> str:
        """The last part of the path."""
        return PurePosixPath(self.path).name

    @property
    def version(self) -> str:
        """SHA-256 over the content of all files, and over their splits where these are listed."""
        hashes = [content_hash(file) for file in self._files(TRAIN)]
        if self._lists:
            hashes += [VALIDATION, *(content_hash(file) for file in self._files(VALIDATION))]
        return hashes[0] if len(hashes) == 1 else hashlib.sha256("\n".join(hashes).encode()).hexdigest()

    def is_here(self) -> bool:
        """Whether there are files; an address is asked."""
        return is_folder(self.path) or bool(find_files(self.path))

    def version_here(self) -> str | None:
        """The version; none where the files are missing."""
        return self.version if self.is_here() else None

    def local(self, path: str) -> NaturalInstructionsSource:
        """The same from another folder."""
        return NaturalInstructionsSource(path)

    def has_split(self, split: str) -> bool:
        """Whether it is `train`, or a split that the repository's folder has a list of."""
        return split == TRAIN or self._listing(split) is not None

    def records(self, split: str) -> Iterator[Record]:
        """The instances, task by task; of a listed validation split the first EVALUATION_INSTANCES of each task.

        Raises:
            InputError: a file is missing or is not of this form.
        """
        if not self.has_split(split):
            known = " and ".join(repr(name) for name in (TRAIN, VALIDATION) if self.has_split(name))
            raise InputError(f"natural instructions '{self.path}': has no split '{split}'; it has {known}")
        for file in self._files(split):
            for number, record in enumerate(_instances(file)):
                if split == VALIDATION and number == EVALUATION_INSTANCES:
                    break
                yield record

    @property
    def _lists(self) -> str | None:
        """The folder with the lists of the repository's splits; None where this is not its folder."""
        root = self.path.rstrip("/")
        folders = [f"{root}/splits/default", f"{root}/splits"]
        return next((folder for folder in folders if find_files(f"{folder}/{_LISTS[TRAIN]}")), None)

    def _listing(self, split: str) -> str | None:
        """The file that lists the tasks of a split; None where there is none."""
        if self._lists is None or split not in _LISTS:
            return None
        return next(iter(find_files(f"{self._lists}/{_LISTS[split]}")), None)

    def _files(self, split: str) -> list[str]:
        listing = self._listing(split)
        if listing is not None:
            return self._listed(listing)
        if split == VALIDATION:
            return []
        if is_folder(self.path):
            files = [file for file in list_folder(self.path) if file.endswith(".json")]
        else:
            files = find_files(self.path)
        if not files:
            raise InputError(
                f"natural instructions '{self.path}': no task file there; give a .json file, their folder, or the "
                "folder of the repository with tasks/ and splits/default/"
            )
        return files

    def _listed(self, listing: str) -> list[str]:
        excluded = [name for file in find_files(f"{self._lists}/{_EXCLUDED}") for name in _lines(file)]
        names = [name for name in _lines(listing) if name not in set(excluded)]
        files = {PurePosixPath(file).stem: file for file in list_folder(f"{self.path.rstrip('/')}/tasks")}
        for name in names:
            if name not in files:
                raise InputError(
                    f"natural instructions '{self.path}': tasks/{name}.json is not there, and {listing} lists it; "
                    "add the file or take the line out"
                )
        return [files[name] for name in names]


def natural_instructions_rows(source: SplitSource) -> Reshaped:
    """The records of Muennighoff/natural-instructions on the hub, with the fields of `NaturalInstructionsSource`.

    A row has one accepted output, and the hub's copy has no positive examples. Local files are the official ones.

    Args:
        source: gives the rows: task_name, id, definition, inputs, targets.
    """
    return Reshaped(source, _from_rows, from_files=NaturalInstructionsSource)


def _from_rows(records: Iterable[Record], where: str) -> Iterator[Record]:
    for row in records:
        yield {
            "task": row["task_name"],
            "id": row["id"],
            "definition": row["definition"],
            "positive_examples": [],
            "input": row["inputs"],
            "outputs": [row["targets"]],
        }


@form_map
def from_natural_instructions(record: Record) -> Fields:
    """The definition, the input, accepted outputs that are text, and the first positive examples as one text."""
    shown = record["positive_examples"][:SHOWN_EXAMPLES]
    return {
        **record,
        "input": text(record["input"]),
        "outputs": _accepted(record["outputs"]),
        "examples": "".join(f"Input: {example['input']}\nOutput: {example['output']}\n\n" for example in shown),
    }


def _accepted(outputs: Sequence[Any]) -> list[str]:
    """Those of the accepted answers that are text.

    Raises:
        UnfitError: none is.
    """
    texts = [text(output) for output in outputs if isinstance(output, str) or is_number(output)]
    return texts or [text(next(iter(outputs), None))]


def _instances(file: str) -> Iterator[Record]:
    where = f"natural instructions '{file}'"
    task = _load(file, where)
    definition = task["Definition"]
    shared = {
        "task": PurePosixPath(file).stem,
        "categories": task.get("Categories", []),
        "definition": "\n".join(definition) if isinstance(definition, list) else definition,
        "positive_examples": [
            {"input": shown["input"], "output": _first(shown["output"])} for shown in task.get("Positive Examples", [])
        ],
    }
    for number, instance in enumerate(task["Instances"]):
        if not isinstance(instance, Mapping) or not {"input", "output"} <= instance.keys():
            content = ", ".join(instance) if isinstance(instance, Mapping) else described(instance)
            raise InputError(f"{where}, instance {number}: needs 'input' and 'output', found {content}")
        output = instance["output"]
        yield {
            **shared,
            "id": instance.get("id", str(number)),
            "input": instance["input"],
            "outputs": output if isinstance(output, list) else [output],
        }


def _load(file: str, where: str) -> Mapping[str, Any]:
    with open_bytes(file) as stream:
        task = parse_json(stream.read(), where, "fetch the file again")
    needed = ("Definition", "Instances")
    if not isinstance(task, Mapping) or any(key not in task for key in needed):
        content = ", ".join(task) if isinstance(task, Mapping) else described(task)
        raise InputError(f"{where}: must be an object with {' and '.join(needed)}, found {content}")
    definition, shown = task["Definition"], task.get("Positive Examples", [])
    is_text = isinstance(definition, str) or (
        isinstance(definition, list) and all(isinstance(line, str) for line in definition)
    )
    are_pairs = isinstance(shown, list) and all(
        isinstance(example, Mapping) and isinstance(example.get("input"), str) and "output" in example
        for example in shown
    )
    for name, is_sound, form in (
        ("Definition", is_text, "a text or a list of texts"),
        ("Positive Examples", are_pairs, "a list of objects with input and output"),
        ("Instances", isinstance(task["Instances"], list), "a list"),
    ):
        if not is_sound:
            raise InputError(f"{where}: '{name}' must be {form}, found {described(task[name])}")
    return task


def _lines(file: str) -> list[str]:
    with open_bytes(file) as stream:
        return [line.strip() for line in stream.read().decode("utf-8-sig").splitlines() if line.strip()]


def _first(output: Any) -> str:
    return output[0] if isinstance(output, list) else output
