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
CLUSTERS = 4
MEMBERS = 6
CLUSTER_PARTS = 64
"""Parts of duplicates/ that are searched for large clusters, in order."""

Row = Mapping[str, object]
_PLACE = ("id", "source", "file", "offset", "inner_offset", "url", "language", "language_confidence")
DOCUMENT = (*_PLACE, "text", *SIGNAL_NAMES)
LETTER = ("source", "file", "offset", "inner_offset", "length", "reason", "detail")


@dataclass(frozen=True, kw_only=True)
class Dropped:
    """A dropped document, and the size of its cluster of duplicates: 0 if it was in none."""

    row: Row
    cluster_size: int


@dataclass(frozen=True, kw_only=True)
class Member:
    row: Row
    survivor: bool
    exact: bool


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """A cluster of duplicates; `members` are the first of those that lie in the parts searched."""

    id: bytes
    size: int
    members: tuple[Member, ...]


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


def clusters(reader: Reader, *, duplicates: Mapping[str, Output], documents: Mapping[str, Output]) -> list[Cluster]:
    """The largest clusters with a document in `duplicates`, by size, then by id."""
    names = ["id", "row", "cluster", "cluster_size", "survivor", "exact"]
    tables = [
        table.select(names).append_column("part", pa.array([part] * table.num_rows, pa.string()))
        for part, table in ((part, reader.columns(output, names)) for part, output in duplicates.items())
        if table.num_rows
    ]
    if not tables:
        return []
    found = pa.concat_tables(tables)
    sizes = found.group_by("cluster").aggregate([("cluster_size", "max")])
    order = [("cluster_size_max", "descending"), ("cluster", "ascending")]
    largest = sizes.take(pc.select_k_unstable(sizes, CLUSTERS, sort_keys=order)).sort_by(order).to_pylist()
    chosen = []
    for cluster in largest:
        rows = found.filter(pc.equal(found.column("cluster"), pa.scalar(cluster["cluster"], pa.binary(16))))
        first = rows.sort_by([("survivor", "descending"), ("id", "ascending")]).slice(0, MEMBERS).to_pylist()
        chosen.append((cluster, first))
    rows_of = _rows_of(reader, [row for _, rows in chosen for row in rows], documents)
    return [
        Cluster(
            id=cluster["cluster"], size=cluster["cluster_size_max"],
            members=tuple(
                Member(row=rows_of[row["id"]], survivor=row["survivor"], exact=row["exact"])
                for row in rows if row["id"] in rows_of
            ),
        )
        for cluster, rows in chosen
    ]


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


def _rows_of(reader: Reader, members: Sequence[Row], documents: Mapping[str, Output]) -> dict[object, Row]:
    """Documents by id; `members` name their part and row."""
    by_part: dict[str, list[int]] = {}
    for member in members:
        by_part.setdefault(str(member["part"]), []).append(int(str(member["row"])))
    rows = [reader.rows(documents[part], numbers, (*_PLACE, "text")) for part, numbers in sorted(by_part.items())]
    return {row["id"]: row for part in rows for row in part.values()}
