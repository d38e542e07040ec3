"""What select/ says of a source, read by the parts of ingest: which files, and where in them."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

from schemas.errors import RunError
from schemas.records import Manifest, PartRecord, manifest_from_json
from schemas.stages import SELECT
from transforms.beam import files
from transforms.beam.parts import manifest_path
from transforms.beam.tables import open_table
from transforms.index_rows import by_file


def places(out: str, *, source: str, first: str, last: str) -> Iterator[tuple[str, list[tuple[int, int]]]]:
    """(file, its [(offset, length)], sorted) of the source's files with names in [first, last]."""
    return by_file(
        batch for part in parts_of(_manifest(out), source) for batch in _between(out, part, first, last)
    )


def parts_of(manifest: Manifest, source: str) -> list[PartRecord]:
    """The stage's parts that chose something for the source."""
    return [p for p in manifest.parts if p.source == source and p.outputs["places"].rows]


def _manifest(out: str) -> Manifest:
    path = manifest_path(out, SELECT)
    try:
        return manifest_from_json(files.read_text(path) or "")
    except ValueError as error:
        raise RunError(f"{path}: is not there, or damaged. Run the same command again.") from error


def _between(out: str, part: PartRecord, first: str, last: str) -> Iterator[pa.RecordBatch]:
    """Of a table that is sorted by file, the row groups that may hold them, and of those the rows that do."""
    with open_table(out, part.outputs["places"]) as table:
        for k in range(table.metadata.num_row_groups):
            names = table.metadata.row_group(k).column(0).statistics
            if names.max < first or names.min > last:
                continue
            rows = table.read_row_group(k, use_threads=False)
            held = [first <= name <= last for name in rows.column("file").to_pylist()]
            yield from rows.filter(pa.array(held, pa.bool_())).to_batches()
