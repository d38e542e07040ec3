"""The select stage's part: one file of an index to the places of the records that its filters choose."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from schemas.errors import RunError
from schemas.places import FILES, PLACES
from schemas.records import Counts, PartRecord
from schemas.stages import SELECT
from transforms.beam.parts import PlannedPart
from transforms.beam.ranged import coalesced, only
from transforms.beam.sources import open_source
from transforms.beam.tables import TableWriter, write_table
from transforms.beam.web_addresses import shown
from transforms.beam.web_requests import NETWORK, Network
from transforms.cdxj import BadLineError, of_pages, read_cdxj
from transforms.index_rows import BadPlaceError, Filters, Places, chosen, may_hold

_PLACE = ("warc_filename", "warc_record_offset", "warc_record_length")
_COLUMNS = {
    "languages": ("content_languages",), "domain": ("url_host_registered_domain",), "tld": ("url_host_tld",),
    "mime": ("content_mime_detected", "content_mime_type"), "status": ("fetch_status",), "url": ("url",),
    "fetched": ("fetch_time",),
}
"""https://commoncrawl.org/columnar-index. A page that nobody looked into has the type that its server declared."""
Rows = tuple[pa.Array, pa.Array, pa.Array]
"""File, offset and length of chosen rows."""


@dataclass(frozen=True, kw_only=True)
class SelectPart:
    """Reads the index at part.work['path'], `parquet` or `cdxj` as 'kind' says, with the `Filters` of 'filters'."""

    out: str
    network: Network = NETWORK

    def setup(self) -> None:
        """There is nothing to load."""

    def teardown(self) -> None:
        """There is nothing to end."""

    def __call__(self, part: PlannedPart) -> PartRecord:
        """Raises RunError where the index cannot be had, or is none."""
        account: Counter[str] = Counter()
        places = Places()
        path = part.work["path"]
        try:
            with open_source(path, identity=part.work["identity"], network=self.network) as file:
                filters = _filters(part.work["filters"])
                read = _parquet if part.work["kind"] == "parquet" else _cdxj
                for found in read(file, filters, account):
                    account["selected"] += len(found[0])
                    places.add(*found)
        except (OSError, KeyError, pa.ArrowException, BadLineError, BadPlaceError) as error:
            raise RunError(
                f"{shown(path)}: cannot be read as an index of records: {str(error)[:300]}. Check what lies there."
            ) from error
        return self._written(part, places, account)

    def _written(self, part: PlannedPart, places: Places, account: Counter[str]) -> PartRecord:
        batches, summary = places.tables()
        with TableWriter(self.out, f"{SELECT.folder}/{part.part}.parquet", PLACES) as table:
            for batch in batches:
                table.write(batch)
        files = write_table(self.out, f"{SELECT.folder}/files-{part.part}.parquet", [summary], FILES)
        account["named_twice"] = account["selected"] - table.output.rows
        left_out = {name: n for name, n in sorted(account.items()) if n and name not in ("rows", "selected")}
        return PartRecord(
            stage=part.stage, part=part.part, plan_key=part.plan_key, source=part.source, name=part.name,
            counts=Counts(came_in=account["rows"], went_out=table.output.rows, dropped=left_out),
            outputs={"places": table.output, "files": files}, input_bytes=part.size,
        )


def _filters(given: dict[str, Any]) -> Filters:
    """As they were before JSON made lists of them."""
    values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in given.items()}
    return Filters(**values)


def _parquet(file: BinaryIO, filters: Filters, account: Counter[str]) -> Iterator[Rows]:
    """Of row groups whose statistics rule nothing out, the columns that the filters ask for; and of those where one
    row is chosen, its place."""
    table = pq.ParquetFile(file)
    there = {table.schema_arrow.field(k).name: k for k in range(len(table.schema_arrow))}
    names = {name: [c for c in _COLUMNS[name] if c in there] for name in filters.columns}
    lacking = [*(_COLUMNS[n][0] for n in filters.columns if not names[n]), *(c for c in _PLACE if c not in there)]
    if lacking:
        raise KeyError(f"it has no column {' and no '.join(lacking)}")
    for k in range(table.metadata.num_row_groups):
        group = table.metadata.row_group(k)
        account["rows"] += group.num_rows
        if not _may_hold(group, there, names, filters):
            account["row_group"] += group.num_rows
            continue
        columns = {name: _column(name, _read(file, table, k, of), of) for name, of in names.items()}
        mask = chosen(columns, rows=group.num_rows, filters=filters)
        wanted = pc.sum(mask).as_py() or 0
        account["filter"] += group.num_rows - wanted
        if wanted:
            rows = _read(file, table, k, _PLACE).filter(mask)
            strings, *numbers = (rows.column(c).combine_chunks() for c in _PLACE)
            yield strings.cast(pa.string()), *(n.cast(pa.int64()) for n in numbers)


def _read(file: BinaryIO, table: pq.ParquetFile, k: int, columns: Iterable[str]) -> pa.Table:
    """Columns of a row group. What is fetched for them is the chunks that they lie in."""
    group, wanted, spans = table.metadata.row_group(k), set(columns), []
    for chunk in map(group.column, range(group.num_columns)):
        if chunk.path_in_schema in wanted:
            start = min(filter(None, (chunk.dictionary_page_offset, chunk.data_page_offset)))
            spans.append((start, start + chunk.total_compressed_size))
    only(file, coalesced(sorted(spans)))
    return table.read_row_group(k, columns=list(columns), use_threads=False)


def _column(name: str, rows: pa.Table, of: list[str]) -> pa.Array:
    """As `transforms.index_rows` has it."""
    columns = [rows.column(c).combine_chunks() for c in of]
    if name == "fetched":
        seconds = pa.timestamp("s", tz=getattr(columns[0].type, "tz", None))
        return columns[0].cast(seconds, safe=False).cast(pa.int64())
    kind = pa.int64() if name == "status" else pa.string()
    return pc.coalesce(*(c.cast(kind) for c in columns))


def _may_hold(group: Any, there: dict[str, int], names: dict[str, list[str]], filters: Filters) -> bool:
    chunks = {group.column(k).path_in_schema: group.column(k) for k in range(group.num_columns)}
    for name, of in names.items():
        found = chunks[of[0]].statistics
        if not found or not found.has_min_max or len(of) > 1:
            continue
        least, most = found.min, found.max
        if name == "fetched":
            least, most = _seconds(least), _seconds(most)
        if not may_hold(name, least, most, filters=filters):
            return False
    return True


def _seconds(moment: Any) -> int:
    """Of a timestamp of any unit, with or without a zone."""
    kind = pa.scalar(moment).type
    return int(pa.scalar(moment).cast(pa.timestamp("s", tz=kind.tz), safe=False).cast(pa.int64()).as_py())


def _cdxj(file: BinaryIO, filters: Filters, account: Counter[str]) -> Iterator[Rows]:
    for batch in read_cdxj(file, filters=filters):
        pages = of_pages(batch.column("file"))
        mask = chosen({n: batch.column(n) for n in filters.columns}, rows=batch.num_rows, filters=filters)
        both = pc.and_(pages, mask)
        account["rows"] += batch.num_rows
        account["other_archives"] += batch.num_rows - (pc.sum(pages).as_py() or 0)
        account["filter"] += (pc.sum(pages).as_py() or 0) - (pc.sum(both).as_py() or 0)
        rows = batch.filter(both)
        yield rows.column("file"), rows.column("offset"), rows.column("length")
