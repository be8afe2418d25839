"""TFDS data sets as plain records, through both of TFDS's readers."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from flan_jax.data.sources.tfds import TfdsSource, plain
from flan_jax.errors import InputError

pytestmark = pytest.mark.seqio


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Folder → name of a small data set that is prepared there, by file format."""
    tfds = pytest.importorskip("tensorflow_datasets", reason="needs the extra 'full'")

    class MadeQuestions(tfds.core.GeneratorBasedBuilder):
        VERSION = tfds.core.Version("1.2.3")

        def _info(self) -> Any:
            text = tfds.features.Text()
            answers = tfds.features.Sequence(tfds.features.Text())
            features = {"question": text, "answers": answers, "label": tfds.features.ClassLabel(names=["no", "yes"])}
            return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(features))

        def _split_generators(self, dl_manager: Any) -> Any:
            return {"train": self._generate_examples(5), "validation": self._generate_examples(2)}

        def _generate_examples(self, count: int) -> Any:
            for i in range(count):
                yield i, {"question": f"é{i}?", "answers": [f"{i}", f"{i}."], "label": i % 2}

    folders = {}
    for kind in ("tfrecord", "array_record"):
        folders[kind] = tmp_path_factory.mktemp(kind)
        MadeQuestions(data_dir=str(folders[kind]), file_format=kind).download_and_prepare()
    return folders


@pytest.mark.parametrize("kind", ["tfrecord", "array_record"])
def test_records_are_plain_python(prepared: dict[str, Path], kind: str):
    source = TfdsSource("made_questions:1.2.3", data_dir=str(prepared[kind]))
    records = list(source.records("train"))
    assert sorted(records, key=lambda r: r["question"]) == [
        {"question": f"é{i}?", "answers": [f"{i}", f"{i}."], "label": i % 2} for i in range(5)
    ]
    assert records == list(source.records("train"))
    assert records[:2] == list(source.records("train[:2]"))
    assert source.version == "1.2.3 (train 5, validation 2)"
    with pytest.raises(InputError, match="has no split 'test'; it has 'train', 'validation'"):
        list(source.records("test"))


def test_an_unknown_data_set_is_told(tmp_path: Path):
    pytest.importorskip("tensorflow_datasets", reason="needs the extra 'full'")
    with pytest.raises(InputError, match="source tfds:no_such_set: cannot be had"):
        list(TfdsSource("no_such_set", data_dir=str(tmp_path)).records("train"))


def test_values_become_plain():
    numpy = pytest.importorskip("numpy")
    row = {"a": b"\xc3\xa9", "b": numpy.asarray([b"x", b"\xff"], object), "c": numpy.float32(1.5), "d": [{"e": b"f"}]}
    assert plain(row) == {"a": "é", "b": ["x", b"\xff"], "c": 1.5, "d": [{"e": "f"}]}


def test_the_version_of_a_prepared_data_set_needs_no_tensorflow(prepared: Any):
    for folder in prepared.values():
        code = (
            "import sys; from flan_jax.data.sources.tfds import TfdsSource;"
            f"source = TfdsSource('made_questions:1.2.3', data_dir={str(folder)!r});"
            "print(source.version, 'tensorflow' in sys.modules)"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert done.stdout.strip() == "1.2.3 (train 5, validation 2) False"
        # a name without its version is looked up by TFDS, which says the same
        assert TfdsSource("made_questions", data_dir=str(folder)).version == "1.2.3 (train 5, validation 2)"
