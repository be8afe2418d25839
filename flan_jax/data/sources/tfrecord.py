"""TFRecord files of tf.Examples, read without TensorFlow.

    file      length (uint64), checksum of the length, data, checksum of the data; and so on
    data      tf.Example: name → list of bytes, floats or integers

A checksum is a CRC-32C, rotated and shifted by a constant.

Source: tensorflow/core/lib/io/record_writer.h and lib/hash/crc32c.h (framing and masking), core/example/example.proto
and feature.proto (field numbers).
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterator
from typing import IO

import google_crc32c
import numpy as np

from flan_jax.errors import InputError
from flan_jax.files.protobuf import fields

Values = list[bytes] | np.ndarray

_HEADER = struct.Struct("<QI")  # length, its checksum
_FOOTER = struct.Struct("<I")
_MASK_DELTA = 0xA282EAD8
_BYTES, _FLOATS, _INTEGERS = 1, 2, 3  # field numbers of the kinds of list in a Feature


def read_records(stream: IO[bytes], where: str) -> Iterator[bytes]:
    """The records of a TFRecord file, in order, each held against its checksum.

    Args:
        stream: the file, unpacked.
        where: opens the error sentence, e.g. the file's path.

    Raises:
        InputError: the file is cut off, or a checksum is not that of what it stands beside.
    """
    for number, (data, checksum) in enumerate(_framed(stream, where)):
        if _masked(google_crc32c.value(data)) != checksum:
            raise InputError(f"{where} record {number}: its checksum does not fit its data; copy the file again")
        yield data


def _framed(stream: IO[bytes], where: str) -> Iterator[tuple[bytes, int]]:
    """Data and stated checksum of each record; the length is checked at once, since it says where the next one is."""
    number = 0
    while header := stream.read(_HEADER.size):
        place = f"{where} record {number}"
        if len(header) < _HEADER.size:
            raise InputError(f"{place}: is cut off; copy the file again")
        length, length_checksum = _HEADER.unpack(header)
        if _masked(google_crc32c.value(header[:8])) != length_checksum:
            raise InputError(f"{place}: is damaged, or the file is no TFRecord; copy it again, uncompressed")
        body = stream.read(length + _FOOTER.size)
        if len(body) < length + _FOOTER.size:
            raise InputError(f"{place}: is cut off; copy the file again")
        yield body[:length], _FOOTER.unpack_from(body, length)[0]
        number += 1


def _masked(checksum: int) -> int:
    return (((checksum >> 15) | (checksum << 17)) + _MASK_DELTA) & 0xFFFFFFFF


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
    names_by_key = {name.encode(): name for name in names}
    values: dict[str, Values] = {}
    try:
        for _, features in fields(data):
            for _, entry in fields(features):
                parts = dict(fields(entry))
                name = names_by_key.get(parts.get(1, b""))
                if name is not None:
                    values[name] = _values(parts.get(2, b""))
    except (ValueError, IndexError, TypeError, struct.error) as e:
        raise InputError(f"{where}: is no tf.Example ({e}); give TFRecord files of tf.Examples") from e
    return values


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
