"""Clusters of duplicates to look at: the largest, and some near duplicates drawn by a hash of their name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import xxhash

from pipelines.report_page.reading import Reader
from pipelines.report_page.samples import PLACE, Row
from schemas.records import Output

LARGEST, DRAWN = 4, 3
MEMBERS = 4
"""Members shown of a cluster, the survivor among them: as many as fit side by side."""
PARTS = 64
"""Parts of duplicates/ that are searched, in order."""
CELL_CHARACTERS = 8_000
"""Of each text, what is compared: texts that are nearly equal seldom differ in their first lines."""
COLUMNS = (*PLACE, "text", "char_count", "date", "signature")


@dataclass(frozen=True, kw_only=True)
class Member:
    """`agrees` of the `places` of its signature are those of the survivor's; 0 places if one of them has none."""

    row: Row
    survivor: bool
    exact: bool
    agrees: int = 0
    places: int = 0


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """A cluster of duplicates; `members` are the first of those that lie in the parts searched, the survivor first."""

    id: bytes
    size: int
    members: tuple[Member, ...]


@dataclass(frozen=True, kw_only=True)
class Shown:
    """The largest clusters with a document in the parts searched, and others that hold a near duplicate."""

    largest: tuple[Cluster, ...] = ()
    drawn: tuple[Cluster, ...] = ()


def clusters(reader: Reader, *, duplicates: Mapping[str, Output], documents: Mapping[str, Output]) -> Shown:
    """`duplicates` and `documents` are the files of the parts to search."""
    names = ["id", "row", "cluster", "cluster_size", "survivor", "exact"]
    tables = [
        table.select(names).append_column("part", pa.array([part] * table.num_rows, pa.string()))
        for part, table in ((part, reader.columns(output, names)) for part, output in duplicates.items())
        if table.num_rows
    ]
    if not tables:
        return Shown()
    found = pa.concat_tables(tables)
    largest = _largest(found)
    drawn = _drawn(found, besides={cluster for cluster, _ in largest})
    members = {cluster: _members(found, cluster) for cluster, _ in (*largest, *drawn)}
    rows_of = _rows_of(reader, [row for rows in members.values() for row in rows], documents)
    make: Callable[[tuple[bytes, int]], Cluster] = lambda c: Cluster(  # noqa: E731
        id=c[0], size=c[1], members=_compared(members[c[0]], rows_of)
    )
    return Shown(largest=tuple(map(make, largest)), drawn=tuple(map(make, drawn)))


def why_it_survived(cluster: Cluster) -> str:
    """The rule that chose the survivor among the members shown: length, then date, then id."""
    survivor, *others = cluster.members
    if not survivor.survivor:
        return "the survivor lies in a part that was not searched"
    chars = max((_number(m.row["char_count"]) for m in others), default=0)
    if _number(survivor.row["char_count"]) > chars:
        return f"the longest text: {_number(survivor.row['char_count']):,} characters, the next {chars:,}"
    rivals = [m for m in others if _number(m.row["char_count"]) == _number(survivor.row["char_count"])]
    if all(m.row["date"] != survivor.row["date"] for m in rivals):
        return f"as long as another, and the earliest: {survivor.row['date']}"
    return "as long and as early as another, and the smallest id"


def _largest(found: pa.Table) -> list[tuple[bytes, int]]:
    """By size, then by id."""
    sizes = found.group_by("cluster").aggregate([("cluster_size", "max")])
    order = [("cluster_size_max", "descending"), ("cluster", "ascending")]
    chosen = sizes.take(pc.select_k_unstable(sizes, LARGEST, sort_keys=order)).sort_by(order)
    return list(zip(chosen["cluster"].to_pylist(), chosen["cluster_size_max"].to_pylist(), strict=True))


def _drawn(found: pa.Table, *, besides: set[bytes]) -> list[tuple[bytes, int]]:
    """Of clusters whose survivor and a near duplicate are at hand, those with the smallest hash."""
    near = found.filter(pc.invert(pc.or_(found["survivor"], found["exact"])))
    alive = found.filter(found["survivor"])
    near = near.filter(pc.is_in(near["cluster"], alive["cluster"]))
    sizes = dict(zip(near["cluster"].to_pylist(), near["cluster_size"].to_pylist(), strict=True))
    chosen = sorted(sizes.keys() - besides, key=lambda name: (xxhash.xxh3_64_intdigest(name), name))[:DRAWN]
    return [(name, sizes[name]) for name in chosen]


def _members(found: pa.Table, cluster: bytes) -> list[Row]:
    """The survivor, near duplicates, then exact ones, each by id: near ones have something to show."""
    rows = found.filter(pc.equal(found["cluster"], pa.scalar(cluster, pa.binary(16))))
    order = [("survivor", "descending"), ("exact", "ascending"), ("id", "ascending")]
    first: list[Row] = rows.sort_by(order).slice(0, MEMBERS).to_pylist()
    return first


def _compared(members: Sequence[Row], rows_of: Mapping[object, Row]) -> tuple[Member, ...]:
    there = [m for m in members if m["id"] in rows_of]
    first = rows_of[there[0]["id"]]["signature"] if there and there[0]["survivor"] else None
    found = []
    for m in there:
        row = rows_of[m["id"]]
        agrees, places = agreement(first, row["signature"])
        found.append(
            Member(row=row, survivor=bool(m["survivor"]), exact=bool(m["exact"]), agrees=agrees, places=places)
        )
    return tuple(found)


def agreement(one: object, other: object) -> tuple[int, int]:
    """In how many places two signatures agree, of how many; the share estimates the Jaccard similarity."""
    if not isinstance(one, bytes) or not isinstance(other, bytes) or len(one) != len(other):
        return 0, 0
    return int((np.frombuffer(one, "<u4") == np.frombuffer(other, "<u4")).sum()), len(one) // 4


def _rows_of(reader: Reader, members: Sequence[Row], documents: Mapping[str, Output]) -> dict[object, Row]:
    """Documents by id; `members` name their part and row."""
    by_part: dict[str, list[int]] = {}
    for member in members:
        by_part.setdefault(str(member["part"]), []).append(_number(member["row"]))
    rows = [reader.rows(documents[part], numbers, COLUMNS) for part, numbers in sorted(by_part.items())]
    return {row["id"]: row for part in rows for row in part.values()}


def _number(value: object) -> int:
    return int(str(value))
