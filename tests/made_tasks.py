"""A module of made tasks as a file, so that other processes find them, and stores in shards of a few records."""

import itertools
from pathlib import Path
from typing import Any

from flan_jax.config import Config
from flan_jax.config_file import parse_config
from flan_jax.data.store.manifest import Manifest, load_manifest
from flan_jax.text.chat import make_encoder
from flan_jax.text.tokenizer import load_tokenizer

ENCODER = make_encoder("text", load_tokenizer("bytes"), "default", is_encoder_decoder=False)
SHARD_RECORDS = 8  # in these tests
_NUMBERS = itertools.count()

# Every eleventh record is skipped, every ninth is too long for the row, and the cap leaves some out.
_MODULE = """
from flan_jax.data.registry import IterableSource, TaskSpec, Template, add_task


def records(split):
    for number in range({num_records} if split == "train" else 9):
        yield {{"word": f"{{split}}{{number}}" * (20 if number % 9 == 4 else 1 + number % 3), "n": number,
                "answer": "yes" if number % 2 else "no"}}


def fields(record):
    return None if record["n"] % 11 == 7 else record


for name in {names!r}:
    add_task(TaskSpec(
        name, "made", IterableSource(records, version="1"), map=fields, options=("yes", "no"), inputs="{{word}}",
        templates=(Template("Is {{word}} odd?"), Template("{{word}}: odd or not?"), Template("Odd {{word}}?")),
    ))
"""


def made_config(folder: Path, *, num_tasks: int = 2, num_records: int = 90, run: str = "run", **data: Any) -> Config:
    """A config over made tasks whose module lies in `folder`; the same tasks for the same folder."""
    module = folder / f"made_{folder.name}.py"  # a stem of its own: it is part of the sources' names
    if not module.exists():
        names = [f"made_{next(_NUMBERS)}_{letter}" for letter in "abcdefgh"[:num_tasks]]
        module.write_text(_MODULE.format(names=names, num_records=num_records))
        (folder / "names").write_text("\n".join(names))
    tree = {
        "run": {"dir": str(folder / run)},
        "batch": {"rows": 2, "length": 96, "window_batches": 2},
        "data": {
            "mixture": (folder / "names").read_text().split(),
            "modules": [str(module)],
            "renderings": 2,
            "max_examples": 60,
            **data,
        },
    }
    return parse_config(tree, "test")


def manifests(config: Config) -> dict[str, Manifest]:
    """The manifests of a store, by folder."""
    root = Path(config.store_dir)
    return {str(path.parent.relative_to(root)): load_manifest(path.parent) for path in root.rglob("manifest.json")}
