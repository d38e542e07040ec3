"""Parquet to pages, row by row: the fields are those of JSON lines, each in a column.

A row's position is the first byte of its row group in the file, and its number in the row group. A row group that
cannot be read to its end costs what is left of it, and no other.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from schemas.recipes import Extract
from transforms.jsonl import page_of
from transforms.outcomes import RECORD_SAMPLE, DeadLetter, Outcome, RecordError, Skipped
from transforms.parquet_columns import columns_of, values_of
from transforms.parquet_footer import RowGroup, row_groups

MAGIC = b"PAR1"
_ROWS = 64
"""Rows decoded at a time; beside them a page of each column is in memory."""
_BUFFER = 1 << 20
"""Bytes read from a column at a time."""


def read_parquet(raw: BinaryIO, *, extract: Extract, start: int = 0, end: int | None = None) -> Iterator[Outcome]:
    """One outcome a row, of the row groups whose first byte lies in [start, end). Dead letters: `truncated` for a file
    without its footer, `bad_parquet` for a file or the rest of a row group that cannot be read, `no_text` for a file
    without a column `text` of strings and for rows where it is null, `not_unicode`. What concerns the whole file is
    told in the range that starts at 0. Raises the OSError of a read that failed."""
    source = _Source(raw)
    size = source.seek(0, 2)
    try:
        file = _open(source, size)
        columns = columns_of(file.schema_arrow)
        groups = row_groups(_footer(source, size), size=size)
    except RecordError as error:
        if start == 0:
            yield _lost(error, offset=0, row=0, length=size, record=_head(source))
        return
    for group in groups:
        if start <= group.first and (end is None or group.first < end):
            yield from _rows(source, file, group, columns, extract=extract)


class _Source:
    """A file as Arrow reads it. Of an error it remembers whether it was the storage's: Arrow calls what it finds wrong
    in the bytes an OSError too."""

    closed = False

    def __init__(self, raw: BinaryIO) -> None:
        self._raw = raw
        self.failure: OSError | None = None

    def read(self, size: int = -1) -> bytes:
        try:
            return self._raw.read(size)
        except OSError as error:
            self.failure = error
            raise

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._raw.seek(offset, whence)

    def tell(self) -> int:
        return self._raw.tell()

    def close(self) -> None:
        """Whoever opened it closes it."""

    def judge(self, error: Exception) -> RecordError:
        """`bad_parquet`, unless it was the storage: then raises its error."""
        if self.failure:
            raise self.failure
        return RecordError("bad_parquet", f"{type(error).__name__}: {error}")


def _open(source: _Source, size: int) -> pq.ParquetFile:
    source.seek(max(size - 4, 0))
    tail = source.read(4)
    if size < 12 or tail not in (MAGIC, b"PARE"):
        raise RecordError("truncated", f"the file ends with {tail!r}, not with Parquet's footer")
    try:
        return pq.ParquetFile(
            pa.PythonFile(source, mode="r"), pre_buffer=False, buffer_size=_BUFFER, page_checksum_verification=True
        )
    except (pa.ArrowException, OSError, ValueError) as error:
        raise source.judge(error) from error


def _footer(source: _Source, size: int) -> bytes:
    source.seek(size - 8)
    length = int.from_bytes(source.read(4), "little")
    source.seek(max(size - 8 - length, 0))
    return source.read(length)


def _rows(
    source: _Source, file: pq.ParquetFile, group: RowGroup, columns: list[str], *, extract: Extract
) -> Iterator[Outcome]:
    """The outcomes of one row group."""
    row = 0
    try:
        for values in _batches(source, file, group, columns):
            for cells in zip(*values, strict=True):
                fields = dict(zip(columns, cells, strict=True))
                yield _outcome(fields, offset=group.first, inner_offset=row, extract=extract)
                row += 1
    except RecordError as error:
        yield _lost(error, offset=group.first, row=row, length=group.length, record=b"")


def _batches(source: _Source, file: pq.ParquetFile, group: RowGroup, columns: list[str]) -> Iterator[list[list[Any]]]:
    """The cells of a row group, column by column, some rows at a time. Raises RecordError `bad_parquet`."""
    lacking = group.rows
    try:
        for batch in file.iter_batches(
            batch_size=_ROWS, row_groups=[group.number], columns=columns, use_threads=False
        ):
            lacking -= batch.num_rows
            yield [values_of(batch.column(batch.schema.get_field_index(name))) for name in columns]
    except (pa.ArrowException, OSError, ValueError) as error:
        raise source.judge(error) from error
    if lacking:
        raise RecordError("bad_parquet", f"{lacking} rows of the row group are not there")


def _outcome(fields: dict[str, Any], *, offset: int, inner_offset: int, extract: Extract) -> Outcome:
    text = fields["text"]
    try:
        if text is None:
            raise RecordError("no_text", "the column 'text' is null here")
        if len(text) > extract.max_record_bytes:
            return Skipped("too_long")
        known = {name: _field(name, value) for name, value in fields.items()}
        return page_of(known, offset=offset, inner_offset=inner_offset, extract=extract)
    except UnicodeDecodeError as error:
        problem = RecordError("not_unicode", f"the text is not UTF-8: {error}")
    except RecordError as error:
        problem = error
    return _lost(problem, offset=offset, row=inner_offset, length=len(text or b""), record=text or b"")


def _field(name: str, value: Any) -> Any:
    """A cell as JSON would have it."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "strict" if name == "text" else "replace")
    return value


def _head(source: _Source) -> bytes:
    source.seek(0)
    return source.read(RECORD_SAMPLE)


def _lost(error: RecordError, *, offset: int, row: int, length: int, record: bytes) -> DeadLetter:
    return DeadLetter(
        offset=offset, inner_offset=row, length=length, reason=error.reason, detail=error.detail,
        record=record[:RECORD_SAMPLE],
    )
