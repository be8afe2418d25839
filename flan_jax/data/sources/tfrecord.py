"""TFRecord files of tf.Examples, read without TensorFlow.

    file      length (uint64), checksum of the length, data, checksum of the data; and so on
    data      tf.Example: name → list of bytes, floats or integers

A checksum is a CRC-32C, rotated and shifted by a constant. Python's own libraries have none, and byte by byte it would
cost more than all else; so the records of a chunk are checked together, four bytes of each in one numpy step.

Source: tensorflow/core/lib/io/record_writer.h and lib/hash/crc32c.h (framing and masking), core/example/example.proto
and feature.proto (field numbers).
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Collection, Iterator, Sequence
from typing import IO

import numpy as np

from flan_jax.errors import InputError
from flan_jax.files.protobuf import fields

Values = list[bytes] | np.ndarray

_HEADER = struct.Struct("<QI")  # length, its checksum
_FOOTER = struct.Struct("<I")
_POLYNOMIAL = 0x82F63B78  # Castagnoli's, lowest bit first
_MASK_DELTA = 0xA282EAD8
_START = 0xFFFFFFFF
_CHUNK_RECORDS = 2048
_CHUNK_BYTES = 1 << 22  # of records padded to the longest
_BYTES, _FLOATS, _INTEGERS = 1, 2, 3  # field numbers of the kinds of list in a Feature


def read_records(stream: IO[bytes], where: str) -> Iterator[bytes]:
    """The records of a TFRecord file, in order, each held against its checksum.

    Args:
        stream: the file, unpacked.
        where: opens the error sentence, e.g. the file's path.

    Raises:
        InputError: the file is cut off, or a checksum is not that of what it stands beside.
    """
    number, longest = 0, 0
    chunk: list[tuple[bytes, int]] = []
    for data, checksum in _framed(stream, where):
        longest = max(longest, len(data))
        if chunk and (len(chunk) == _CHUNK_RECORDS or longest * (len(chunk) + 1) > _CHUNK_BYTES):
            yield from _checked(chunk, where, number)
            number += len(chunk)
            chunk, longest = [], len(data)
        chunk.append((data, checksum))
    yield from _checked(chunk, where, number)


def _framed(stream: IO[bytes], where: str) -> Iterator[tuple[bytes, int]]:
    """Data and stated checksum of each record; the length is checked at once, since it says where the next one is."""
    number = 0
    while header := stream.read(_HEADER.size):
        place = f"{where} record {number}"
        if len(header) < _HEADER.size:
            raise InputError(f"{place}: is cut off; copy the file again")
        length, length_checksum = _HEADER.unpack(header)
        if _masked(_checksum(header[:8])) != length_checksum:
            raise InputError(f"{place}: is damaged, or the file is no TFRecord; copy it again, uncompressed")
        body = stream.read(length + _FOOTER.size)
        if len(body) < length + _FOOTER.size:
            raise InputError(f"{place}: is cut off; copy the file again")
        yield body[:length], _FOOTER.unpack_from(body, length)[0]
        number += 1


def _checked(chunk: Sequence[tuple[bytes, int]], where: str, first: int) -> Iterator[bytes]:
    if not chunk:
        return
    found = _masked(_checksums([data for data, _ in chunk]))
    wrong = np.flatnonzero(found != np.array([stated for _, stated in chunk], np.uint32))
    if len(wrong):
        raise InputError(f"{where} record {first + wrong[0]}: its checksum does not fit its data; copy the file again")
    for data, _ in chunk:
        yield data


def _masked(checksum: np.ndarray | int) -> np.ndarray | int:
    # numpy's uint32 wraps round by itself, and Python's int is cut
    return (((checksum >> 15) | (checksum << 17)) + _MASK_DELTA) & 0xFFFFFFFF


@functools.cache
def _byte_table() -> tuple[int, ...]:
    """What the next state is XORed with, by the lowest byte of the state and the byte read."""
    table = []
    for entry in range(256):
        for _ in range(8):
            entry = (entry >> 1) ^ (_POLYNOMIAL if entry & 1 else 0)
        table.append(entry)
    return tuple(table)


@functools.cache
def _pair_tables() -> tuple[np.ndarray, np.ndarray]:
    """The same for two bytes at once, uint32 [65536]: those that end a step of four bytes, and those that open it."""
    table = np.array(_byte_table(), np.uint32)
    last = np.arange(1 << 16, dtype=np.uint32)
    for _ in range(2):
        last = table[last & 0xFF] ^ (last >> 8)
    first = last
    for _ in range(2):
        first = table[first & 0xFF] ^ (first >> 8)
    return last, first


def _checksum(data: bytes) -> int:
    """CRC-32C of a few bytes."""
    table, state = _byte_table(), _START
    for byte in data:
        state = table[(state ^ byte) & 0xFF] ^ (state >> 8)
    return state ^ _START


def _checksums(records: Sequence[bytes]) -> np.ndarray:
    """CRC-32C of each record, uint32 [N].

    Records stand at the right end of their rows: zeros before them leave a state of 0 as it is, and the start state is
    the same as the first four bytes inverted.
    """
    width = -(-max(max(map(len, records)), 4) // 4) * 4
    rows = np.zeros((len(records), width), np.uint8)
    for row, record in zip(rows, records, strict=True):
        if len(record) >= 4:
            start = width - len(record)
            row[start:] = np.frombuffer(record, np.uint8)
            row[start : start + 4] ^= 0xFF
    words = np.ascontiguousarray(rows.view("<u4").T)
    last, first = _pair_tables()
    state = np.zeros(len(records), np.uint32)
    for word in words:
        state = state ^ word
        state = first[state & 0xFFFF] ^ last[state >> 16]
    state = state ^ np.uint32(_START)
    for index, record in enumerate(records):
        if len(record) < 4:
            state[index] = _checksum(record)
    return state


def parse_example(data: bytes, names: Collection[str], where: str) -> dict[str, Values]:
    """The named features of a serialized tf.Example; those it has not are left out.

    Args:
        data: the record.
        names: features that are wanted.
        where: opens the error sentence, e.g. file and number of the record.

    Returns:
        By name a list of bytes, an int64 array, or a float32 array; an empty array for an empty list.

    Raises:
        InputError: the record is no tf.Example.
    """
    wanted = {name.encode(): name for name in names}
    found: dict[str, Values] = {}
    try:
        for _, features in fields(data):
            for _, entry in fields(features):
                parts = dict(fields(entry))
                name = wanted.get(parts.get(1, b""))
                if name is not None:
                    found[name] = _values(parts.get(2, b""))
    except (ValueError, IndexError, TypeError, struct.error) as e:
        raise InputError(f"{where}: is no tf.Example ({e}); give TFRecord files of tf.Examples") from e
    return found


def _values(feature: bytes) -> Values:
    for kind, listed in fields(feature):
        values = [value for _, value in fields(listed)]
        if kind == _BYTES:
            return values
        # numbers come packed in one value, or one by one
        packed = [value for value in values if isinstance(value, bytes)]
        if kind == _FLOATS:
            return np.frombuffer(b"".join(packed), "<f4") if packed else np.array(values, np.float32)
        if kind == _INTEGERS:
            return _varints(b"".join(packed)) if packed else np.array(values, np.int64)
        raise ValueError(f"a feature of kind {kind}")
    return np.zeros(0, np.int64)


def _varints(packed: bytes) -> np.ndarray:
    """The integers in a row of varints, int64 [N]."""
    raw = np.frombuffer(packed, np.uint8)
    ends = np.flatnonzero(raw < 0x80)
    if not len(ends):
        return np.zeros(0, np.int64)
    starts = np.concatenate([[0], ends[:-1] + 1])
    place = np.arange(ends[-1] + 1) - np.repeat(starts, ends - starts + 1)
    parts = (raw[: ends[-1] + 1] & 0x7F).astype(np.uint64) << (7 * place).astype(np.uint64)
    return np.add.reduceat(parts, starts).view(np.int64)
