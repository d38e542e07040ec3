"""Which columns of a Parquet file are read, and their cells as JSON would have them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa

from transforms.jsonl import DATES
from transforms.outcomes import RecordError

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_FIELDS = ("text", "id", "url", *DATES)


def columns_of(schema: pa.Schema) -> list[str]:
    """The columns to read: of the fields of JSON lines those that are there, once, with plain values. Raises
    RecordError `no_text` where `text` is not one of strings."""
    at = schema.get_field_index("text")
    if at < 0 or not _is_string(schema.field(at).type):
        count = schema.names.count("text")
        there = f"column 'text' is {schema.field(at).type}" if at >= 0 else f"{count} columns 'text'"
        raise RecordError("no_text", f"{there}, one of strings is needed. Columns: {', '.join(schema.names[:20])}")
    found = ((name, schema.get_field_index(name)) for name in _FIELDS)
    return [name for name, at in found if at >= 0 and _is_plain(schema.field(at).type)]


def values_of(column: pa.Array) -> list[Any]:
    """Strings as their bytes, since Arrow does not check them; dates and times as ISO strings, None out of range."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        column = column.cast(kind.value_type)
    if _is_string(kind):
        return column.cast(pa.large_binary()).to_pylist()  # type: ignore[no-any-return]
    if pa.types.is_integer(kind):
        return column.to_pylist()  # type: ignore[no-any-return]
    per_second = _PER_SECOND[kind.unit] if pa.types.is_timestamp(kind) else 10**3
    days = pa.types.is_date32(kind)
    numbers = column.cast(pa.int32() if days else pa.int64()).to_pylist()
    return [None if n is None else _iso(n * 86_400 if days else n // per_second) for n in numbers]


def _iso(seconds: int) -> str | None:
    try:
        return (_EPOCH + timedelta(seconds=seconds)).isoformat()
    except OverflowError:
        return None


def _is_plain(kind: pa.DataType) -> bool:
    return _is_string(kind) or pa.types.is_integer(kind) or pa.types.is_timestamp(kind) or pa.types.is_date(kind)


def _is_string(kind: pa.DataType) -> bool:
    """Also bytes: older writers leave the mark of a string out."""
    if pa.types.is_dictionary(kind):
        return _is_string(kind.value_type)
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
                or pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind))
