"""Finished parts of documents/ brought up to the run's takedown list, without their archive."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import xxhash

from schemas.documents import DEAD_LETTERS, DOCUMENTS
from schemas.records import Counts, Output, PartRecord, part_from_json
from transforms.beam import files
from transforms.beam.parts import PlannedPart, record_path
from transforms.beam.tables import TableWriter, read_table, write_table
from transforms.beam.takedown_list import takedown_for
from transforms.identity import document_id
from transforms.takedown import FOLLOWERS, REASON, WITHHELD, Takedown, listed, may_hold

_BLOCK = 1 << 20
Position = tuple[str, int, int]
"""File, byte of it, byte inside. A part that an index chose is of many files, in order of their names."""


def updated(out: str, part: PlannedPart, *, rows: int) -> PartRecord | None:
    """The part as it is without what is listed, made of itself; None if no finished part of the same input lies there.

    Tables are read `rows` rows at a time. It may be killed at any point and done again: what it writes is the same,
    made of what was there before or of what it wrote itself. The dead letters go first, as documents tell which."""
    record = _earlier(out, part) if "takedown" in part.work else None
    if record is None:
        return None
    takedown = takedown_for(out, part)
    documents, letters = record.outputs["documents"], record.outputs["dead_letters"]
    there = _rows(files.join(out, documents.path))
    if there is None or there > documents.rows or _digest(files.join(out, letters.path)) is None:
        return None
    found = replace(documents, rows=there)
    before, gone = _positions(out, found, takedown, rows=rows)
    letters = _held_back(out, part, letters, takedown, before, gone, rows=rows)
    if not gone and there == documents.rows:
        return replace(record, plan_key=part.plan_key, outputs={**record.outputs, "dead_letters": letters})
    kept = _Kept()
    with TableWriter(out, documents.path, DOCUMENTS) as table:
        for batch in kept.watch(_without(out, found, takedown, rows=rows)):
            table.write(batch)
    counts = record.counts
    dropped = {**counts.dropped, REASON: counts.dropped.get(REASON, 0) + documents.rows - table.output.rows}
    return replace(
        record, plan_key=part.plan_key, outputs={"documents": table.output, "dead_letters": letters},
        text_bytes=kept.text_bytes, tallies={**record.tallies, "language": dict(sorted(kept.languages.items()))},
        counts=Counts(
            came_in=counts.came_in, went_out=table.output.rows, dropped=dict(sorted(dropped.items())),
            dead_letters=counts.dead_letters,
        ),
    )


class _Kept:
    """What the record of a part tells of its documents."""

    def __init__(self) -> None:
        self.text_bytes, self.languages = 0, Counter[str]()

    def watch(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            self.text_bytes += pc.sum(pc.binary_length(batch.column("text"))).as_py() or 0
            self.languages.update(batch.column("language").to_pylist())
            yield batch


def _earlier(out: str, part: PlannedPart) -> PartRecord | None:
    """The record of the same part of the same input, made with an earlier list or with none."""
    try:
        text = files.read_text(record_path(out, part.stage, part.part))
        record = part_from_json(text) if text else None
    except ValueError:
        return None
    return record if record and record.plan_key in part.work.get("earlier", ()) else None


def _rows(path: str) -> int | None:
    try:
        with files.open_read(path) as file:
            return int(pq.ParquetFile(file).metadata.num_rows)
    except (OSError, pa.ArrowInvalid):
        return None


def _digest(path: str) -> str | None:
    found = xxhash.xxh3_128()
    try:
        with files.open_read(path) as file:
            while block := file.read(_BLOCK):
                found.update(block)
    except OSError:
        return None
    return found.hexdigest()


def _mask(batch: pa.RecordBatch, takedown: Takedown) -> list[bool]:
    return listed(takedown, documents=batch.column("id").to_pylist(), urls=batch.column("url").to_pylist())


def _positions(out: str, found: Output, takedown: Takedown, *, rows: int) -> tuple[list[Position], set[Position]]:
    """Where the part's documents lie, in order, and where those do that must go."""
    every: list[Position] = []
    gone: set[Position] = set()
    for batch in read_table(out, found, columns=["id", "file", "offset", "inner_offset", "url"], rows=rows):
        places = list(zip(*(batch.column(c).to_pylist() for c in ("file", "offset", "inner_offset")), strict=True))
        every += places
        gone.update(place for place, hit in zip(places, _mask(batch, takedown), strict=True) if hit)
    return every, gone


def _without(out: str, found: Output, takedown: Takedown, *, rows: int) -> Iterator[pa.RecordBatch]:
    for batch in read_table(out, found, rows=rows):
        yield batch.filter(pa.array([not hit for hit in _mask(batch, takedown)], pa.bool_())).cast(DOCUMENTS)


def _held_back(
    out: str, part: PlannedPart, letters: Output, takedown: Takedown, before: list[Position], gone: set[Position], *,
    rows: int,
) -> Output:
    """The part's dead letters, with no record of what may be of a listed document."""
    follows = Following(iter(before), gone)
    rewritten: list[pa.RecordBatch] = []
    changed = _digest(files.join(out, letters.path)) != letters.xxh3
    for batch in read_table(out, letters, rows=rows):
        told = batch.to_pylist()
        for letter in told:
            place = (letter["file"], letter["offset"], letter["inner_offset"])
            name = document_id(source=part.source, file=place[0], offset=place[1], inner_offset=place[2])
            holds = may_hold(takedown, document=name, record=letter["record"])
            if letter["detail"] != WITHHELD and (holds or (letter["reason"] in FOLLOWERS and follows.gone(place))):
                letter["record"], letter["detail"] = b"", WITHHELD
                changed = True
        rewritten.append(pa.RecordBatch.from_pylist(told, schema=DEAD_LETTERS))
    return write_table(out, letters.path, rewritten, DEAD_LETTERS) if changed else letters


class Following:
    """Whether the last document before a place must go; places are asked for in order, as documents are."""

    def __init__(self, before: Iterator[Position], gone: set[Position]) -> None:
        self._before, self._gone = before, gone
        self._last: Position | None = None
        self._next = next(before, None)

    def gone(self, place: Position) -> bool:
        while self._next is not None and self._next <= place:
            self._last, self._next = self._next, next(self._before, None)
        return self._last in self._gone and self._last is not None and self._last[0] == place[0]
