"""Where a Parquet file's row groups lie, by its footer.

Read here and not through pyarrow, whose accessors of row groups end the process, with no exception to catch, where a
footer contradicts itself (25.0.1). The footer is FileMetaData of parquet.thrift in Thrift's compact protocol; of it we
need a few numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from transforms.outcomes import RecordError

_DEPTH = 16
"""Structures in structures; a footer has six."""


@dataclass(frozen=True, kw_only=True)
class RowGroup:
    """`number` counts all row groups from 0; `first` is its first byte in the file, `length` its columns' bytes."""

    number: int
    first: int
    length: int
    rows: int


def row_groups(footer: bytes, *, size: int) -> list[RowGroup]:
    """The row groups that have rows, of a file of `size` bytes. Raises RecordError `bad_parquet` where the footer
    cannot be read, or two row groups start at one byte, since their rows would have the same positions."""
    try:
        groups = [_group(number, fields) for number, fields in enumerate(_Reader(footer).struct()[4])]
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise RecordError("bad_parquet", f"the footer cannot be read: {type(error).__name__}: {error}") from error
    groups = [group for group in groups if group.rows]
    starts = [group.first for group in groups]
    if len(set(starts)) < len(starts) or not all(0 < first < size for first in starts):
        raise RecordError("bad_parquet", f"the footer has row groups start at {starts[:20]} in {size} bytes")
    return groups


def _group(number: int, fields: dict[int, Any]) -> RowGroup:
    """Field numbers are those of RowGroup, ColumnChunk and ColumnMetaData."""
    chunks = [chunk[3] for chunk in fields[1]]
    first = min(chunk.get(11) or chunk[9] for chunk in chunks)
    numbers = [first, *(chunk[7] for chunk in chunks), fields[3]]
    if not all(isinstance(value, int) and value >= 0 for value in numbers):
        raise ValueError(f"row group {number} has no whole numbers where they belong")
    return RowGroup(number=number, first=first, length=sum(numbers[1:-1]), rows=fields[3])


class _Reader:
    """Thrift's compact protocol to dictionaries by field number. Raises LookupError or ValueError."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at, self._depth = data, 0, 0

    def struct(self) -> dict[int, Any]:
        if self._depth == _DEPTH:
            raise ValueError("too deep")
        self._depth += 1
        fields: dict[int, Any] = {}
        field = 0
        while head := self._byte():
            field = field + (head >> 4) if head >> 4 else self._number()
            kind = head & 15
            fields[field] = kind == 1 if kind in (1, 2) else self._value(kind)
        self._depth -= 1
        return fields

    def _value(self, kind: int) -> Any:
        match kind:
            case 1 | 2 | 3:
                return self._byte()
            case 4 | 5 | 6:
                return self._number()
            case 7:
                return self._bytes(8)
            case 8:
                return self._bytes(self._varint())
            case 9 | 10:
                return self._list()
            case 12:
                return self.struct()
        raise ValueError(f"type {kind}")

    def _list(self) -> list[Any]:
        head = self._byte()
        count = head >> 4 if head >> 4 < 15 else self._varint()
        if count > len(self._data) - self._at:
            raise ValueError(f"a list of {count}")
        return [self._value(head & 15) for _ in range(count)]

    def _number(self) -> int:
        value = self._varint()
        return value >> 1 ^ -(value & 1)

    def _varint(self) -> int:
        value = shift = 0
        while (byte := self._byte()) & 128:
            value |= (byte & 127) << shift
            shift += 7
            if shift > 63:
                raise ValueError("a number of more than 64 bits")
        return value | byte << shift

    def _byte(self) -> int:
        self._at += 1
        return self._data[self._at - 1]

    def _bytes(self, count: int) -> bytes:
        if count > len(self._data) - self._at:
            raise ValueError(f"{count} bytes")
        self._at += count
        return self._data[self._at - count : self._at]
