"""Protocol buffers field by field, for formats of which a few fields are needed: no schema, no protobuf library."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any


def fields(message: bytes) -> Iterator[tuple[int, Any]]:
    """Field numbers and raw values of one message: int, float or bytes.

    Raises:
        ValueError, IndexError, struct.error: it is no protocol buffer.

    Source: https://protobuf.dev/programming-guides/encoding/.
    """
    place = 0

    def varint() -> int:
        nonlocal place
        value = shift = 0
        while True:
            byte = message[place]
            place += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while place < len(message):
        number, wire_type = divmod(varint(), 8)
        if wire_type == 0:
            value: Any = varint()
            yield number, value - (1 << 64) if value >= 1 << 63 else value
        elif wire_type == 2:
            length = varint()
            if place + length > len(message):
                raise ValueError(f"field {number} of {length} bytes goes past the end")
            yield number, message[place : place + length]
            place += length
        elif wire_type in (1, 5):
            code, size = ("<d", 8) if wire_type == 1 else ("<f", 4)
            yield number, struct.unpack_from(code, message, place)[0]
            place += size
        else:
            raise ValueError(f"wire type {wire_type} at byte {place}")
