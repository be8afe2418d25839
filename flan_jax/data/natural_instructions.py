"""Records from task files in the form of Natural Instructions (Wang et al., 2022, arXiv 2204.07705).

A task file is one JSON object; of it are read `Definition` (a list of texts), `Positive Examples` (input, output) and
`Instances` (id, input, output: a list of accepted texts).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from flan_jax.data.files import content_hash, find_files, is_folder, list_folder, open_bytes
from flan_jax.errors import InputError

TRAIN = "train"


@dataclass(frozen=True)
class NaturalInstructionsSource:
    """The instances of one task file, or of all task files of a folder, in the one split `train`.

    A record has the fields task, id, categories, definition, positive_examples ({input, output} each), input and
    outputs (accepted texts).

    Attributes:
        path: a task file, a glob, or a folder of task files.
    """

    path: str

    @property
    def name(self) -> str:
        """The last part of the path."""
        return PurePosixPath(self.path).name

    @property
    def version(self) -> str:
        """SHA-256 over the content of all files."""
        hashes = [content_hash(file) for file in self._files()]
        return hashes[0] if len(hashes) == 1 else hashlib.sha256("\n".join(hashes).encode()).hexdigest()

    def has_split(self, split: str) -> bool:
        """Whether it is `train`."""
        return split == TRAIN

    def records(self, split: str) -> Iterator[Mapping[str, Any]]:
        """The instances, task by task.

        Raises:
            InputError: a file is missing or is not of this form.
        """
        if split != TRAIN:
            raise InputError(f"natural instructions '{self.path}': has no split '{split}'; it has 'train'")
        for file in self._files():
            yield from _instances(file)

    def _files(self) -> list[str]:
        if is_folder(self.path):
            files = [file for file in list_folder(self.path) if file.endswith(".json")]
        else:
            files = find_files(self.path)
        if not files:
            raise InputError(
                f"natural instructions '{self.path}': no task file there; give a .json file or their folder"
            )
        return files


def _instances(file: str) -> Iterator[Mapping[str, Any]]:
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
            raise InputError(f"{where}, instance {number}: needs 'input' and 'output', found {sorted(instance)}")
        output = instance["output"]
        yield {
            **shared,
            "id": instance.get("id", str(number)),
            "input": instance["input"],
            "outputs": output if isinstance(output, list) else [output],
        }


def _load(file: str, where: str) -> Mapping[str, Any]:
    try:
        with open_bytes(file) as stream:
            task = json.loads(stream.read().decode("utf-8-sig"))
    except ValueError as e:
        raise InputError(f"{where}: no valid JSON ({e})") from e
    needed = ("Definition", "Instances")
    if not isinstance(task, Mapping) or any(key not in task for key in needed):
        found = ", ".join(task) if isinstance(task, Mapping) else f"a {type(task).__name__}"
        raise InputError(f"{where}: must be an object with {' and '.join(needed)}, found {found}")
    return task


def _first(output: Any) -> str:
    return output[0] if isinstance(output, list) else output
