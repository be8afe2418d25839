"""Preparing: what lands in the store, what is left out, when it is built again, and that nothing is half-written."""

import itertools
import json
from pathlib import Path

import numpy as np
import pytest

from flan_jax.config import Config
from flan_jax.config_file import parse_config
from flan_jax.data.plan.loader import Loader
from flan_jax.data.plan.plan import make_plan
from flan_jax.data.prepare.opened import open_prepared
from flan_jax.data.prepare.prepare import Status, prepare
from flan_jax.data.registry import FileSource, IterableSource, TaskSpec, Template, add_task
from flan_jax.data.registry.resolve import resolve_run
from flan_jax.data.render.example import Example
from flan_jax.data.render.examples import examples
from flan_jax.data.spec.token_ids import TokenIds, hash_pieces
from flan_jax.data.store.manifest import load_manifest
from flan_jax.data.store.record import PairRecord, TokenRecord
from flan_jax.errors import InputError
from flan_jax.text.chat import make_encoder
from flan_jax.text.tokenizer import load_tokenizer

TOKENIZER = load_tokenizer("bytes")
TEXT = make_encoder("text", TOKENIZER, "default", is_encoder_decoder=False)
PAIR = make_encoder("auto", TOKENIZER, "default", is_encoder_decoder=True)
NUMBERS = itertools.count()


def records(split: str) -> list[dict[str, str]]:
    count = 30 if split == "train" else 6
    return [
        {"word": f"{split}{number}" * (1 + number % 5), "answer": "yes" if number % 2 else "no"}
        for number in range(count)
    ]


def add(name: str = "", *, make=records, cluster: str = "toys", version: str = "1", **fields) -> TaskSpec:
    name = name or f"toy{next(NUMBERS)}"
    spec = {
        "templates": (Template("Is {word} odd?"), Template("{word}: odd or not?"), Template("Odd {word}?")),
        "inputs": "{word}",
        "options": ("yes", "no"),
        "source": IterableSource(make, version=version),
        **fields,
    }
    return add_task(TaskSpec(name=name, cluster=cluster, **spec))


def config(tmp_path: Path, *tasks: TaskSpec, **sections) -> Config:
    tree = {
        "run": {"dir": str(tmp_path / "run")},
        "batch": {"rows": 2, "length": 96, "input_length": 96, "target_length": 8, "window_batches": 2},
        "data": {"mixture": [task.name for task in tasks], **sections.pop("data", {})},
    }
    for section, values in sections.items():
        tree[section] = tree.get(section, {}) | values
    return parse_config(tree, "test")


def files(tmp_path: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in sorted(tmp_path.rglob("*")) if path.is_file()}


def test_store_holds_the_ids_of_the_form_and_a_second_run_does_nothing(tmp_path):
    task = add()
    run = config(tmp_path, task)
    calls = []
    report = prepare(run, TEXT, resolve_run(run), progress=calls.append)
    assert [(folder.split, folder.state) for folder in report.folders] == [("train", "built"), ("validation", "built")]
    assert calls[0] == Status(task.name, "train", 0, 2, 0, 0, 0)
    [trained] = [call for call in calls if call.num_examples == 30 and not call.num_finished]
    assert trained.num_tokens == report.folders[0].manifest.num_tokens
    assert (calls[-1].num_finished, calls[-1].num_tokens) == (2, report.num_tokens)
    before = files(tmp_path)
    assert prepare(run, TEXT, resolve_run(run)).num_built == 0
    assert files(tmp_path) == before

    store = open_prepared(run, TEXT, resolve_run(run)).train[task.name]
    rendered = [item for item in examples(task, "train", run.data) if isinstance(item, Example)]
    expected = TEXT.encode([example.messages for example in rendered])
    for example, encoded, record in zip(rendered, expected, store.read(range(30)), strict=True):
        assert isinstance(record, TokenRecord)
        assert (record.example_id, record.template_id) == (example.example_id, example.template_id)
        np.testing.assert_array_equal(record.tokens, encoded.ids)
        np.testing.assert_array_equal(record.weights, encoded.weights)
    assert store.lengths[:, 0].tolist() == [len(encoded.ids) - 1 for encoded in expected]


def test_pairs_and_their_batches(tmp_path):
    task = add()
    run = config(tmp_path, task)
    prepare(run, PAIR, resolve_run(run))
    prepared = open_prepared(run, PAIR, resolve_run(run))
    [record] = prepared.train[task.name].read([3])
    assert isinstance(record, PairRecord)
    assert TOKENIZER.decode(record.targets.tolist()) == "yes"
    assert "train3" in TOKENIZER.decode(record.inputs.tolist())
    plan = make_plan(run, prepared.train, prepared.resolved.mixture)
    with Loader(plan, prepared.train, rows=slice(0, 2), position=plan.start(), workers=1, decoder_start_id=0) as loader:
        batch, _ = next(loader)
    assert batch["encoder_inputs"].shape == (2, 96)
    assert batch["targets"].shape == (2, 8)


@pytest.mark.parametrize("encoder", [TEXT, PAIR], ids=["text", "pair"])
def test_questions_of_the_validation_split(tmp_path, encoder):
    task = add()
    run = config(tmp_path, task)
    prepare(run, encoder, resolve_run(run))
    path = open_prepared(run, encoder, resolve_run(run)).evaluation[task.name]
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert len(lines) == 6
    for number, line in enumerate(lines):
        assert line["example_id"] == number
        assert f"validation{number}" in line["prompt"]
        assert sorted(line["options"]) == ["no", "yes"]
        assert line["options"][line["answer_index"]] == ("yes" if number % 2 else "no")
        assert line["references"] == ["yes" if number % 2 else "no"]
        assert line["prompt"] in TOKENIZER.decode(line["prompt_ids"])
        for option, ids in zip(line["options"], line["option_ids"], strict=True):
            assert ids == [*TOKENIZER.encode(option), TOKENIZER.eos_id]


def test_a_held_out_task_is_prepared_for_evaluation_only(tmp_path):
    seen, unseen = add(), add(cluster="unseen toys")
    run = config(tmp_path, seen, data={"hold_out": ["unseen toys"]})
    report = prepare(run, TEXT, resolve_run(run))
    assert [(folder.task, folder.split) for folder in report.folders] == [
        (seen.name, "train"),
        (seen.name, "validation"),
        (unseen.name, "validation"),
    ]
    prepared = open_prepared(run, TEXT, resolve_run(run))
    assert list(prepared.train) == [seen.name]
    assert list(prepared.evaluation) == [seen.name, unseen.name]


def test_renderings_stand_one_after_another(tmp_path):
    task = add()
    run = config(tmp_path, task, data={"renderings": 2})
    prepare(run, TEXT, resolve_run(run))
    store = open_prepared(run, TEXT, resolve_run(run)).train[task.name]
    assert store.num_examples == 30
    assert store.starts.tolist() == list(range(0, 61, 2))
    stored = store.read(range(60))
    for first, second in zip(stored[::2], stored[1::2], strict=True):
        assert first.example_id == second.example_id
        assert first.template_id != second.template_id


def test_a_stale_store_is_refused_with_what_differs_and_only_that_is_built_again(tmp_path):
    kept, changed = add(), add("changing", version="1")
    run = config(tmp_path, kept, changed)
    with pytest.raises(InputError, match=rf"task '{kept.name}', split 'train': is not there .* run 'flan-jax prepare"):
        open_prepared(run, TEXT, resolve_run(run))
    prepare(run, TEXT, resolve_run(run))
    object.__setattr__(changed, "source", IterableSource(records, version="2"))
    with pytest.raises(
        InputError,
        match=r"task 'changing', split 'train': was prepared from .*task.source.version \('1' stored, '2' now\)",
    ):
        open_prepared(run, TEXT, resolve_run(run))
    report = prepare(run, TEXT, resolve_run(run))
    assert [folder.state for folder in report.folders] == ["found", "found", "rebuilt", "rebuilt"]
    assert report.folders[2].differences == ("task.source.version ('1' stored, '2' now)",)
    open_prepared(run, TEXT, resolve_run(run))

    longer = config(tmp_path, kept, batch={"length": 128})
    with pytest.raises(InputError, match="row lengths"):
        open_prepared(longer, TEXT, resolve_run(longer))
    with pytest.raises(InputError, match=r"data.render_seed \(0 stored, 5 now\)"):
        open_prepared(run := config(tmp_path, kept, data={"render_seed": 5}), TEXT, resolve_run(run))
    with pytest.raises(InputError, match=r"kind .*form"):
        open_prepared(run, PAIR, resolve_run(run))
    open_prepared(
        run := config(tmp_path, kept, run={"seed": 9}), TEXT, resolve_run(run)
    )  # the order's seed is no part of it


def test_a_damaged_store_is_built_again(tmp_path):
    task = add()
    run = config(tmp_path, task)
    prepare(run, TEXT, resolve_run(run))
    next((tmp_path / "run").rglob("*.array_record")).unlink()
    with pytest.raises(InputError, match=r"'shard-00000.array_record' is missing"):
        open_prepared(run, TEXT, resolve_run(run))
    assert [folder.state for folder in prepare(run, TEXT, resolve_run(run)).folders] == ["rebuilt", "found"]
    questions = open_prepared(run, TEXT, resolve_run(run)).evaluation[task.name]
    questions.write_text(questions.read_text().replace("odd", "Odd"))
    with pytest.raises(InputError, match=r"'evaluation.jsonl' does not match its checksum"):
        open_prepared(run, TEXT, resolve_run(run))


def test_what_is_too_long_is_counted_and_never_cut_in_the_target(tmp_path):
    def long(split):
        return [{"word": "short"}, {"word": "long" * 40}, {"word": "short", "answer": "no" * 60}]

    task = add(
        make=lambda split: [{"answer": "yes", **fields} for fields in long(split)],
        options=None,
        metrics=("exact_match",),
    )
    for encoder in (TEXT, PAIR):
        dropping = config(tmp_path / encoder.kind, task)
        report = prepare(dropping, encoder, resolve_run(dropping))
        assert [dict(folder.manifest.dropped) for folder in report.folders] == [{"longer than the row": 2}] * 2
        assert [folder.manifest.num_cut for folder in report.folders] == [0, 0]

        cutting = config(tmp_path / encoder.kind, task, data={"too_long": "cut_input"})
        report = prepare(cutting, encoder, resolve_run(cutting))
        assert [dict(folder.manifest.dropped) for folder in report.folders] == [{"longer than the row": 1}] * 2
        assert [folder.manifest.num_cut for folder in report.folders] == [1, 1]
        record = open_prepared(cutting, encoder, resolve_run(cutting)).train[task.name].read([1])[0]
        assert record.packed_lengths[0] == 96
        if isinstance(record, TokenRecord):
            assert TOKENIZER.decode(record.tokens.tolist()).endswith("\nyes")
            assert record.weights.tolist() == [0] * 93 + [1] * 4
        else:
            assert isinstance(record, PairRecord)
            assert record.inputs[-1] == TOKENIZER.eos_id
            assert TOKENIZER.decode(record.targets.tolist()) == "yes"


def test_cutting_is_refused_for_a_chat_template(tmp_path):
    TOKENIZER.save(tmp_path / "tokenizer")
    settings = tmp_path / "tokenizer" / "tokenizer_config.json"
    template = (
        "{% for m in messages %}{{ m.role }}: {{ m.content }}</s>{% endfor %}"
        "{% if add_generation_prompt %}assistant: {% endif %}"
    )
    settings.write_text(json.dumps({**json.loads(settings.read_text()), "chat_template": template}))
    encoder = make_encoder("chat", load_tokenizer(tmp_path / "tokenizer"), "default", is_encoder_decoder=False)
    with pytest.raises(InputError, match=r"data.too_long 'cut_input': the chat form"):
        prepare(run := config(tmp_path, add(), data={"too_long": "cut_input"}), encoder, resolve_run(run))
    task = add()
    prepare(run := config(tmp_path, task), encoder, resolve_run(run))
    record = open_prepared(run := config(tmp_path, task), encoder, resolve_run(run)).train[task.name].read([0])[0]
    assert isinstance(record, TokenRecord)
    assert TOKENIZER.decode(record.tokens[record.weights > 0].tolist()) == "no"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda split: [], r"split 'train'.*is empty"),
        (
            lambda split: [{"word": "w" * 99, "answer": "yes"}],
            r"split 'train': no example is left \(1 longer than the row\)",
        ),
        (lambda split: [{"word": "a", "answer": "maybe"}], "'maybe'"),
    ],
)
def test_a_split_with_nothing_in_it_is_refused_and_nothing_is_written(tmp_path, make, message):
    task = add(make=make)
    with pytest.raises(InputError, match=message) as caught:
        prepare(run := config(tmp_path, task), TEXT, resolve_run(run))
    assert task.name in str(caught.value)
    assert not files(tmp_path)


def test_an_error_in_the_middle_keeps_what_is_finished_and_nothing_else(tmp_path):
    def failing(split):
        yield from records(split)
        raise ConnectionError("the network is gone")

    good, bad = add(), add(make=failing)
    # an error of the user's own code is not called a full disk
    with pytest.raises(InputError, match=r"fails: ConnectionError at .*test_prepare_store.py line \d+ \(the network"):
        prepare(run := config(tmp_path, good, bad), TEXT, resolve_run(run))
    assert {path.parent.name for path in (tmp_path / "run" / "store").rglob("manifest.json")} == {"train", "validation"}
    assert not list((tmp_path / "run" / "store" / bad.folder).iterdir())
    object.__setattr__(bad, "source", IterableSource(records, version="1"))
    run = config(tmp_path, good, bad)
    assert [folder.state for folder in prepare(run, TEXT, resolve_run(run)).folders] == [
        "found",
        "found",
        "built",
        "built",
    ]


def test_a_store_is_used_without_its_source(tmp_path):
    source = tmp_path / "train.jsonl"
    source.write_text("".join(json.dumps(record) + "\n" for record in records("train")))
    task = add(source=FileSource({"train": str(source), "validation": str(source)}))
    run = config(tmp_path, task)
    prepare(run, TEXT, resolve_run(run))
    source.rename(tmp_path / "elsewhere")
    assert open_prepared(run, TEXT, resolve_run(run)).train[task.name].num_examples == 30
    assert prepare(run, TEXT, resolve_run(run)).num_built == 0
    with pytest.raises(InputError, match=r"data.render_seed"):
        open_prepared(run := config(tmp_path, task, data={"render_seed": 1}), TEXT, resolve_run(run))


@pytest.mark.parametrize("encoder", [TEXT, PAIR], ids=["text", "pair"])
def test_ids_of_another_pipeline_are_taken_where_the_vocabulary_is_the_models(tmp_path, encoder):
    pieces = [TOKENIZER.backend.id_to_token(number) or "" for number in range(TOKENIZER.vocab_size)]
    inputs, targets = tuple(TOKENIZER.encode("2+2")), (*TOKENIZER.encode("4"), TOKENIZER.eos_id)

    def task_of(vocabulary: str) -> TaskSpec:
        ids = TokenIds(inputs, targets, "theirs", TOKENIZER.vocab_size, vocabulary)
        return add(make=lambda split: [{"token_ids": ids}] * 3, options=None, metrics=("exact_match",))

    same, other = task_of(hash_pieces(pieces)), task_of("0" * 64)
    run = config(tmp_path, same)
    prepare(run, encoder, resolve_run(run))
    prepared = open_prepared(run, encoder, resolve_run(run))
    record = prepared.train[same.name].read([0])[0]
    if isinstance(record, TokenRecord):
        assert record.tokens.tolist() == [*inputs, *targets]
        assert record.weights.tolist() == [0, 0, 0, 1, 1]
    else:
        assert isinstance(record, PairRecord)
        assert (record.inputs.tolist(), record.targets.tolist()) == ([*inputs], [*targets])
    line = json.loads(prepared.evaluation[same.name].read_text().splitlines()[0])
    assert (line["prompt"], line["prompt_ids"], line["references"]) == ("2+2", [*inputs], ["4"])
    with pytest.raises(InputError, match="vocabulary 'theirs', which is not the model's"):
        prepare(run := config(tmp_path, other), encoder, resolve_run(run))


def test_manifest_says_what_it_was_made_from(tmp_path):
    task = add()
    prepare(run := config(tmp_path, task), TEXT, resolve_run(run))
    spec = load_manifest(tmp_path / "run" / "store" / task.folder / "train").spec
    for key in (
        "form",
        "tokenizer",
        "row lengths",
        "data.render_seed",
        "task.version",
        "task.templates",
        "task.source.version",
    ):
        assert key in spec


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda train: (train / "my_data.csv").write_text("a,b"), "holds 'my_data.csv'"),
        (lambda train: (train / "evaluation.jsonl").write_text("{}"), "has no manifest.json"),
    ],
)
def test_a_folder_of_the_user_s_own_is_never_replaced(tmp_path, make, problem: str):
    task = add()
    run = config(tmp_path, task)
    train = tmp_path / "run" / "store" / task.folder / "train"
    train.mkdir(parents=True)
    make(train)
    kept = files(tmp_path)
    with pytest.raises(InputError, match=rf"'{train}': {problem}, so it was not made here and nothing is replaced"):
        prepare(run, TEXT, resolve_run(run))
    assert files(tmp_path) == kept


def test_a_stale_folder_with_a_file_of_the_user_s_own_is_not_replaced(tmp_path):
    task = add()
    run = config(tmp_path, task)
    prepare(run, TEXT, resolve_run(run))
    train = tmp_path / "run" / "store" / task.folder / "train"
    (train / "notes.txt").write_text("mine")
    object.__setattr__(task, "source", IterableSource(records, version="2"))
    with pytest.raises(InputError, match=r"holds 'notes.txt', so it was not made here and nothing is replaced"):
        prepare(run, TEXT, resolve_run(run))
    assert (train / "notes.txt").read_text() == "mine"
    (train / "notes.txt").unlink()
    assert [folder.state for folder in prepare(run, TEXT, resolve_run(run)).folders] == ["rebuilt", "rebuilt"]
