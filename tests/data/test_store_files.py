"""The token store: what is written comes back, and nothing damaged is ever read."""

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flan_jax.data.manifest import damage, fingerprint, is_finished, new_folder
from flan_jax.data.record import DamagedRecord, PairRecord, TokenRecord, pair_record, token_record
from flan_jax.data.store import ReaderPool, Store, StoreWriter
from flan_jax.errors import InputError


def tokens(example_id: int, length: int = 12) -> TokenRecord:
    ids = np.arange(length, dtype=np.int32) + 100 * example_id
    return TokenRecord(example_id, example_id % 3, ids, (np.arange(length) >= length // 2).astype(np.float32))


def write_store(directory: Path, count: int = 50, **options) -> Path:
    with new_folder(directory) as folder:
        writer = StoreWriter(folder, "tokens", {"task": "toy", "version": "1"}, **options)
        for example_id in range(count):
            writer.write(tokens(example_id, 5 + example_id % 7))
        writer.finish(dropped={"too long": 2}, num_cut=1)
    return directory


@given(
    st.lists(st.sampled_from([0.0, 1.0, 0.5, -2.25]), min_size=2, max_size=40),
    st.integers(-(2**63), 2**63 - 1),
    st.integers(-1, 2**31 - 1),
)
@settings(max_examples=200, deadline=None)
def test_token_records_come_back_exactly(weights, example_id, template_id):
    ids = np.arange(len(weights), dtype=np.int32) * 7919
    found = token_record(TokenRecord(example_id, template_id, ids, np.array(weights, np.float32)).to_bytes())
    assert (found.example_id, found.template_id) == (example_id, template_id)
    assert found.tokens.dtype == np.int32
    assert found.weights.dtype == np.float32
    np.testing.assert_array_equal(found.tokens, ids)
    np.testing.assert_array_equal(found.weights, np.array(weights, np.float32))


def test_pair_records_come_back_exactly():
    record = PairRecord(7, 2, np.array([5, 6, 1], np.int32), np.array([9, 1], np.int32))
    found = pair_record(record.to_bytes())
    assert (found.example_id, found.template_id, found.packed_lengths) == (7, 2, (3, 2))
    np.testing.assert_array_equal(found.inputs, record.inputs)
    np.testing.assert_array_equal(found.targets, record.targets)


def test_any_flipped_bit_of_a_record_is_found():
    data = tokens(3).to_bytes()
    for bit in range(8 * len(data)):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises(DamagedRecord):
            token_record(bytes(flipped))


def test_store_reads_what_was_written_over_many_shards(tmp_path):
    store = Store(write_store(tmp_path / "train", shard_bytes=1000), ReaderPool(limit=2))
    assert store.manifest.num_records == store.num_examples == 50
    assert len(store.manifest.files) > 4
    assert store.manifest.dropped == {"too long": 2}
    assert store.lengths.tolist() == [[4 + number % 7] for number in range(50)]
    assert store.loss_tokens.tolist() == [tokens(0, 5 + number % 7).loss_tokens for number in range(50)]
    wanted = np.random.default_rng(0).permutation(50)
    for number, record in zip(wanted.tolist(), store.read(wanted), strict=True):
        assert isinstance(record, TokenRecord)
        np.testing.assert_array_equal(record.tokens, tokens(number, 5 + number % 7).tokens)
        np.testing.assert_array_equal(record.weights, tokens(number, 5 + number % 7).weights)
    assert store.verify() == []


def test_renderings_of_an_example_are_found_by_its_first_record(tmp_path):
    with new_folder(tmp_path / "train") as folder:
        writer = StoreWriter(folder, "tokens", {})
        for example_id in (4, 4, 4, 9, 11, 11):
            writer.write(tokens(example_id))
        writer.finish(dropped={}, num_cut=0)
    assert Store(tmp_path / "train").starts.tolist() == [0, 3, 4, 6]


def test_content_is_the_same_however_it_is_cut_into_shards(tmp_path):
    one = Store(write_store(tmp_path / "one"))
    many = Store(write_store(tmp_path / "many", shard_bytes=1000))
    assert one.content == many.content
    assert one.manifest.spec_fingerprint == many.manifest.spec_fingerprint


def flip_bit(path: Path, byte: int) -> None:
    data = bytearray(path.read_bytes())
    data[byte] ^= 16
    path.write_bytes(data)


def test_a_flipped_bit_is_named_and_never_read(tmp_path):
    directory = write_store(tmp_path / "train", shard_bytes=1000)
    shard = directory / "shard-00001.array_record"
    place = shard.read_bytes().index(tokens(20, 11).tokens.tobytes()[:8])
    flip_bit(shard, place)
    store = Store(directory)
    [problem] = store.verify()
    assert "'shard-00001.array_record' do not match their checksum" in problem
    with pytest.raises(InputError, match=r"train': 'shard-00001.array_record' is damaged .*flan-jax prepare"):
        store.read(range(50))
    store.read(range(10))  # the other shards still read


@pytest.mark.parametrize("name", ["shard-00001.array_record", "lengths.npz"])
def test_a_truncated_or_missing_file_is_named_when_opening(tmp_path, name):
    directory = write_store(tmp_path / "train", shard_bytes=1000)
    os.truncate(directory / name, 100)
    with pytest.raises(InputError, match=f"'{name}' has 100 bytes, the manifest says"):
        Store(directory)
    assert "has 100 bytes" in damage(directory)[0]
    (directory / name).unlink()
    with pytest.raises(InputError, match=f"'{name}' is missing"):
        Store(directory)


def test_damaged_lengths_and_manifest_are_found_when_opening(tmp_path):
    directory = write_store(tmp_path / "train")
    flip_bit(directory / "lengths.npz", 300)
    with pytest.raises(InputError, match=r"'lengths.npz' does not match its checksum"):
        Store(directory)
    directory = write_store(tmp_path / "other")
    manifest = directory / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"num_records": 50', '"num_records": 51', 1))
    with pytest.raises(InputError, match="does not match its own checksum"):
        Store(directory)
    manifest.write_text(manifest.read_text()[:40])
    with pytest.raises(InputError, match="cannot be read"):
        Store(directory)


def test_a_manifest_cannot_name_files_outside_its_folder(tmp_path):
    directory = write_store(tmp_path / "train")
    tree = json.loads((directory / "manifest.json").read_text())
    del tree["checksum"]
    tree["files"][0]["name"] = "../elsewhere"
    (directory / "manifest.json").write_text(json.dumps({"checksum": fingerprint(tree), **tree}))
    with pytest.raises(InputError, match=r"names '../elsewhere', which is not in this folder"):
        Store(directory)


def write_half(directory: Path) -> None:
    with new_folder(directory) as folder:
        StoreWriter(folder, "tokens", {}).write(tokens(0))
        raise ZeroDivisionError


def test_an_unfinished_folder_never_looks_complete(tmp_path):
    directory = tmp_path / "task" / "train"
    with pytest.raises(ZeroDivisionError):
        write_half(directory)
    assert list(directory.parent.iterdir()) == []
    with pytest.raises(InputError, match="not prepared; run 'flan-jax prepare CONFIG'"):
        Store(directory)


def test_a_killed_writer_leaves_the_old_store_and_its_leftovers_are_removed(tmp_path):
    directory = write_store(tmp_path / "train")
    program = f"""
        import os, signal
        from pathlib import Path
        from flan_jax.data.manifest import new_folder
        from flan_jax.data.store import StoreWriter
        with new_folder(Path({str(directory)!r})) as folder:
            StoreWriter(folder, "tokens", {{}})
            os.kill(os.getpid(), signal.SIGKILL)
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(program)], check=False)
    assert len(list(tmp_path.iterdir())) == 2
    assert Store(directory).num_examples == 50
    write_store(directory, 20)
    assert [path.name for path in tmp_path.iterdir()] == ["train"]
    assert Store(directory).num_examples == 20


def test_a_full_disk_is_one_sentence_and_leaves_nothing(tmp_path, full_disk):
    with full_disk(20_000), pytest.raises(InputError, match=r"cannot be written \(.*File too large.*data.store"):
        write_store(tmp_path / "train", 3000)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match=r"cannot be written \(Not a directory\)"):
        write_store(tmp_path / "file" / "train")
    assert not is_finished(tmp_path / "file" / "train")
