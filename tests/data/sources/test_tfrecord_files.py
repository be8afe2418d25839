"""TFRecord files against TensorFlow's writer, and what a damaged one says."""

import io
import struct
from pathlib import Path

import numpy as np
import pytest

from flan_jax.data.sources.tfrecord import parse_example, read_records
from flan_jax.errors import InputError

# `tf.io.TFRecordWriter` with the records b"", b"abc" and b"one record of some length"
WRITTEN = bytes.fromhex(
    "000000000000000029039807d8ea82a20300000000000000b099490e6162636e57f12119000000000000008bf10828"
    "6f6e65207265636f7264206f6620736f6d65206c656e677468c71b2803"
)
RECORDS = [b"", b"abc", b"one record of some length"]


def masked_checksum(data: bytes) -> int:
    """The checksum bit by bit, as its definition has it."""
    state = 0xFFFFFFFF
    for byte in data:
        state ^= byte
        for _ in range(8):
            state = (state >> 1) ^ (0x82F63B78 if state & 1 else 0)
    state ^= 0xFFFFFFFF
    return (((state >> 15) | (state << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def framed(data: bytes) -> bytes:
    length = struct.pack("<Q", len(data))
    return length + struct.pack("<I", masked_checksum(length)) + data + struct.pack("<I", masked_checksum(data))


def test_a_file_of_tensorflow_s_own_writer_is_read():
    assert list(read_records(io.BytesIO(WRITTEN), "x")) == RECORDS


def test_records_of_every_length_pass_their_checksums():
    records = [bytes(range(256))[: n % 257] * (1 + n // 257) for n in (*range(70), 255, 1000, 9000)]
    content = b"".join(map(framed, records))
    assert list(read_records(io.BytesIO(content), "x")) == records


def test_records_keep_their_order():
    records = [bytes([n]) * size for n, size in enumerate((1, 50, 50, 200, 1, 1, 1, 1, 5))]
    assert list(read_records(io.BytesIO(b"".join(map(framed, records))), "x")) == records


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda data: data[:-1], "file 'a' record 2: is cut off"),
        (lambda data: data[: len(framed(b"zero")) + 5], "file 'a' record 1: is cut off"),
        (lambda data: data[:13] + b"Z" + data[14:], "file 'a' record 0: its checksum does not fit its data"),
        (lambda data: data[:-6] + b"Z" + data[-5:], "file 'a' record 2: its checksum does not fit its data"),
        (lambda data: b"\x01" + data[1:], "file 'a' record 0: is damaged, or the file is no TFRecord"),
        (lambda data: b'{"not": "a TFRecord file"}', "file 'a' record 0: is damaged, or the file is no TFRecord"),
    ],
)
def test_damage_is_told_with_the_record(change, problem: str):
    content = b"".join(map(framed, (b"zero", b"one", b"two and more")))
    with pytest.raises(InputError, match=problem):
        list(read_records(io.BytesIO(change(content)), "file 'a'"))


def test_what_is_no_example_is_refused():
    assert parse_example(b"", ("inputs",), "x") == {}
    for data in (b"\x0a\xff", b"\x0a\x02\x08\x01", b"\xff"):
        with pytest.raises(InputError, match=r"file 'a' record 7: is no tf\.Example"):
            parse_example(data, ("inputs",), "file 'a' record 7")


@pytest.mark.seqio
def test_tensorflow_s_records_and_examples_are_read(tmp_path: Path):
    tf = pytest.importorskip("tensorflow", reason="needs the extra 'full'")
    rng = np.random.default_rng(0)
    integers = [rng.integers(-(2**63), 2**63, size=n, endpoint=False) for n in (0, 1, 5, 300)]
    examples = [
        tf.train.Example(
            features=tf.train.Features(
                feature={
                    "integers": tf.train.Feature(int64_list=tf.train.Int64List(value=row.tolist())),
                    "floats": tf.train.Feature(float_list=tf.train.FloatList(value=[0.5, -2.0])),
                    "texts": tf.train.Feature(bytes_list=tf.train.BytesList(value=["größer".encode(), b""])),
                    "empty": tf.train.Feature(),
                }
            )
        )
        for row in integers
    ]
    path = tmp_path / "a.tfrecord"
    with tf.io.TFRecordWriter(str(path)) as writer:
        for example in examples:
            writer.write(example.SerializeToString())
    with path.open("rb") as stream:
        parsed = [
            parse_example(r, ("integers", "floats", "texts", "empty", "none"), "x") for r in read_records(stream, "x")
        ]
    assert len(parsed) == len(examples)
    for found, row in zip(parsed, integers, strict=True):
        np.testing.assert_array_equal(found["integers"], row)
        np.testing.assert_array_equal(found["floats"], np.array([0.5, -2.0], np.float32))
        assert found["texts"] == ["größer".encode(), b""]
        assert len(found["empty"]) == 0
        assert "none" not in found
