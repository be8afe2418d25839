"""SeqIO both ways: foreign tasks read as text or as ids, and ours with the ids that the store's form gives."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tokenizers

from flan_jax.config import BatchConfig, Config, DataConfig
from flan_jax.data.prepare.encode import shot_budget
from flan_jax.data.registry import (
    IterableSource,
    MixtureSpec,
    TaskSpec,
    Template,
    add_mixture,
    add_task,
)
from flan_jax.data.registry.resolve import resolve_mixture, resolve_run
from flan_jax.data.render.example import Example
from flan_jax.data.render.examples import examples
from flan_jax.data.spec.token_ids import TokenIds, check_vocabulary
from flan_jax.errors import InputError
from flan_jax.text.plain import PairEncoder, TextEncoder
from flan_jax.text.tokenizer import Tokenizer, load_tokenizer

pytestmark = pytest.mark.seqio
seqio = pytest.importorskip("seqio", reason="needs the extra 'full'")

LENGTHS = {"inputs": 32, "targets": 8}
LABELS = ("yes", "no", "maybe")


@pytest.fixture(autouse=True)
def clean_registry(own_registry: None) -> Iterator[None]:
    """Tasks of a test are gone after it, here and in SeqIO."""
    before = [(table, set(table.names())) for table in (seqio.TaskRegistry, seqio.MixtureRegistry)]
    yield
    for table, names in before:
        for name in set(table.names()) - names:
            table.remove(name)


@pytest.fixture(scope="module")
def foreign() -> Iterator[Any]:
    """The tasks and mixtures of SeqIO's own tests."""
    from absl import flags
    from seqio import test_utils

    if not flags.FLAGS.is_parsed():
        flags.FLAGS(["pytest"])  # else their set-up parses pytest's own arguments

    class Fakes(test_utils.FakeMixtureTest):
        def runTest(self) -> None:
            """Nothing: only what `setUp` registers is used."""

    fakes = Fakes()
    fakes.setUp()
    yield fakes
    fakes.tearDown()
    fakes.doCleanups()


def words(texts: list[str]) -> Tokenizer:
    """A tokenizer of whole words."""
    found = sorted({word for text in texts for word in text.split()})
    pieces = {piece: i for i, piece in enumerate(["<pad>", "</s>", "<unk>", *found])}
    backend = tokenizers.Tokenizer(tokenizers.models.WordLevel(pieces, unk_token="<unk>"))
    backend.pre_tokenizer = tokenizers.pre_tokenizers.Split("\n", "isolated")
    backend.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    backend.add_special_tokens(["<pad>", "</s>"])
    return Tokenizer(backend, "words", {"eos_token": "</s>", "pad_token": "<pad>"}, adds_bos=False)


def inference(name: str = "inference", count: int = 20) -> TaskSpec:
    records = [{"q": f"is {i} even", "answer": LABELS[i % 3]} for i in range(count)]
    return TaskSpec(
        name,
        "nli",
        IterableSource(lambda split: records if split == "train" else records[:5], "1"),
        templates=(Template("{q} so"), Template("tell whether {q}")),
        inputs="{q}",
        options=LABELS,
    )


TOKENIZER_TEXTS = ["is even so tell whether OPTIONS : - yes no maybe ?", " ".join(map(str, range(40)))]


@pytest.mark.parametrize(
    "name",
    [
        "text_line_task",
        "function_task",
        "cached_plaintext_task",
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in (
                "tfds_task",
                "t5:tfds_task",
                "tf_example_task",
                "proto_task",
                "fully_processed_precache",
                "tokenized_postcache",
                "uncached_task",
                "cached_task",
            )
        ),
    ],
)
def test_the_tasks_of_seqio_s_own_tests_are_read_as_text(foreign: Any, name: str):
    resolved = resolve_mixture(DataConfig(mixture=f"seqio:{name}"))
    spec = resolved.specs[f"seqio:{name}"]
    for split in ("train", "validation"):
        items = list(examples(spec, split, DataConfig()))
        assert items
        for item in items:
            assert isinstance(item, Example)
            assert item.messages[0].content.startswith("complete: ")
            assert item.target


def test_seqio_mixtures_come_with_their_rates(foreign: Any):
    seqio.MixtureRegistry.add("rated", [("tfds_task", 3.0), ("function_task", 1.0)])
    assert resolve_mixture(DataConfig(mixture="seqio:rated")).train == {
        "seqio:tfds_task": 3.0,
        "seqio:function_task": 1.0,
    }
    mixed = resolve_mixture(DataConfig(mixture={"seqio:rated": 2.0, "seqio:text_line_task": 2.0}))
    assert mixed.train == {"seqio:tfds_task": 1.5, "seqio:function_task": 0.5, "seqio:text_line_task": 2.0}
    for name in ("uncached_mixture", "cached_mixture", "uncached_random_mixture"):
        assert list(resolve_mixture(DataConfig(mixture=f"seqio:{name}")).train.values()) == [1.0]


@pytest.mark.parametrize(
    ("mixture", "problem"),
    [
        (
            "seqio:tfds_tsk",
            "task 'seqio:tfds_tsk': SeqIO knows no task or mixture of this name; did you mean 'tfds_task'",
        ),
        ("seqio:nothing_like_it", "name the module that registers it in data.modules"),
    ],
)
def test_unknown_names_are_told(foreign: Any, mixture: str, problem: str):
    with pytest.raises(InputError, match=problem):
        resolve_mixture(DataConfig(mixture=mixture))


def test_random_preprocessors_give_the_same_examples_each_time(foreign: Any):
    from flan_jax.data.sources.seqio import SeqioSource

    with pytest.raises(InputError, match="ask for sequence lengths"):
        list(SeqioSource("random_task").records("train"))
    source = SeqioSource("random_task", lengths={"inputs": 13, "targets": 13})
    assert list(source.records("train")) == list(source.records("train"))


def ids_task(name: str) -> None:
    """A SeqIO task that gives ids alone, of SeqIO's small test vocabulary."""
    import tensorflow as tf
    from seqio import test_utils

    feature = seqio.Feature(test_utils.sentencepiece_vocab())
    rows = {"inputs": tf.ragged.constant([[5, 6, 7], [8, 9]], tf.int32), "targets": tf.ragged.constant([[4, 1], [1]])}
    seqio.TaskRegistry.add(
        name,
        source=seqio.FunctionDataSource(
            lambda split, shuffle_files, seed=None: tf.data.Dataset.from_tensor_slices(rows).map(
                lambda row: {key: tf.cast(value, tf.int32) for key, value in row.items()}
            ),
            splits=["train", "validation"],
        ),
        preprocessors=[],
        output_features={"inputs": feature, "targets": feature},
    )


def test_ids_are_taken_where_the_vocabulary_is_the_model_s_and_refused_by_name_where_not(foreign: Any):
    from seqio import test_utils

    ids_task("bare_ids")
    spec = resolve_mixture(DataConfig(mixture="seqio:bare_ids")).specs["seqio:bare_ids"]
    items = list(examples(spec, "train", DataConfig()))
    assert [
        item.token_ids and (item.token_ids.inputs, item.token_ids.targets)
        for item in items
        if isinstance(item, Example)
    ] == [
        ((5, 6, 7), (4, 1)),
        ((8, 9), (1,)),
    ]
    assert isinstance(items[0], Example)
    ids = items[0].token_ids
    assert isinstance(ids, TokenIds)
    model_file = test_utils.sentencepiece_vocab().sentencepiece_model_file
    check_vocabulary(ids, load_tokenizer(model_file), task=spec.name)
    with pytest.raises(
        InputError, match=r"task 'seqio:bare_ids': gives token ids of the vocabulary .*which is not the model's"
    ):
        check_vocabulary(ids, words(["a b"]), task=spec.name)


def test_vocabularies_that_cannot_be_compared_are_refused_by_name(foreign: Any):
    import tensorflow as tf

    feature = seqio.Feature(seqio.PassThroughVocabulary(100), add_eos=False)
    seqio.TaskRegistry.add(
        "opaque",
        source=seqio.FunctionDataSource(
            lambda split, shuffle_files, seed=None: tf.data.Dataset.from_tensors({"inputs": [1], "targets": [2]}),
            splits=["train"],
        ),
        preprocessors=[],
        output_features={"inputs": feature, "targets": feature},
    )
    spec = resolve_mixture(DataConfig(mixture="seqio:opaque")).specs["seqio:opaque"]
    assert spec.source.has_split("validation")
    with pytest.raises(InputError, match="source seqio:opaque: gives token ids without text"):
        list(examples(spec, "train", DataConfig()))


@pytest.mark.parametrize("shots", [0, 3])
@pytest.mark.parametrize("kind", [TextEncoder, PairEncoder])
def test_our_tasks_are_seqio_tasks_with_the_form_s_ids(kind: Any, shots: int):
    from flan_jax.data.seqio_tasks import as_seqio

    encoder, data, spec = kind(words(TOKENIZER_TEXTS), "none"), DataConfig(renderings=2, shots=shots), inference()
    batch = BatchConfig(length=60, input_length=60)
    as_seqio(spec, encoder, data, batch=batch)
    for split in ("train", "validation"):
        dataset = seqio.get_mixture_or_task("inference").get_dataset(None, split, shuffle=False)
        rows = list(dataset.as_numpy_iterator())
        budget = shot_budget(encoder, batch, data)
        items = [item for item in examples(spec, split, data, budget=budget) if isinstance(item, Example)]
        conversations = [item.messages for item in items]
        assert [row["example_id"] for row in rows] == [item.example_id for item in items]
        if kind is PairEncoder:
            for row, (inputs, targets) in zip(rows, encoder.encode_pairs(conversations), strict=True):
                np.testing.assert_array_equal(row["inputs"], inputs)
                np.testing.assert_array_equal(row["targets"], targets)
        else:
            for row, encoded in zip(rows, encoder.encode(conversations), strict=True):
                np.testing.assert_array_equal(np.concatenate([row["inputs"], row["targets"]]), encoded.ids)
                assert len(row["targets"]) == encoded.weights.sum()
    with pytest.raises(InputError, match="SeqIO has a task or mixture 'inference' already"):
        as_seqio(spec, encoder, data)


@pytest.mark.parametrize(
    ("kind", "converter"), [(TextEncoder, "PrefixLMFeatureConverter"), (PairEncoder, "EncDecFeatureConverter")]
)
def test_our_mixtures_are_seqio_mixtures_through_feature_converters(kind: Any, converter: str):
    from flan_jax.data.seqio_tasks import as_seqio_mixture

    add_task(inference("small", 10))
    add_task(inference("large", 30))
    add_mixture(MixtureSpec("pair", ("small", "large")))
    encoder, data = kind(words(TOKENIZER_TEXTS), "none"), DataConfig(mixture="pair")
    mixture = as_seqio_mixture("pair", resolve_mixture(data), encoder, data)
    assert {task.name: mixture.get_rate(task) for task in mixture.tasks} == {"small": 0.25, "large": 0.75}
    dataset = seqio.get_mixture_or_task("pair").get_dataset(LENGTHS, "train", shuffle=False, seed=0, num_epochs=1)
    packed = list(getattr(seqio, converter)(pack=True)(dataset, LENGTHS).as_numpy_iterator())
    weights = sum(int((row["decoder_loss_weights"] > 0).sum()) for row in packed)
    assert weights == sum(len(row["targets"]) for row in dataset.as_numpy_iterator())
    targets = np.concatenate([row["decoder_target_tokens"] for row in packed])
    assert set(np.unique(targets)) <= set(range(encoder.tokenizer.vocab_size))
    rated = as_seqio_mixture("rated", resolve_mixture(data), encoder, data, rates={"small": 2.0, "large": 1.0})
    assert {task.name: rated.get_rate(task) for task in rated.tasks} == {"small": 2.0, "large": 1.0}


def test_our_vocabulary_reads_and_writes_in_both_ways():
    import tensorflow as tf

    from flan_jax.data.sources.seqio import TokenizerVocabulary

    tokenizer = words(TOKENIZER_TEXTS)
    vocabulary = TokenizerVocabulary(tokenizer)
    ids = tokenizer.encode("is 3 even")
    assert vocabulary.encode("is 3 even") == ids
    assert vocabulary.encode_tf(tf.constant("is 3 even")).numpy().tolist() == ids
    assert vocabulary.decode_tf(tf.constant([*ids, tokenizer.eos_id])).numpy().decode() == tokenizer.decode(ids)
    assert vocabulary.decode([*ids, tokenizer.eos_id, 7]) == tokenizer.decode(ids)
    assert vocabulary == TokenizerVocabulary(words(TOKENIZER_TEXTS))
    assert vocabulary != TokenizerVocabulary(words(["other"]))
    assert vocabulary.vocab_size == tokenizer.vocab_size


@pytest.mark.parametrize("kind", [TextEncoder, PairEncoder])
def test_seqio_s_ids_are_the_store_s(kind: Any, tmp_path: Path):
    from flan_jax.data.prepare.opened import open_prepared
    from flan_jax.data.prepare.prepare import prepare
    from flan_jax.data.seqio_tasks import as_seqio, seqio_name
    from flan_jax.data.store.record import PairRecord

    spec = add_task(inference("questions/of mine", 50))
    encoder = kind(words(TOKENIZER_TEXTS), "none")
    config = Config.model_validate(
        {"run": {"dir": str(tmp_path)}, "data": {"mixture": [spec.name], "max_examples": 40, "renderings": 2}}
    )
    prepare(config, encoder, resolve_run(config))
    store = open_prepared(config, encoder, resolve_run(config)).train[spec.name]
    records = store.read(range(2 * store.num_examples))
    as_seqio(spec, encoder, config.data)
    rows = list(seqio.get_mixture_or_task(seqio_name(spec.name)).get_dataset(None, "train", shuffle=False))
    assert len(rows) == len(records) == 80
    for row, record in zip(rows, records, strict=True):
        assert (int(row["example_id"]), int(row["template_id"])) == (record.example_id, record.template_id)
        pair = (row["inputs"].numpy(), row["targets"].numpy())
        if isinstance(record, PairRecord):
            np.testing.assert_array_equal(pair[0], record.inputs)
            np.testing.assert_array_equal(pair[1], record.targets)
        else:
            np.testing.assert_array_equal(np.concatenate(pair), record.tokens)


def test_foreign_tasks_are_prepared_by_name(foreign: Any, tmp_path: Path):
    from seqio import test_utils

    from flan_jax.data.prepare.opened import open_prepared
    from flan_jax.data.prepare.prepare import prepare

    ids_task("bare_ids")
    config = Config.model_validate(
        {"run": {"dir": str(tmp_path)}, "data": {"mixture": ["seqio:function_task", "seqio:bare_ids"]}}
    )
    encoder = PairEncoder(load_tokenizer(test_utils.sentencepiece_vocab().sentencepiece_model_file), "none")
    prepare(config, encoder, resolve_run(config))
    train = open_prepared(config, encoder, resolve_run(config)).train
    [first, second] = train["seqio:bare_ids"].read([0, 1])
    assert [first.inputs.tolist(), first.targets.tolist()] == [[5, 6, 7], [4, 1]]
    assert [second.inputs.tolist(), second.targets.tolist()] == [[8, 9], [1]]
    # the same text through SeqIO's tokenizer and through ours
    rows = list(seqio.get_mixture_or_task("function_task").get_dataset(None, "train", shuffle=False))
    records = train["seqio:function_task"].read(range(len(rows)))
    for row, record in zip(rows, records, strict=True):
        assert record.inputs.tolist() == row["inputs"].numpy().tolist()
        assert record.targets.tolist() == row["targets"].numpy().tolist()
