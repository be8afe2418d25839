"""Folders of `seqio_cache_tasks`: read as SeqIO reads them, and refused by name where they are not whole."""

import json
import os
import struct
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import tokenizers

from flan_jax.config import Config, DataConfig
from flan_jax.data.registry import get_task
from flan_jax.data.registry.resolve import resolve_run
from flan_jax.data.render.examples import examples
from flan_jax.data.sources.seqio_cache import SeqioCacheSource
from flan_jax.data.spec.token_ids import check_vocabulary
from flan_jax.errors import InputError
from flan_jax.text.plain import PairEncoder
from flan_jax.text.tokenizer import load_tokenizer

TEXTS = [(f"is {number} even", "yes" if number % 2 == 0 else "no") for number in range(23)]
PIECES = ["<pad>", "</s>", "<unk>", "is", "even", "yes", "no", *map(str, range(23))]
TEXT = {"shape": [], "dtype": "string"}
IDS = {"shape": [None], "dtype": "int32"}


@pytest.fixture(autouse=True)
def clean_registry(own_registry: None) -> None: ...


def checksum(data: bytes) -> bytes:
    state = 0xFFFFFFFF
    for byte in data:
        state ^= byte
        for _ in range(8):
            state = (state >> 1) ^ (0x82F63B78 if state & 1 else 0)
    state ^= 0xFFFFFFFF
    return struct.pack("<I", (((state >> 15) | (state << 17)) + 0xA282EAD8) & 0xFFFFFFFF)


def message(number: int, content: bytes) -> bytes:
    """A field of bytes; the lengths here need two bytes at most."""
    size = len(content)
    length = bytes([size]) if size < 128 else bytes([size & 0x7F | 0x80, size >> 7])
    return bytes([number << 3 | 2]) + length + content


def serialized(features: Mapping[str, Any]) -> bytes:
    """A tf.Example of texts and of ids below 128."""
    entries = b""
    for name, value in features.items():
        values = (
            message(1, message(1, value.encode())) if isinstance(value, str) else message(3, message(1, bytes(value)))
        )
        entries += message(1, message(1, name.encode()) + message(2, values))
    return message(1, entries)


def write_cache(
    folder: Path, rows: list[dict[str, Any]], features: Mapping[str, Any], *, split: str = "train", shards: int = 2
) -> Path:
    """A cache folder as seqio_cache_tasks leaves it."""
    folder.mkdir(parents=True, exist_ok=True)
    for shard in range(shards):
        content = b""
        for row in rows[shard::shards]:
            data = serialized(row)
            length = struct.pack("<Q", len(data))
            content += length + checksum(length) + data + checksum(data)
        (folder / f"{split}.tfrecord-{shard:05d}-of-{shards:05d}").write_bytes(content)
    info = {"num_shards": shards, "features": features, "seqio_version": "0.0.20"}
    (folder / f"info.{split}.json").write_text(json.dumps(info))
    (folder / f"stats.{split}.json").write_text(json.dumps({"examples": len(rows)}))
    (folder / "COMPLETED").touch()
    return folder


def ids(text: str) -> list[int]:
    return [PIECES.index(word) for word in text.split()]


def write_vocabulary(folder: Path, pieces: list[str] = PIECES) -> Path:
    backend = tokenizers.Tokenizer(
        tokenizers.models.WordLevel({piece: i for i, piece in enumerate(pieces)}, unk_token="<unk>")
    )
    backend.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    backend.add_special_tokens(["<pad>", "</s>"])
    folder.mkdir(parents=True, exist_ok=True)
    backend.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps({"eos_token": "</s>", "pad_token": "<pad>"}))
    return folder


def text_cache(folder: Path) -> Path:
    rows = [
        {"inputs": ids(q), "targets": ids(a), "inputs_pretokenized": q, "targets_pretokenized": a} for q, a in TEXTS
    ]
    features = {"inputs": IDS, "targets": IDS, "inputs_pretokenized": TEXT, "targets_pretokenized": TEXT}
    return write_cache(folder, rows, features)


def ids_cache(folder: Path) -> Path:
    return write_cache(
        folder, [{"inputs": ids(q), "targets": ids(a)} for q, a in TEXTS], {"inputs": IDS, "targets": IDS}
    )


def read(folder: Path, split: str = "train") -> list[tuple[str, str]]:
    return [(record["prompt"], record["answer"]) for record in SeqioCacheSource(str(folder)).records(split)]


IN_SHARDS = TEXTS[::2] + TEXTS[1::2]


def test_text_is_taken_where_the_folder_keeps_it(tmp_path: Path):
    assert read(text_cache(tmp_path / "both")) == IN_SHARDS
    plain = [{"inputs": q, "targets": a} for q, a in TEXTS]
    assert read(write_cache(tmp_path / "plain", plain, {"inputs": TEXT, "targets": TEXT})) == IN_SHARDS
    old = [{"inputs_plaintext": q, "targets_plaintext": a, "inputs": ids(q), "targets": ids(a)} for q, a in TEXTS]
    features = {"inputs_plaintext": TEXT, "targets_plaintext": TEXT, "inputs": IDS, "targets": IDS}
    assert read(write_cache(tmp_path / "old", old, features)) == IN_SHARDS


def test_a_folder_is_a_task_by_name_and_holds_back_a_validation_split(tmp_path: Path):
    spec = get_task(f"seqio-cache:{text_cache(tmp_path / 'even')}")
    items = {split: list(examples(spec, split, DataConfig())) for split in ("train", "validation")}
    assert len(items["train"]) + len(items["validation"]) == len(TEXTS)
    assert len(items["validation"]) == 1
    write_cache(
        tmp_path / "even",
        [{"inputs": q, "targets": a} for q, a in TEXTS[:3]],
        {"inputs": TEXT, "targets": TEXT},
        split="validation",
    )
    spec = get_task(f"seqio-cache:{tmp_path}/./even")  # another name, since a task is made once
    assert len(list(examples(spec, "train", DataConfig()))) == len(TEXTS)
    assert len(list(examples(spec, "validation", DataConfig()))) == 3


def test_the_version_follows_the_content_and_not_the_place(tmp_path: Path):
    first, second = (SeqioCacheSource(str(text_cache(tmp_path / name))) for name in ("a", "b"))
    assert first.version == second.version
    other = write_cache(tmp_path / "c", [{"inputs": "a", "targets": "b"}], {"inputs": TEXT, "targets": TEXT})
    assert SeqioCacheSource(str(other)).version != first.version
    assert first.local(str(other)).name == "c"


def test_ids_are_of_the_vocabulary_that_is_stated(tmp_path: Path):
    folder = ids_cache(tmp_path / "even")
    with pytest.raises(InputError, match=r"gives token ids without text and does not say of which vocabulary; put its"):
        list(SeqioCacheSource(str(folder)).records("train"))
    vocabulary = write_vocabulary(tmp_path / "vocabulary")
    stated = list(SeqioCacheSource(str(folder), vocabulary=str(vocabulary)).records("train"))
    first = stated[0]["token_ids"]
    assert (first.inputs, first.targets) == ((*ids(TEXTS[0][0]), 1), (*ids(TEXTS[0][1]), 1))
    check_vocabulary(first, load_tokenizer(vocabulary), task="even")
    other = write_vocabulary(tmp_path / "other", PIECES[:5] + PIECES[:4:-1])
    with pytest.raises(InputError, match=r"task 'even': gives token ids of the vocabulary .* which is not the model's"):
        check_vocabulary(first, load_tokenizer(other), task="even")
    write_vocabulary(folder)
    beside = list(SeqioCacheSource(str(folder), end_tokens=("targets",)).records("train"))
    assert beside[0]["token_ids"].inputs == tuple(ids(TEXTS[0][0]))
    assert beside[0]["token_ids"].targets == first.targets


def test_end_tokens_are_added_only_where_they_lack(tmp_path: Path):
    rows = [{"inputs": [*ids(q), 1], "targets": [*ids(a), 1]} for q, a in TEXTS] + [{"inputs": [], "targets": [5]}]
    folder = write_vocabulary(write_cache(tmp_path / "even", rows, {"inputs": IDS, "targets": IDS}, shards=1))
    found = [record["token_ids"] for record in SeqioCacheSource(str(folder)).records("train")]
    assert (found[0].inputs, found[0].targets) == (tuple(rows[0]["inputs"]), tuple(rows[0]["targets"]))
    assert (found[-1].inputs, found[-1].targets) == ((1,), (5, 1))


def test_ids_reach_the_store(tmp_path: Path):
    from flan_jax.data.prepare.opened import open_prepared
    from flan_jax.data.prepare.prepare import prepare

    folder = write_vocabulary(ids_cache(tmp_path / "even"))
    name = f"seqio-cache:{folder}"
    config = Config.model_validate({"run": {"dir": str(tmp_path / "run")}, "data": {"mixture": [name]}})
    form = PairEncoder(load_tokenizer(folder), "none")
    prepare(config, form, resolve_run(config))
    store = open_prepared(config, form, resolve_run(config)).train[name]
    pairs = {(tuple(record.inputs), tuple(record.targets)) for record in store.read(range(store.num_examples))}
    assert pairs <= {((*ids(q), 1), (*ids(a), 1)) for q, a in TEXTS}
    assert store.num_examples == len(TEXTS) - 1  # one is held back


@pytest.mark.parametrize(
    ("break_it", "problem"),
    [
        (lambda f: (f / "COMPLETED").unlink(), "holds no file COMPLETED, so seqio_cache_tasks did not end"),
        (lambda f: (f / "info.train.json").unlink(), "holds no info.SPLIT.json; give the folder of one task"),
        (lambda f: (f / "stats.train.json").unlink(), "'stats.train.json': is missing"),
        (
            lambda f: (f / "info.train.json").write_text("{"),
            "'info.train.json': no valid JSON .Expecting property name .*at column 2., found '{'; copy it again",
        ),
        (lambda f: (f / "info.train.json").write_text("{}"), "states no num_shards and features"),
        (
            lambda f: (f / "train.tfrecord-00001-of-00002").unlink(),
            "1 of 2 shards of split 'train' are missing, the first is train.tfrecord-00001-of-00002",
        ),
        (lambda f: (f / "train.tfrecord-00001-of-00002").write_bytes(b""), "holds 12 examples and .* says 23"),
        (
            lambda f: (f / "train.tfrecord-00000-of-00002").write_bytes(b"no records in here"),
            "'train.tfrecord-00000-of-00002' record 0: is damaged",
        ),
        (lambda f: write_cache(f, [{"x": "a"}], {"x": TEXT}), "has no feature 'inputs'; .* it has x"),
        (
            lambda f: write_cache(f, [{}], {"inputs": {"shape": [None, 2], "dtype": "int32"}, "targets": IDS}),
            r"feature 'inputs' is int32 of shape \[None, 2\]; it must be one text or one list",
        ),
        (
            lambda f: write_cache(f, [{"inputs": "a"}], {"inputs": TEXT, "targets": TEXT}),
            "record 0: feature 'targets' must hold one text, found none",
        ),
    ],
)
def test_what_is_not_whole_is_refused(tmp_path: Path, break_it, problem: str):
    folder = text_cache(tmp_path / "even")
    break_it(folder)
    with pytest.raises(InputError, match=f"SeqIO cache '{folder}'.*{problem}"):
        list(SeqioCacheSource(str(folder)).records("train"))


def test_a_missing_split_is_told_with_those_there_are(tmp_path: Path):
    folder = text_cache(tmp_path / "even")
    with pytest.raises(InputError, match="has no split 'test'; it has train"):
        list(SeqioCacheSource(str(folder)).records("test"))
    with pytest.raises(InputError, match="no such folder"):
        SeqioCacheSource(str(tmp_path / "nowhere")).has_split("train")


TASKS = """
import functools
import seqio
import tensorflow as tf
from seqio import test_utils

FEATURE = seqio.Feature(test_utils.sentencepiece_vocab(), add_eos=True)


def rows(split, shuffle_files, seed=None):
    numbers = tf.data.Dataset.range({"train": 30, "validation": 5}[split])
    return numbers.map(lambda i: {
        "inputs": tf.strings.join(["is ", tf.strings.as_string(i), " even"]),
        "targets": tf.where(i % 2 == 0, "yes", "no"),
    })


def add(name, before, after):
    return seqio.TaskRegistry.add(
        name,
        source=seqio.FunctionDataSource(rows, splits=["train", "validation"]),
        preprocessors=[*before, seqio.CacheDatasetPlaceholder(), *after],
        output_features={"inputs": FEATURE, "targets": FEATURE},
    )


tokenize, append_eos = seqio.preprocessors.tokenize, seqio.preprocessors.append_eos
add("group:text", [], [tokenize, append_eos])
add("both", [tokenize], [append_eos])
add("bare_ids", [functools.partial(tokenize, copy_pretokenized=False)], [append_eos])
"""


def as_seqio_writes(task: Any, folder: Path, seqio: Any, tf: Any, *, shards: int = 2) -> None:
    """A task's cache by SeqIO's own parts; only the pipeline of Apache Beam between them is left out."""
    folder.mkdir(parents=True)
    for split in task.splits:
        rows = list(task.preprocess_precache(task.source.get_dataset(split, shuffle=False), seed=0))
        for shard in range(shards):
            path = f"{seqio.get_cached_tfrecord_prefix(str(folder), split)}-{shard:05d}-of-{shards:05d}"
            with tf.io.TFRecordWriter(path) as writer:
                for row in rows[shard::shards]:
                    writer.write(seqio.dict_to_tfexample(row).SerializeToString())
        features = {
            name: {"shape": [None] if tensor.shape.rank else [], "dtype": tensor.dtype.name}
            for name, tensor in rows[0].items()
        }
        info = {"num_shards": shards, "features": features, "seqio_version": seqio.__version__}
        Path(seqio.get_cached_info_path(str(folder), split)).write_text(json.dumps(info))
        Path(seqio.get_cached_stats_path(str(folder), split)).write_text(json.dumps({"examples": len(rows)}))
    (folder / "COMPLETED").touch()


@pytest.fixture
def seqio_tasks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The cache folder that SeqIO looks in, and tasks that can be cached."""
    seqio = pytest.importorskip("seqio", reason="needs the extra 'full'")
    before = set(seqio.TaskRegistry.names())
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules" / "tasks_to_cache.py").write_text(TASKS)
    monkeypatch.syspath_prepend(tmp_path / "modules")
    __import__("tasks_to_cache")
    dirs = seqio.utils.get_global_cache_dirs()
    seqio.set_global_cache_dirs([str(tmp_path / "cache")])
    yield tmp_path / "cache"
    seqio.set_global_cache_dirs(dirs)
    sys.modules.pop("tasks_to_cache", None)
    for name in set(seqio.TaskRegistry.names()) - before:
        seqio.TaskRegistry.remove(name)


def agrees_with_seqio(cache: Path, seqio: Any) -> None:
    """Every example as SeqIO itself reads it from the cache."""
    from seqio import test_utils

    vocabulary = test_utils.sentencepiece_vocab()
    for name in ("group:text", "both", "bare_ids"):
        folder = cache / name.replace(":", "/")
        source = SeqioCacheSource(str(folder), vocabulary=vocabulary.sentencepiece_model_file)
        for split, count in (("train", 30), ("validation", 5)):
            task = seqio.get_mixture_or_task(name)
            dataset = task.get_dataset(None, split, use_cached=True, shuffle=False)
            theirs = list(dataset.as_numpy_iterator())
            ours = list(source.records(split))
            assert len(ours) == len(theirs) == count
            if name == "bare_ids":
                read = {(record["token_ids"].inputs, record["token_ids"].targets) for record in ours}
                assert read == {tuple(tuple(row[key].tolist()) for key in ("inputs", "targets")) for row in theirs}
                check_vocabulary(ours[0]["token_ids"], load_tokenizer(vocabulary.sentencepiece_model_file), task=name)
            else:
                texts = [(record["prompt"].encode(), record["answer"].encode()) for record in ours]
                keys = ("inputs_pretokenized", "targets_pretokenized")
                assert set(texts) == {tuple(row[key] for key in keys) for row in theirs}


@pytest.mark.seqio
def test_a_cache_reads_as_seqio_reads_it(seqio_tasks: Path):
    import seqio
    import tensorflow as tf

    for name in ("group:text", "both", "bare_ids"):
        as_seqio_writes(seqio.get_mixture_or_task(name), seqio_tasks / name.replace(":", "/"), seqio, tf)
    agrees_with_seqio(seqio_tasks, seqio)


@pytest.mark.seqio
@pytest.mark.slow
def test_a_cache_of_the_real_tool_reads_as_seqio_reads_it(seqio_tasks: Path):
    pytest.importorskip("apache_beam", reason="seqio_cache_tasks needs Apache Beam")
    import seqio

    command = [
        sys.executable,
        "-m",
        "seqio.scripts.cache_tasks_main",
        "--module_import=tasks_to_cache",
        "--min_shards=2",
    ]
    command += ["--tasks=group:text,both,bare_ids", f"--output_cache_dir={seqio_tasks}"]
    environment = {**os.environ, "PYTHONPATH": str(seqio_tasks.parent / "modules")}
    done = subprocess.run(command, check=False, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    agrees_with_seqio(seqio_tasks, seqio)
