"""Tables of a part as Parquet: written in fixed row groups with both digests, read back with checksums checked."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from typing import Self

import pyarrow as pa
import pyarrow.parquet as pq

from schemas.errors import RunError
from schemas.records import Output
from transforms.beam import files
from transforms.digests import RowsDigest
from transforms.rowgroups import RowGroups


class TableWriter:
    """A context manager that writes OUT/`path`. The bytes depend on the rows alone, not on how they were batched.

    `output` says what was written, once the block has ended well; before that there is no such file."""

    output: Output

    def __init__(self, out: str, path: str, schema: pa.Schema) -> None:
        self._path, self._schema = path, schema
        self._file = files.create(files.join(out, path))
        self._groups, self._digest = RowGroups(), RowsDigest(schema)

    def __enter__(self) -> Self:
        self._sink = self._file.__enter__()
        self._parquet = pq.ParquetWriter(
            self._sink, self._schema, compression="zstd", compression_level=3, write_page_checksum=True
        )
        return self

    def write(self, batch: pa.RecordBatch) -> None:
        for group in self._groups.add(batch):
            self._write(group)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if kind is not None:
            with contextlib.suppress(Exception):  # the first error is the one to tell
                self._parquet.close()
            self._file.__exit__(kind, error, trace)  # type: ignore[arg-type]
            return
        with contextlib.ExitStack() as stack:
            stack.push(self._file)
            for group in self._groups.rest():
                self._write(group)
            self._parquet.close()
        self.output = Output(
            path=self._path, rows=self._digest.rows, bytes=self._sink.bytes, xxh3=self._sink.xxh3,
            content=self._digest.hexdigest,
        )

    def _write(self, group: pa.RecordBatch) -> None:
        self._digest.update(group)
        self._parquet.write_batch(group, row_group_size=group.num_rows)


def write_table(out: str, path: str, batches: Iterable[pa.RecordBatch], schema: pa.Schema) -> Output:
    """Writes all of `batches` as OUT/`path`."""
    with TableWriter(out, path, schema) as table:
        for batch in batches:
            table.write(batch)
    return table.output


def read_table(
    out: str, output: Output, *, columns: Iterable[str] | None = None, rows: int
) -> Iterator[pa.RecordBatch]:
    """A committed table in batches of at most `rows`. Raises RunError if the file cannot be what its record says."""
    with open_table(out, output) as table:
        names = None if columns is None else list(columns)
        yield from table.iter_batches(batch_size=rows, columns=names, use_threads=False)


@contextlib.contextmanager
def open_table(out: str, output: Output) -> Iterator[pq.ParquetFile]:
    """A committed table. Raises RunError if the file cannot be what its record says, also while it is read."""
    path = files.join(out, output.path)
    remedy = f"It was changed or damaged since it was written. Remove {path} and run the same command again."
    try:
        with files.open_read(path) as file:
            table = pq.ParquetFile(file, page_checksum_verification=True)
            if table.metadata.num_rows != output.rows:
                raise RunError(f"{path}: holds {table.metadata.num_rows} rows, its record says {output.rows}. {remedy}")
            yield table
    except (OSError, pa.ArrowInvalid) as error:
        raise RunError(f"{path}: cannot be read: {error}. {remedy}") from error
