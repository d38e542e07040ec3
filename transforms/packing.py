"""Documents' tokens to rows of one length. `schemas.shards` says what a row means."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

_Ints = npt.NDArray[np.int64]
_BLOCK_TOKENS = 1 << 20


def pack(
    tokens: npt.NDArray[np.unsignedinteger[Any]],
    doc_lengths: _Ints,
    doc_ids: pa.FixedSizeBinaryArray,
    languages: _Ints,
    *,
    seq_len: int,
    end_id: int,
    pad_id: int,
    token_bytes: npt.NDArray[np.int32],
    source_code: int,
    schema: pa.Schema,
) -> pa.RecordBatch:
    """All rows of one shard.

    `tokens` are the ids of all documents one after another, without end markers. `doc_lengths`, `doc_ids` (16 bytes
    each) and `languages` (codes) have one entry a document; a length may be 0. `token_bytes[id]` is the number of
    UTF-8 bytes of each token of the vocabulary. `schema` is `shard_schema` for the same seq_len and vocabulary.

    The rows depend on nothing but the sequence of documents. No document, or a single one without tokens, makes no
    row: its end marker would have nothing to predict it from.

    Raises ValueError if the arrays disagree in length, or an id is outside the vocabulary or is a marker's.
    """
    if not len(doc_lengths) == len(doc_ids) == len(languages):
        raise ValueError(f"{len(doc_lengths)} lengths, {len(doc_ids)} ids and {len(languages)} languages of documents")
    _check_lengths(tokens, doc_lengths)
    _check_ids(tokens, end_id=end_id, pad_id=pad_id, token_bytes=token_bytes)
    _check_schema(schema, seq_len=seq_len, vocab_size=len(token_bytes))
    types = {f.name: f.type for f in schema}
    stream = _join(tokens, doc_lengths, seq_len=seq_len, end_id=end_id, pad_id=pad_id,
                   dtype=_dtype(types["input_ids"].value_type))
    total = len(tokens) + len(doc_lengths)
    rows = (len(stream) - 1) // seq_len
    row_starts = np.arange(rows, dtype=np.int64) * seq_len
    n_real = np.minimum(total - row_starts, seq_len + 1)
    ends = np.cumsum(doc_lengths + 1)
    # The documents of a row are those from the one that holds its first token to the one that holds its last.
    first = np.searchsorted(ends, row_starts, side="right")
    last = np.searchsorted(ends, row_starts + n_real - 1, side="right")
    row_of, doc_of = _segments(first, last)
    starts = (ends - doc_lengths - 1)[doc_of] - row_starts[row_of]
    stops = np.minimum(ends[doc_of] - row_starts[row_of], n_real[row_of])
    begins = starts >= 0
    columns = [
        _windows(stream, rows, types["input_ids"]),
        _lists(np.bincount(row_of[begins], minlength=rows), starts[begins], types["doc_starts"]),
        _lists(last - first + 1, doc_ids.take(pa.array(doc_of)), types["doc_ids"]),
        pa.array(_target_bytes(stream, token_bytes, rows=rows, seq_len=seq_len), types["n_bytes"]),
        pa.array(n_real, types["n_real"]),
        pa.array(np.full(rows, source_code), types["source"]),
        pa.array(_majority(row_of, languages[doc_of], stops - np.maximum(starts, 1)), types["lang"]),
    ]
    return pa.record_batch(columns, schema=schema)


def _join(
    tokens: npt.NDArray[np.unsignedinteger[Any]], doc_lengths: _Ints, *, seq_len: int, end_id: int, pad_id: int,
    dtype: type[np.generic],
) -> npt.NDArray[Any]:
    """The stream, padded to rows * seq_len + 1 tokens."""
    marks = np.cumsum(doc_lengths + 1) - 1
    total = len(tokens) + len(doc_lengths)
    rows = max(0, -(-(total - 1) // seq_len))
    stream: npt.NDArray[Any] = np.full(rows * seq_len + 1, pad_id, dtype)
    is_token = np.ones(total, np.bool_)
    is_token[marks] = False
    stream[:total][is_token] = tokens
    stream[marks] = end_id
    return stream


def _segments(first: _Ints, last: _Ints) -> tuple[_Ints, _Ints]:
    """For every (row, document in it), by row and then document: the row, and the document."""
    counts = last - first + 1
    row_of = np.repeat(np.arange(len(first), dtype=np.int64), counts)
    offset = np.cumsum(counts) - counts
    return row_of, np.arange(len(row_of), dtype=np.int64) - offset[row_of] + first[row_of]


def _windows(stream: npt.NDArray[Any], rows: int, kind: pa.FixedSizeListType) -> pa.FixedSizeListArray:
    """The rows, each one token longer than the step to the next."""
    width = kind.list_size
    values = np.empty((rows, width), stream.dtype)
    values[:, :-1] = stream[:-1].reshape(rows, width - 1)
    values[:, -1] = stream[width - 1 :: width - 1]
    return pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1)), type=kind)


def _target_bytes(stream: npt.NDArray[Any], token_bytes: npt.NDArray[np.int32], *, rows: int, seq_len: int) -> _Ints:
    """UTF-8 bytes of each row's targets, in blocks: the look-up needs 12 bytes a token."""
    targets = stream[1:].reshape(rows, seq_len)
    sums = np.zeros(rows, np.int64)
    step = max(1, _BLOCK_TOKENS // seq_len)
    for row in range(0, rows, step):
        sums[row : row + step] = token_bytes[targets[row : row + step]].sum(axis=1, dtype=np.int64)
    return sums


def _majority(row_of: _Ints, codes: _Ints, weights: _Ints) -> _Ints:
    """The code with the largest sum of weights in each row, ties to the smaller code. Every row has a segment."""
    order = np.lexsort((codes, row_of))
    row, code = row_of[order], codes[order]
    fresh = np.flatnonzero((np.diff(row, prepend=-1) != 0) | (np.diff(code, prepend=-1) != 0))
    if not len(fresh):
        return np.empty(0, np.int64)
    sums = np.add.reduceat(weights[order], fresh)
    row, code = row[fresh], code[fresh]
    best = np.lexsort((code, -sums, row))
    heads: _Ints = best[np.diff(row[best], prepend=-1) != 0]
    return code[heads]


def _lists(counts: _Ints, values: _Ints | pa.Array, kind: pa.ListType) -> pa.ListArray:
    offsets = pa.array(np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)]), pa.int32())
    return pa.ListArray.from_arrays(offsets, pa.array(values, kind.value_type), type=kind)


def _dtype(kind: pa.DataType) -> type[np.generic]:
    """numpy's name for a token type. Not `to_pandas_dtype`, which imports pandas, and a worker has none."""
    return np.uint16 if pa.types.is_uint16(kind) else np.uint32


def _check_lengths(tokens: npt.NDArray[np.unsignedinteger[Any]], doc_lengths: _Ints) -> None:
    if len(doc_lengths) and int(doc_lengths.min()) < 0:
        raise ValueError("a document of negative length")
    if int(doc_lengths.sum()) != len(tokens):
        raise ValueError(f"{len(tokens)} tokens for documents of {int(doc_lengths.sum())} together")


def _check_ids(
    tokens: npt.NDArray[np.unsignedinteger[Any]], *, end_id: int, pad_id: int, token_bytes: npt.NDArray[np.int32]
) -> None:
    for name, marker in (("end", end_id), ("pad", pad_id)):
        if not 0 <= marker < len(token_bytes) or token_bytes[marker] != 0:
            raise ValueError(f"the {name} marker {marker} must be in the vocabulary and stand for 0 bytes")
        if np.any(tokens == marker):
            raise ValueError(f"a document holds the {name} marker {marker}: was its text encoded with special tokens?")
    if len(tokens) and int(tokens.max()) >= len(token_bytes):
        raise ValueError(f"token id {int(tokens.max())} in a vocabulary of {len(token_bytes)}")


def _check_schema(schema: pa.Schema, *, seq_len: int, vocab_size: int) -> None:
    ids = schema.field("input_ids").type
    if ids.list_size != seq_len + 1:
        raise ValueError(f"a schema of {ids.list_size} tokens a row for a seq_len of {seq_len}")
    if vocab_size > 1 << ids.value_type.bit_width:
        raise ValueError(f"a schema of {ids.value_type} ids for a vocabulary of {vocab_size}")
