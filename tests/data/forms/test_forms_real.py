"""Forms on real files: what each becomes, and what is left out for which reason."""

from collections import Counter
from pathlib import Path

import pytest

from flan_jax.config import DataConfig
from flan_jax.data.forms.forms import form_task
from flan_jax.data.render.examples import examples
from flan_jax.data.sources.files import FileSource
from flan_jax.data.spec.fields import Dropped

SHARED = Path(__file__).parents[3].parent / "shared" / "data"
NOT_THE_BEST = "reply that is not the best of its question"
TOOL_TURN = "turn of a tool or with a tool's call"

REAL = [
    ("oasst", "oasst/en_100_tree.jsonl", {"kept": 102, NOT_THE_BEST: 297, "question without an answer": 57}),
    ("oasst", "oasst/en_100_message.jsonl", {"kept": 102, NOT_THE_BEST: 297, "question without an answer": 57}),
    (
        "oasst",
        "oasst/realistic_seed_data.json",
        {"kept": 74, NOT_THE_BEST: 79, "two assistant turns in a row": 2},
    ),
    ("sharegpt", "fastchat/dummy_conversation.json", {"kept": 500}),
    ("sharegpt", "llamafactory_demo/glaive_toolcall_en_demo.json", {"kept": 147, TOOL_TURN: 153}),
    ("sharegpt", "llamafactory_demo/dpo_en_demo.json", {"kept": 106, "no answer at the end": 194}),
    ("alpaca", "gpteacher/roleplay_600.json", {"kept": 600}),
    ("alpaca", "gpteacher/codegen_600.json", {"kept": 600}),
    ("alpaca", "llamafactory_demo/identity.json", {"kept": 91}),
    ("self-instruct", "self_instruct/seed_tasks.jsonl", {"kept": 175}),
    ("p3", "t0_p3/t0_train_40_per_template.jsonl", {"kept": 10_848, "empty answer": 280}),
    ("p3", "t0_p3/t0_train_40_per_template.jsonl#glue_mrpc_equivalent", {"kept": 40}),
    ("natural-instructions", "natural_instructions", {"kept": 12_991}),
    ("natural-instructions", "natural_instructions/tasks/task1425_country_iso_numeric.json", {"kept": 100}),
]


@pytest.mark.parametrize(("form", "path", "expected"), REAL)
def test_real_files_parse_and_nothing_is_lost(form: str, path: str, expected: dict[str, int]):
    if not (SHARED / path.partition("#")[0]).exists():
        pytest.skip(f"real data set {path} is not at {SHARED}")
    task = form_task(form, str(SHARED / path))
    data = DataConfig(max_examples=10**9, validation_examples=10**9)
    items = [item for split in ("train", "validation") for item in examples(task, split, data)]
    assert Counter(item.reason if isinstance(item, Dropped) else "kept" for item in items) == expected


def test_real_tables_parse():
    if not SHARED.is_dir():
        pytest.skip(f"real data sets are not at {SHARED}")
    columns = ("question", "answer", "thought")
    counts = {"gsm8k": 7473, "ecqa": 7112, "creak": 6915, "aqua": 2728, "strategyqa": 2061, "qasc": 1084}
    for name, count in counts.items():
        source = FileSource(str(SHARED / f"flan_cot/{name}_train.tsv"), columns=columns, unescape=True)
        assert sum(all(record.values()) for record in source.records("train")) == count
    assert len(list(FileSource(str(SHARED / "gsm8k/train.jsonl")).records("train"))) == 7473
    assert len(list(FileSource(str(SHARED / "e2e/devset.csv")).records("train"))) == 4672
    assert len(list(FileSource(str(SHARED / "gap/gap-development.tsv")).records("train"))) == 2000
