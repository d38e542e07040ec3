"""A few rows of a run's tables, within bounds: what is read does not grow with the run."""

from __future__ import annotations

from collections.abc import Sequence
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

    def columns(self, output: Output, names: Sequence[str]) -> pa.Table:
        """Whole columns of a table, as many of its row groups as can be had."""
        return self._groups(output, names, None)

    def rows(self, output: Output, wanted: Sequence[int], names: Sequence[str]) -> dict[int, dict[str, object]]:
        """Rows by number, from 0, as dictionaries; only the row groups that hold them are read."""
        table = self._groups(output, names, sorted(wanted))
        numbers = table.column(_ROW).to_pylist()
        return dict(zip(numbers, table.drop_columns([_ROW]).to_pylist(), strict=True))

    def _groups(self, output: Output, names: Sequence[str], wanted: Sequence[int] | None) -> pa.Table:
        """Raises RunError if the file is not what its record says."""
        path = files.join(self.out, output.path)
        remedy = f"It was changed or damaged since it was written. Remove {path} and run pipelines.clean again."
        try:
            with files.open_read(path) as file:
                table = pq.ParquetFile(file, page_checksum_verification=True)
                if table.metadata.num_rows != output.rows:
                    holds = f"{path}: holds {table.metadata.num_rows} rows, its record says {output.rows}"
                    raise RunError(f"{holds}. {remedy}")
                pieces = self._pieces(table, names, wanted)
        except (OSError, pa.ArrowException) as error:
            raise RunError(f"{path}: cannot be read: {error}. {remedy}") from error
        return pa.concat_tables(pieces) if pieces else pa.table({name: [] for name in (*names, _ROW)})

    def _pieces(self, table: pq.ParquetFile, names: Sequence[str], wanted: Sequence[int] | None) -> list[pa.Table]:
        pieces, first = [], 0
        for g in range(table.num_row_groups):
            group = table.metadata.row_group(g)
            end = first + group.num_rows
            here = list(range(first, end)) if wanted is None else [row for row in wanted if first <= row < end]
            if here and self._afford(group, names):
                read = table.read_row_group(g, columns=list(names), use_threads=False)
                pieces.append(_short(read.take([row - first for row in here])).append_column(_ROW, pa.array(here)))
            first = end
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


def _short(table: pa.Table) -> pa.Table:
    for i, field in enumerate(table.schema):
        if pa.types.is_string(field.type):
            cut = pc.utf8_slice_codeunits(table.column(i), 0, CELL_CHARACTERS)
            table = table.set_column(i, field.name, cut)
    return table
