"""Documents to look at: which ones, and their rows. The choice depends on ids and counts alone, never on chance.

From the first parts that hold what is looked for, the documents with the smallest ids are taken. So a run of any size
opens a bounded number of parts, and the same run always shows the same documents.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.report_page.reading import Reader
from schemas.records import Output
from schemas.signals import SIGNAL_NAMES

EACH = 3
"""Samples a source, and a reason."""

Row = Mapping[str, object]
PLACE = ("id", "source", "file", "offset", "inner_offset", "url", "language", "language_confidence")
DOCUMENT = (*PLACE, "text", *SIGNAL_NAMES)
LETTER = ("source", "file", "offset", "inner_offset", "length", "reason", "detail")


@dataclass(frozen=True, kw_only=True)
class Dropped:
    """A dropped document, and the size of its cluster of duplicates: 0 if it was in none."""

    row: Row
    cluster_size: int


def kept(reader: Reader, *, parts: Mapping[str, list[str]], clean: Mapping[str, Output]) -> dict[str, list[Row]]:
    """EACH rows of clean/ a source. `parts` names the parts to look in by source, `clean` their files."""
    found: dict[str, list[Row]] = {}
    for source, names in parts.items():
        found[source] = []
        for name in names:
            ids = reader.columns(clean[name], ["id"]).column("id").to_pylist()
            wanted = sorted(range(len(ids)), key=ids.__getitem__)[: EACH - len(found[source])]
            rows = reader.rows(clean[name], wanted, (*DOCUMENT, "cluster_size"))
            found[source] += [rows[n] for n in wanted if n in rows]
    return found


def dropped(
    reader: Reader, *, parts: Mapping[str, list[str]], drops: Mapping[str, Output], documents: Mapping[str, Output],
    duplicates: Mapping[str, Output],
) -> dict[str, list[Dropped]]:
    """EACH documents a reason, read from documents/ by row. `parts` names the parts to look in by reason."""
    found: dict[str, list[Dropped]] = {reason: [] for reason in parts}
    for name in sorted({name for names in parts.values() for name in names}):
        table = reader.columns(drops[name], ["id", "row", "reason"]).sort_by("id")
        places: dict[str, list[int]] = {}
        for reason in (r for r, names in parts.items() if name in names):
            rows = table.filter(pc.equal(table.column("reason"), reason)).column("row")
            places[reason] = rows.slice(0, EACH - len(found[reason])).to_pylist()
        rows_of = reader.rows(documents[name], [n for rows in places.values() for n in rows], DOCUMENT)
        sizes = _cluster_sizes(reader, duplicates.get(name), [row["id"] for row in rows_of.values()])
        for reason, numbers in places.items():
            rows = [rows_of[n] for n in numbers if n in rows_of]
            found[reason] += [Dropped(row=row, cluster_size=sizes.get(row["id"], 0)) for row in rows]
    return found


def dead_letters(
    reader: Reader, *, parts: Mapping[str, list[str]], letters: Mapping[str, Output]
) -> dict[str, list[Row]]:
    """EACH dead letters a reason, by source, file and offset. What was read of the records is not looked at."""
    found: dict[str, list[Row]] = {reason: [] for reason in parts}
    for name in sorted({name for names in parts.values() for name in names}):
        table = reader.columns(letters[name], LETTER).sort_by([(c, "ascending") for c in LETTER[:4]])
        for reason in (r for r, names in parts.items() if name in names):
            rows = table.filter(pc.equal(table.column("reason"), reason))
            found[reason] += rows.slice(0, EACH - len(found[reason])).to_pylist()
    return found


def _cluster_sizes(reader: Reader, output: Output | None, ids: Sequence[object]) -> dict[object, int]:
    if output is None or not ids:
        return {}
    table = reader.columns(output, ["id", "cluster_size"])
    table = table.filter(pc.is_in(table.column("id"), pa.array(ids, pa.binary(16))))
    return dict(zip(table.column("id").to_pylist(), table.column("cluster_size").to_pylist(), strict=True))
