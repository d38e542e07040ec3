"""The two files of a shard: Arrow IPC, made to be mapped, and TFRecord, made to be streamed."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import IO, Any

import google_crc32c
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from schemas.shards import TFRECORD_FEATURES
from transforms.examples import BytesLists, Int64Lists, encode_examples

ALIGNMENT = 64
"""Bytes; the width of a cache line and of an AVX-512 register, and what the Arrow format recommends."""
BLOCK_BYTES = 4 << 20
"""TFRecord rows are encoded in blocks of about this many bytes."""


def write_arrow(batch: pa.RecordBatch, sink: IO[bytes]) -> None:
    """Writes `batch` to `sink` as an Arrow IPC file of one uncompressed record batch.

    In the file, the values of the first column start at a multiple of 64 bytes; the other buffers start at multiples
    of 8, more than their elements need. A map of the file is page-aligned, so it keeps that. Equal rows give equal
    bytes for one release of pyarrow.

    Raises ValueError if the first column is not `input_ids`: the alignment would be of something else.
    """
    if batch.schema.names[0] != "input_ids":
        raise ValueError(f"the first column of a shard is input_ids, not {batch.schema.names[0]}")
    batch = pa.record_batch([_compact(c) for c in batch.columns], schema=batch.schema)
    sample = batch.slice(0, 1)
    schema = _padded(batch.schema, 0)
    # The values come first in the body, so they start where the headers end; a header's size does not depend on the
    # number of rows, and grows with the metadata in steps of 8 bytes.
    schema = _padded(schema, -_values_offset(sample, schema) % ALIGNMENT)
    with pa.ipc.new_file(sink, schema) as writer:
        writer.write_batch(batch)


def write_tfrecord(batch: pa.RecordBatch, sink: IO[bytes]) -> None:
    """Writes each row of `batch` to `sink` as one TFRecord holding a tf.train.Example of `TFRECORD_FEATURES`.

    The bytes are those of `tf.io.TFRecordWriter` given `SerializeToString(deterministic=True)`: map entries sorted by
    name, integers packed. A record is its length (uint64), the length's CRC, the data, the data's CRC, all little
    endian: tensorflow/core/lib/io/record_writer.h. A few times BLOCK_BYTES are held beside the batch.
    """
    for block in _blocks(batch):
        features = {f.name: _lists(block.column(f.name)) for f in TFRECORD_FEATURES}
        data, ends = encode_examples(features)
        start = 0
        parts: list[bytes] = []
        for end in ends.tolist():
            record = data[start:end].tobytes()
            length = struct.pack("<Q", len(record))
            parts += (length, _masked_crc(length), record, _masked_crc(record))
            start = end
        sink.write(b"".join(parts))


def _compact(column: pa.Array) -> pa.Array:
    """`column` on buffers of its own exact size: of a slice, pyarrow writes neighbouring values as padding."""
    if column.nbytes == column.get_total_buffer_size():
        return column
    return pa.concat_arrays([column, column.slice(0, 0)])


def _padded(schema: pa.Schema, count: int) -> pa.Schema:
    return schema.with_metadata({**(schema.metadata or {}), b"alignment_padding": b" " * count})


def _values_offset(batch: pa.RecordBatch, schema: pa.Schema) -> int:
    """Where in a file of `batch` the values of its first column start."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, schema) as writer:
        writer.write_batch(batch)
    file = sink.getvalue()
    values = pa.ipc.open_file(file).get_batch(0).column(0).flatten().buffers()[1]
    return int(values.address - file.address)


def _blocks(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """Consecutive slices of `batch` of about BLOCK_BYTES of Arrow buffers, at least a row each."""
    step = max(1, BLOCK_BYTES * batch.num_rows // max(1, batch.nbytes))
    for row in range(0, batch.num_rows, step):
        yield batch.slice(row, step)


def _lists(column: pa.Array) -> Int64Lists | BytesLists:
    """The values of each row of a column of integers, of lists of integers or of lists of 16-byte ids."""
    if pa.types.is_list(column.type):
        offsets = column.offsets.to_numpy().astype(np.int64)
        offsets -= offsets[0]
        column = column.flatten()
    elif pa.types.is_fixed_size_list(column.type):
        offsets = np.arange(len(column) + 1, dtype=np.int64) * column.type.list_size
        column = column.flatten()
    else:
        offsets = np.arange(len(column) + 1, dtype=np.int64)
    if pa.types.is_fixed_size_binary(column.type):
        return BytesLists(values=_strings(column), offsets=offsets)
    # Ids, positions, counts and codes: none is negative.
    return Int64Lists(values=column.to_numpy().astype(np.uint32), offsets=offsets)


def _strings(column: pa.FixedSizeBinaryArray) -> npt.NDArray[np.uint8]:
    """One row of bytes a value."""
    width = column.type.byte_width
    raw: npt.NDArray[Any] = np.frombuffer(column.buffers()[1], np.uint8)
    return raw[column.offset * width : (column.offset + len(column)) * width].reshape(-1, width)


def _masked_crc(data: bytes) -> bytes:
    """CRC-32C, rotated right by 15 bits, plus a constant, little endian: tensorflow/core/lib/hash/crc32c.h."""
    crc = google_crc32c.value(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)
