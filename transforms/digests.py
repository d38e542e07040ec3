"""Two digests of every output: of the file's bytes, and of its rows, which outlives a change of library."""

from __future__ import annotations

from collections import Counter
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import xxhash

_NUMBERS = (pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean, pa.types.is_timestamp)


class DigestingSink:
    """A binary sink that passes bytes on to another, counting and hashing them (XXH3, 128 bits)."""

    def __init__(self, sink: BinaryIO) -> None:
        self._sink, self._hash = sink, xxhash.xxh3_128()
        self.bytes = 0
        self.closed = False

    def write(self, data: bytes | memoryview) -> int:
        self._hash.update(data)
        self._sink.write(data)
        self.bytes += memoryview(data).nbytes
        return memoryview(data).nbytes

    def flush(self) -> None:
        self._sink.flush()

    def tell(self) -> int:
        return self.bytes

    def readable(self) -> bool:
        return False

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False

    def close(self) -> None:
        """Leaves the sink below open: its owner closes it."""
        self.closed = True

    @property
    def xxh3(self) -> str:
        return self._hash.hexdigest()


class RowsDigest:
    """XXH3-128 of rows: for each column its nulls, its lengths and its values, each a stream of its own, so that
    neither batching nor file format nor library version shows in it.

    Takes strings and bytes, fixed or not, integers, floats, booleans, timestamps, and lists of these, fixed or not, all
    with nulls or without. Raises TypeError at a column of another type."""

    def __init__(self, schema: pa.Schema) -> None:
        self._schema = schema
        self._streams: dict[str, xxhash.xxh3_128] = {}
        self._seen: Counter[str] = Counter()
        self.rows = 0

    def update(self, batch: pa.RecordBatch) -> None:
        self.rows += batch.num_rows
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            self._feed(name, column)

    @property
    def hexdigest(self) -> str:
        names = "".join(f"{f.name}:{f.type}\n" for f in self._schema)
        total = xxhash.xxh3_128(f"{self.rows}\n{names}".encode())
        for name in sorted(self._streams):
            total.update(name.encode() + self._streams[name].digest())
        return total.hexdigest()

    def _feed(self, name: str, column: pa.Array) -> None:
        """Adds the values of a column, or of the lists in one, to its streams."""
        if not len(column):
            return
        if column.null_count:
            # said only where there are nulls, by row number, so that a stream does not depend on which batch has them
            nulls = np.flatnonzero(column.is_null().to_numpy(zero_copy_only=False)) + self._seen[name]
            self._stream(f"{name}?", nulls.astype("<i8"))
        self._seen[name] += len(column)
        kind = column.type
        if pa.types.is_string(kind) or pa.types.is_binary(kind):
            self._lengths(name, pc.binary_length(column))
            self._stream(name, b"".join(column.drop_null().cast(pa.binary()).to_pylist()))
        elif pa.types.is_fixed_size_binary(kind):
            self._stream(name, b"".join(column.drop_null().to_pylist()))
        elif pa.types.is_list(kind):
            self._lengths(name, column.value_lengths())
            self._feed(f"{name}[]", column.flatten())
        elif pa.types.is_fixed_size_list(kind):
            self._feed(f"{name}[]", column.flatten())
        elif any(of(kind) for of in _NUMBERS):
            numbers = column.cast(pa.int64()) if pa.types.is_timestamp(kind) else column
            filled = pc.fill_null(numbers, False if pa.types.is_boolean(kind) else 0).to_numpy(zero_copy_only=False)
            self._stream(name, filled.astype(filled.dtype.newbyteorder("<"), copy=False))
        else:
            raise TypeError(f"column {name}: no digest of values of type {kind}")

    def _lengths(self, name: str, lengths: pa.Array) -> None:
        self._stream(f"{name}#", pc.fill_null(lengths, 0).to_numpy(zero_copy_only=False).astype("<i8"))

    def _stream(self, name: str, data: bytes | npt.NDArray[Any]) -> None:
        stream = self._streams.setdefault(name, xxhash.xxh3_128())
        stream.update(data if isinstance(data, bytes) else np.ascontiguousarray(data).data)
