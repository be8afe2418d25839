"""The token store: what is written comes back, and nothing damaged is ever read."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flan_jax.data.store.folders import FolderLock, new_folder
from flan_jax.data.store.manifest import damage, fingerprint, is_finished
from flan_jax.data.store.record import DamagedRecord, PairRecord, TokenRecord, pair_record, token_record
from flan_jax.data.store.shards import Shard, finish_shard, finished_shard, merge_shards, shard_name
from flan_jax.data.store.store import ReaderPool, RecordWriter, Store
from flan_jax.errors import InputError


def tokens(example_id: int, length: int = 12) -> TokenRecord:
    ids = np.arange(length, dtype=np.int32) + 100 * example_id
    return TokenRecord(example_id, example_id % 3, ids, (np.arange(length) >= length // 2).astype(np.float32))


def write_store(directory: Path, count: int = 50, *, records_per_shard: int = 100) -> Path:
    ids = range(count)
    records = [tokens(example_id, 5 + example_id % 7) for example_id in ids]
    runs = [records[first : first + records_per_shard] for first in range(0, count, records_per_shard)]
    return write_runs(directory, runs)


def write_runs(directory: Path, runs: list[list[TokenRecord]]) -> Path:
    with new_folder(directory) as folder:
        shards = [write_shard(folder, number, records) for number, records in enumerate(runs)]
        spec = {"task": "toy", "version": "1"}
        merge_shards(folder, shards, kind="tokens", spec=spec, dropped={"too long": 2})
    return directory


def write_shard(folder: Path, number: int, records: list[TokenRecord], **facts) -> Shard:
    path = folder / shard_name("train", number)
    writer = RecordWriter(path)
    for record in records:
        writer.write(record)
    writer.close()
    return finish_shard(path, number, writer, **{"inputs": "fields", "dropped": {}, "num_cut": 0, "shots": {}, **facts})


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
    store = Store(write_store(tmp_path / "train", records_per_shard=10), ReaderPool(limit=2))
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
    runs = [[tokens(number) for number in run] for run in ((4, 4, 4), (9, 11, 11), (12,))]
    assert Store(write_runs(tmp_path / "train", runs)).starts.tolist() == [0, 3, 4, 6, 7]


def test_a_shard_of_which_nothing_is_left_is_counted_and_has_no_file(tmp_path):
    with new_folder(tmp_path / "train") as folder:
        shards = [
            write_shard(folder, 0, [tokens(0), tokens(1)]),
            write_shard(folder, 1, [], dropped={"too long": 3}),
            write_shard(folder, 2, [tokens(5)], dropped={"too long": 1}, num_cut=1, shots={"2": 1}),
        ]
        merge_shards(folder, shards, kind="tokens", spec={}, dropped={"over the cap": 7})
    store = Store(tmp_path / "train")
    assert store.starts.tolist() == [0, 1, 2, 3]
    assert [record.example_id for record in store.read([0, 1, 2])] == [0, 1, 5]
    assert store.manifest.dropped == {"over the cap": 7, "too long": 4}
    assert (store.manifest.num_cut, store.manifest.num_tokens) == (1, 36)
    assert store.manifest.shots == {"2": 1}
    names = ["lengths.npz", "manifest.json", "shard-00000.array_record", "shard-00002.array_record"]
    assert sorted(path.name for path in store.directory.iterdir()) == names


def test_a_finished_shard_is_known_by_what_it_was_made_from_and_by_its_bytes(tmp_path):
    folder = tmp_path / "work"
    folder.mkdir()
    written = write_shard(folder, 0, [tokens(0), tokens(1)])
    found = finished_shard(folder, "train", 0, "fields")
    assert found == dataclasses.replace(written, is_reused=True)
    assert finished_shard(folder, "train", 0, "other fields") is None
    assert finished_shard(folder, "train", 1, "fields") is None
    flip_bit(folder / "shard-00000.array_record", 40)
    assert finished_shard(folder, "train", 0, "fields") is None
    write_shard(folder, 0, [tokens(0)])
    os.truncate(folder / "shard-00000.sidecar.npz", 50)
    assert finished_shard(folder, "train", 0, "fields") is None


def test_equal_stores_have_equal_files_and_other_records_another_fingerprint(tmp_path):
    one, again = write_store(tmp_path / "one"), write_store(tmp_path / "again")
    assert {path.name: path.read_bytes() for path in one.iterdir()} == {
        path.name: path.read_bytes() for path in again.iterdir()
    }
    other = write_runs(tmp_path / "other", [[tokens(number, 5 + number % 7) for number in (1, 0, *range(2, 50))]])
    assert Store(other).content != Store(one).content


def flip_bit(path: Path, byte: int) -> None:
    data = bytearray(path.read_bytes())
    data[byte] ^= 16
    path.write_bytes(data)


def test_a_flipped_bit_is_named_and_never_read(tmp_path):
    directory = write_store(tmp_path / "train", records_per_shard=10)
    shard = directory / "shard-00001.array_record"
    place = shard.read_bytes().index(tokens(12, 10).tokens.tobytes()[:8])
    flip_bit(shard, place)
    store = Store(directory)
    [problem] = store.verify()
    assert "'shard-00001.array_record' do not match their checksum" in problem
    with pytest.raises(InputError, match=r"train': 'shard-00001.array_record' is damaged .*flan-jax prepare"):
        store.read(range(50))
    store.read(range(10))  # the other shards still read


@pytest.mark.parametrize("name", ["shard-00001.array_record", "lengths.npz"])
def test_a_truncated_or_missing_file_is_named_when_opening(tmp_path, name):
    directory = write_store(tmp_path / "train", records_per_shard=10)
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
        write_shard(folder, 0, [tokens(0)])
        raise ZeroDivisionError


def test_an_unfinished_folder_never_looks_complete(tmp_path):
    directory = tmp_path / "task" / "train"
    with pytest.raises(ZeroDivisionError):
        write_half(directory)
    assert list(directory.parent.iterdir()) == []
    with pytest.raises(InputError, match="not prepared; run 'flan-jax prepare CONFIG'"):
        Store(directory)


def killed_in(program: str) -> None:
    text = (
        f"import os, signal\nfrom pathlib import Path\n{textwrap.dedent(program)}\nos.kill(os.getpid(), signal.SIGKILL)"
    )
    assert subprocess.run([sys.executable, "-c", text], check=False).returncode == -signal.SIGKILL


def test_a_killed_writer_leaves_the_old_store_and_its_leftovers_are_removed(tmp_path):
    directory = write_store(tmp_path / "train")
    killed_in(f"""
        from flan_jax.data.store.folders import WorkFolder
        work = WorkFolder(Path({str(directory)!r}), "other")
        work.create()
        (work.path / "half").write_text("half")
    """)
    assert len(list(tmp_path.iterdir())) == 2
    assert Store(directory).num_examples == 50
    write_store(directory, 20)
    assert [path.name for path in tmp_path.iterdir()] == ["train"]
    assert Store(directory).num_examples == 20


def test_a_lock_is_for_one_process_and_dies_with_it(tmp_path):
    directory = tmp_path / "task" / "train"
    with FolderLock(directory):
        assert not FolderLock(directory).acquire(wait=False)
    assert list(directory.parent.iterdir()) == []
    killed_in(f"""
        from flan_jax.data.store.folders import FolderLock
        lock = FolderLock(Path({str(directory)!r}))
        assert lock.acquire()
    """)
    assert [path.name for path in directory.parent.iterdir()] == [".train.lock"]
    lock = FolderLock(directory)
    assert lock.acquire(wait=False)
    lock.release()


def test_a_lock_that_was_waited_for_is_the_one_that_others_see(tmp_path):
    first, second = FolderLock(tmp_path / "train"), FolderLock(tmp_path / "train")
    first.acquire()
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(second.acquire)
        assert wait([waiting], timeout=0.2).not_done
        first.release()  # removes the file on which the other waits
        assert waiting.result(timeout=10)
    assert not first.acquire(wait=False)
    second.release()


def test_a_full_disk_is_one_sentence_and_leaves_nothing(tmp_path, full_disk):
    with full_disk(20_000), pytest.raises(InputError, match=r"cannot be written \(.*File too large.*data.store"):
        write_store(tmp_path / "train", 3000)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match=r"cannot be written \(Not a directory\)"):
        write_store(tmp_path / "file" / "train")
    assert not is_finished(tmp_path / "file" / "train")
