"""Weights survive writing and reading, shard by shard; what cannot be read is refused by name."""

import json
import os
import struct
import tracemalloc
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

from flan_jax.errors import InputError
from flan_jax.weights.safetensors import write_tensors
from flan_jax.weights.tensors import open_tensors

DTYPES = (*(f"float{bits}" for bits in (16, 32, 64)), ml_dtypes.bfloat16, "bool", "complex64")
DTYPES = (*DTYPES, *(f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)))


def _tensors() -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    wide = {f"layer.{np.dtype(dtype)}": random.integers(0, 2, (3, 5)).astype(dtype) for dtype in DTYPES}
    return wide | {
        "scalar": np.asarray(2.5, np.float32),
        "empty": np.zeros((0, 4), np.float16),
        "bfloat": random.standard_normal((6, 4)).astype(ml_dtypes.bfloat16),
        "transposed": random.standard_normal((4, 6)).astype(np.float32).T,
    }


@pytest.mark.parametrize("max_shard_bytes", [1 << 30, 100, 1])
def test_written_tensors_come_back_bit_for_bit(tmp_path: Path, max_shard_bytes: int):
    tensors = _tensors()
    write_tensors(tmp_path, tensors.items(), max_shard_bytes=max_shard_bytes)
    source = open_tensors(tmp_path)
    assert set(source.names()) == set(tensors)
    for name, array in tensors.items():
        assert source.shape(name) == array.shape
        assert source.dtype(name) == array.dtype
        assert source.read(name).tobytes() == array.tobytes()
    assert (tmp_path / "model.safetensors.index.json").exists() == (max_shard_bytes < 1 << 30)
    assert not list(tmp_path.glob(".*"))


def test_shards_keep_the_limit_and_the_index_counts_bytes(tmp_path: Path):
    write_tensors(tmp_path, ((f"t{i}", np.zeros(25, np.float32)) for i in range(10)), max_shard_bytes=250)
    index = json.loads((tmp_path / "model.safetensors.index.json").read_text())
    assert index["metadata"]["total_size"] == 1000
    assert sorted(set(index["weight_map"].values())) == [f"model-{i:05d}-of-00005.safetensors" for i in range(1, 6)]


def test_a_slice_equals_the_slice_of_the_whole(tmp_path: Path):
    array = np.arange(60, dtype=np.int32).reshape(5, 4, 3)
    write_tensors(tmp_path, [("x", array)])
    source = open_tensors(tmp_path / "model.safetensors")
    np.testing.assert_array_equal(source.read_slice("x", (slice(1, 3), slice(None), slice(2))), array[1:3, :, :2])


def test_any_slice_equals_the_slice_of_the_whole(tmp_path: Path):
    array = np.arange(60, dtype=np.float32).astype(ml_dtypes.bfloat16).reshape(5, 4, 3)
    write_tensors(tmp_path, [("x", array), ("none", np.zeros((0, 4)))], metadata={"note": "é"})
    source = open_tensors(tmp_path)
    for cut in ((), (slice(-2, None),), (slice(None), slice(1, 3)), (slice(0, 5, 2),), (slice(2, 2),), (slice(0, 9),)):
        np.testing.assert_array_equal(source.read_slice("x", cut), array[cut])
    assert source.read_slice("none", (slice(0, 3), slice(1, 3))).shape == (0, 2)


def test_a_slice_costs_its_own_bytes_and_no_more(tmp_path: Path):
    write_tensors(tmp_path, [("x", np.ones((2000, 1000), np.float32))])
    source = open_tensors(tmp_path)
    tracemalloc.start()
    try:
        part = source.read_slice("x", (slice(None), slice(0, 10)))
        assert part.nbytes <= tracemalloc.get_traced_memory()[1] < 2 * part.nbytes
        whole = source.read("x")
        assert whole.nbytes <= tracemalloc.get_traced_memory()[1] < 1.1 * whole.nbytes
    finally:
        tracemalloc.stop()


def test_the_fingerprint_follows_the_bytes(tmp_path: Path):
    array = np.arange(8, dtype=np.float32)
    write_tensors(tmp_path / "a", [("x", array)])
    write_tensors(tmp_path / "b", [("x", array)])
    write_tensors(tmp_path / "c", [("x", array + 1)])
    first, same, other = (open_tensors(tmp_path / name).fingerprint for name in "abc")
    assert first == same != other


def test_a_truncated_file_is_refused(tmp_path: Path):
    write_tensors(tmp_path, [("x", np.zeros(100, np.float32))])
    file = tmp_path / "model.safetensors"
    content = file.read_bytes()
    for length in (len(content) - 1, 30, 5, 0):
        file.write_bytes(content[:length])
        with pytest.raises(InputError, match="truncated"):
            open_tensors(tmp_path)


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (b"[1, 2]", r"invalid type: sequence.*malformed"),
        (b"{broken", r"invalid JSON in header.*malformed"),
        (b'{"x": {"dtype": "F32"}}', r"missing field `shape`.*malformed"),
        (b'{"x": {"dtype": "C128", "shape": [1], "data_offsets": [0, 16]}}', "unknown variant `C128`"),
        (b'{"x": {"dtype": "F8_E4M3", "shape": [16], "data_offsets": [0, 16]}}', "tensor 'x' has type F8_E4M3"),
        (b'{"x": {"dtype": "F4", "shape": [32], "data_offsets": [0, 16]}}', "tensor 'x' has type F4"),
        (b'{"x": {"dtype": "F32", "shape": [5], "data_offsets": [0, 16]}}', "invalid shape, data type, or offset"),
        (b'{"x": {"dtype": "F32", "shape": [4], "data_offsets": [4, 20]}}', "invalid offset for tensor `x`"),
        (b'{"x": {"dtype": "F32", "shape": [3], "data_offsets": [0, 12]}}', "not fully covered"),
    ],
)
def test_a_malformed_header_is_refused(tmp_path: Path, header: bytes, message: str):
    file = tmp_path / "model.safetensors"
    file.write_bytes(struct.pack("<Q", len(header)) + header + bytes(16))
    with pytest.raises(InputError, match=message):
        open_tensors(file)


def test_pickle_files_are_refused_and_never_opened(tmp_path: Path):
    (tmp_path / "pytorch_model.bin").write_bytes(b"cos\nsystem\n")
    for path in (tmp_path, tmp_path / "pytorch_model.bin"):
        with pytest.raises(InputError, match="pickle"):
            open_tensors(path)


def test_missing_and_ambiguous_weights_are_refused(tmp_path: Path):
    with pytest.raises(InputError, match="no such file"):
        open_tensors(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"no \.safetensors file"):
        open_tensors(tmp_path)
    write_tensors(tmp_path, [("x", np.zeros(1))], stem="a")
    write_tensors(tmp_path, [("x", np.zeros(1))], stem="b")
    with pytest.raises(InputError, match=r"no model\.safetensors\.index\.json"):
        open_tensors(tmp_path)
    with pytest.raises(InputError, match=r"no tensor 'y'.*such as x"):
        open_tensors(tmp_path / "a.safetensors").read("y")


def test_a_faulty_index_is_refused(tmp_path: Path):
    write_tensors(tmp_path, [("x", np.zeros(4)), ("y", np.zeros(4))], max_shard_bytes=32)
    (tmp_path / "model-00002-of-00002.safetensors").rename(tmp_path / "elsewhere")
    with pytest.raises(InputError, match=r"shard 'model-00002-of-00002\.safetensors' of the index is missing"):
        open_tensors(tmp_path)
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"x": "../model.safetensors"}}))
    with pytest.raises(InputError, match="must be a file name in the same folder"):
        open_tensors(tmp_path)
    index.write_text("{}")
    with pytest.raises(InputError, match="weight_map"):
        open_tensors(tmp_path)


def test_a_tensor_in_two_shards_is_refused(tmp_path: Path):
    write_tensors(tmp_path, [("x", np.zeros(4))], stem="a")
    write_tensors(tmp_path, [("x", np.ones(4))], stem="b")
    weight_map = {"x": "a.safetensors", "z": "b.safetensors"}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    with pytest.raises(InputError, match=r"'x' is in a\.safetensors and again in b\.safetensors"):
        open_tensors(tmp_path)


def test_writing_never_overwrites_and_checks_names_and_types(tmp_path: Path):
    write_tensors(tmp_path, [("x", np.zeros(1))])
    with pytest.raises(InputError, match=r"already holds model\.safetensors"):
        write_tensors(tmp_path, [("x", np.zeros(1))])
    with pytest.raises(InputError, match="comes twice"):
        write_tensors(tmp_path / "twice", [("x", np.zeros(1)), ("x", np.zeros(1))])
    with pytest.raises(InputError, match="complex128"):
        write_tensors(tmp_path / "type", [("x", np.zeros(1, np.complex128))])
    assert not list((tmp_path / "type").iterdir())


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path, full_disk):
    with full_disk(4096), pytest.raises(InputError, match="weights cannot be written"):
        write_tensors(tmp_path, [("x", np.zeros(10_000))])
    assert not os.listdir(tmp_path)


def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path):
    (tmp_path / "taken").write_text("")
    with pytest.raises(InputError, match="weights cannot be written"):
        write_tensors(tmp_path / "taken", [("x", np.zeros(1))])
