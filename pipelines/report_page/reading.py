"""A few rows of a run's tables, within bounds: what is read does not grow with the run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import xxhash

from schemas.errors import RunError
from schemas.records import Output
from transforms.beam import files

BUDGET_BYTES = 512 << 20
"""Bytes of columns, inflated, that one report reads in all: a second or two. One row group is held at a time."""
CELL_CHARACTERS = 600
"""Strings are cut to this while they are still in Arrow: a text may be 4 MiB, and the page shows 400 characters."""


@dataclass(kw_only=True)
class Reader:
    """Reads until `left` bytes are used up, then gives nothing more and says so in `stopped`."""

    out: str
    left: int = BUDGET_BYTES
    stopped: bool = False
    cell: int = CELL_CHARACTERS

    def columns(self, output: Output, names: Sequence[str]) -> pa.Table:
        """Whole columns of a table, as many of its row groups as can be had."""
        return self._groups(output, names, lambda table: _all(table.metadata))

    def some(self, output: Output, names: Sequence[str], limit: int | None) -> pa.Table:
        """Whole columns of a table, or of so many of its row groups, in the order of a hash, that there are `limit`
        rows, and never more."""
        return self._groups(output, names, lambda table: _some(table.metadata, output.path, limit))

    def rows(self, output: Output, wanted: Sequence[int], names: Sequence[str]) -> dict[int, dict[str, object]]:
        """Rows by number, from 0, as dictionaries; only the row groups that hold them are read."""
        table = self._groups(output, names, lambda table: _holding(table.metadata, sorted(wanted)))
        numbers = table.column(_ROW).to_pylist()
        return dict(zip(numbers, table.drop_columns([_ROW]).to_pylist(), strict=True))

    def _groups(self, output: Output, names: Sequence[str], choose: Choose) -> pa.Table:
        """Raises RunError if the file is not what its record says."""
        path = files.join(self.out, output.path)
        remedy = f"It was changed or damaged since it was written. Remove {path} and run pipelines.clean again."
        try:
            with files.open_read(path) as file:
                table = pq.ParquetFile(file, page_checksum_verification=True)
                if table.metadata.num_rows != output.rows:
                    holds = f"{path}: holds {table.metadata.num_rows} rows, its record says {output.rows}"
                    raise RunError(f"{holds}. {remedy}")
                pieces = self._pieces(table, names, choose(table))
        except (OSError, pa.ArrowException) as error:
            raise RunError(f"{path}: cannot be read: {error}. {remedy}") from error
        return pa.concat_tables(pieces) if pieces else pa.table({name: [] for name in (*names, _ROW)})

    def _pieces(self, table: pq.ParquetFile, names: Sequence[str], wanted: Sequence[Piece]) -> list[pa.Table]:
        pieces = []
        for g, first, here in wanted:
            if self._afford(table.metadata.row_group(g), names):
                read = table.read_row_group(g, columns=list(names), use_threads=False)
                read = _short(read.take([row - first for row in here]), self.cell)
                pieces.append(read.append_column(_ROW, pa.array(here)))
        return pieces

    def _afford(self, group: pq.RowGroupMetaData, names: Sequence[str]) -> bool:
        columns = (group.column(i) for i in range(group.num_columns))
        cost = sum(c.total_uncompressed_size for c in columns if c.path_in_schema in names)
        if cost > self.left:
            self.stopped = True
            return False
        self.left -= cost
        return True


def whole_file(out: str, output: Output) -> bytes:
    """A small output in whole. Raises RunError if it is missing, or not what its stage wrote."""
    path = files.join(out, output.path)
    remedy = f"Remove {path} and run pipelines.clean again."
    try:
        with files.open_read(path) as file:
            data = file.read()
    except OSError as error:
        raise RunError(f"{path}: cannot be read: {error}. {remedy}") from error
    if xxhash.xxh3_128_hexdigest(data) != output.xxh3:
        raise RunError(f"{path}: was changed or damaged since it was written. {remedy}")
    return data


_ROW = "#row"
Piece = tuple[int, int, Sequence[int]]
"""A row group, the number of its first row in the table, and the numbers of those of its rows that are wanted."""
Choose = Callable[[pq.ParquetFile], Sequence[Piece]]


def _all(metadata: pq.FileMetaData) -> list[Piece]:
    pieces: list[Piece] = []
    first = 0
    for g in range(metadata.num_row_groups):
        end = first + metadata.row_group(g).num_rows
        pieces.append((g, first, range(first, end)))
        first = end
    return pieces


def _holding(metadata: pq.FileMetaData, wanted: Sequence[int]) -> list[Piece]:
    """The row groups that hold the rows `wanted`."""
    pieces = [(g, first, [row for row in wanted if row in here]) for g, first, here in _all(metadata)]
    return [piece for piece in pieces if piece[2]]


def _some(metadata: pq.FileMetaData, name: str, limit: int | None) -> list[Piece]:
    """Row groups in the order of a hash until there are `limit` rows: then the last is cut."""
    if limit is None:
        return _all(metadata)
    pieces: list[Piece] = []
    for g, first, here in sorted(_all(metadata), key=lambda p: xxhash.xxh3_64_intdigest(f"{name} {p[0]}".encode())):
        if limit > 0:
            pieces.append((g, first, here[:limit]))
            limit -= len(here)
    return pieces


def _short(table: pa.Table, characters: int) -> pa.Table:
    for i, field in enumerate(table.schema):
        if pa.types.is_string(field.type):
            cut = pc.utf8_slice_codeunits(table.column(i), 0, characters)
            table = table.set_column(i, field.name, cut)
    return table
