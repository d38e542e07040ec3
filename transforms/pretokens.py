"""Pre-tokens: the pieces that byte-level BPE never merges across, and how often each occurs.

The split is GPT-2's (Radford et al. 2019, `encoder.py`), as Hugging Face's
`pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)` makes it:

    's|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+

It looks at nothing of a character but its class (`transforms.pretoken_classes`), a space and the letters of the
contractions, so one left-to-right pass over the UTF-8 bytes finds every piece; no text is decoded or copied.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from schemas.columns import Column, schema_of
from transforms.pretoken_classes import class_table
from transforms.pretoken_split import count_pieces

MAX_PRETOKEN_BYTES = 1024
"""Longer pieces are not counted. No word is that long, but a page may hold one 4 MB run of letters, and learning
visits each word once a merge: quadratic work. Our choice, not GPT-2's: counts equal Hugging Face's exactly where no
piece of the corpus is longer."""

COUNTS = schema_of(
    (
        Column(name="pretoken", type=pa.string(), meaning="a piece of text, in byte_alphabet()"),
        Column(name="count", type=pa.int64(), meaning="how often it occurs"),
    )
)
"""The table of counts: sorted by the UTF-8 bytes of `pretoken`, one row each."""

_COLLAPSE_ROWS = 1 << 18
"""Rows that `add_counts` gathers before it sums them, or as many as it has summed: 10 MB or so."""


@cache
def byte_alphabet() -> str:
    """256 characters; the one at index b stands for byte b, so that any bytes are printable text without spaces.

    GPT-2's table (`bytes_to_unicode`): printable Latin-1 stands for itself, and the 68 bytes that are left, in order,
    are U+0100 and up.
    """
    itself = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = [b for b in range(256) if b not in itself]
    return "".join(chr(b if b in itself else 0x100 + others.index(b)) for b in range(256))


def count_pretokens(texts: pa.StringArray) -> pa.RecordBatch:
    """How often each pre-token occurs in `texts`, as COUNTS. Pieces over MAX_PRETOKEN_BYTES of text are left out.

    Raises TypeError for another type than string, ValueError where a text is null.
    """
    if texts.type != pa.string():
        raise TypeError(f"texts are {texts.type}, not string")
    if texts.null_count:
        raise ValueError(f"{texts.null_count} of {len(texts)} texts are null")
    _, offset_buffer, data_buffer = texts.buffers()
    offsets = np.zeros(1, np.int32)
    if len(texts):
        offsets = np.frombuffer(offset_buffer, np.int32)[texts.offset : texts.offset + len(texts) + 1]
    data = np.frombuffer(data_buffer or b"", np.uint8)
    starts, lengths, counts = count_pieces(data, offsets, class_table(), MAX_PRETOKEN_BYTES)
    return _sorted(_in_alphabet(data, starts, lengths), counts)


def add_counts(batches: Iterable[pa.RecordBatch]) -> pa.RecordBatch:
    """The sum of tables of counts, as COUNTS. The order and grouping of rows and tables do not matter.

    Raises ValueError for another schema, a null or a negative count, OverflowError where a sum passes 2^63 - 1.
    Memory is proportional to the distinct pre-tokens.
    """
    total = COUNTS.empty_table()
    pending: list[pa.RecordBatch] = []
    rows = 0
    for batch in batches:
        _check(batch)
        pending.append(batch)
        rows += batch.num_rows
        if rows > max(_COLLAPSE_ROWS, total.num_rows):
            total, pending, rows = _sum(total, pending), [], 0
    if not total.num_rows and len(pending) == 1 and _is_sum(pending[0]):
        return pending[0]
    total = _sum(total, pending).combine_chunks()
    if not total.num_rows:
        return pa.RecordBatch.from_pylist([], schema=COUNTS)
    return _sorted(total["pretoken"].chunk(0), total["count"].to_numpy())


def _check(batch: pa.RecordBatch) -> None:
    if not batch.schema.equals(COUNTS):
        raise ValueError(f"a table of counts has columns {batch.schema}, not {COUNTS}")
    if batch.column("pretoken").null_count or batch.column("count").null_count:
        raise ValueError("a table of counts holds nulls")
    if batch.num_rows and batch.column("count").to_numpy().min() < 0:
        raise ValueError("a table of counts holds a negative count")


def _is_sum(batch: pa.RecordBatch) -> bool:
    """Whether it is sorted and holds each pre-token once: summing it would take memory for nothing."""
    names = batch.column("pretoken")
    return batch.num_rows > 0 and bool(pc.all(pc.less(names[:-1], names[1:]), min_count=0).as_py())


def _sum(total: pa.Table, batches: list[pa.RecordBatch]) -> pa.Table:
    """Sums in two halves of 32 bits, since Arrow's int64 sum wraps silently."""
    table = pa.concat_tables([total, pa.Table.from_batches(batches, schema=COUNTS)])
    counts = table["count"].to_numpy()
    halves = pa.table({"pretoken": table["pretoken"], "high": counts >> 32, "low": counts & 0xFFFFFFFF})
    sums = halves.group_by("pretoken", use_threads=False).aggregate([("high", "sum"), ("low", "sum")])
    high, low = sums["high_sum"].to_numpy(), sums["low_sum"].to_numpy()
    high = high + (low >> 32)
    if high.size and high.max() >= 1 << 31:
        name = sums["pretoken"][int(high.argmax())].as_py()
        raise OverflowError(f"the count of pre-token {name!r} passes 2^63 - 1")
    return pa.table([sums["pretoken"], (high << 32) | (low & 0xFFFFFFFF)], schema=COUNTS)


def _sorted(pretokens: pa.StringArray, counts: npt.NDArray[np.int64]) -> pa.RecordBatch:
    batch = pa.record_batch([pretokens, pa.array(counts, pa.int64())], schema=COUNTS)
    return batch.sort_by("pretoken")


def _in_alphabet(
    data: npt.NDArray[np.uint8], starts: npt.NDArray[np.int64], lengths: npt.NDArray[np.int64]
) -> pa.StringArray:
    """The pieces of `data`, every byte replaced by its character, which is one or two bytes of UTF-8."""
    encoded = [ch.encode() for ch in byte_alphabet()]
    wide = np.array([list(e.ljust(2, b"\0")) for e in encoded], np.uint8)
    widths = np.array([len(e) for e in encoded], np.uint8)
    ends = np.concatenate([[0], np.cumsum(lengths)])
    raw = data[np.arange(ends[-1]) + np.repeat(starts - ends[:-1], lengths)]
    kept = np.stack([np.ones(len(raw), np.bool_), widths[raw] == 2], axis=1)
    offsets = np.concatenate([[0], np.cumsum(widths[raw], dtype=np.int64)])[ends]
    if offsets[-1] >= 1 << 31:
        raise OverflowError(f"{offsets[-1]} bytes of distinct pre-tokens in one batch: at most 2^31 - 1")
    buffers = [None, pa.py_buffer(offsets.astype(np.int32)), pa.py_buffer(wide[raw][kept])]
    return pa.Array.from_buffers(pa.string(), len(starts), buffers)
