"""Dead letters tried again: the records at given places of an archive, and no other."""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import BinaryIO

from schemas.recipes import Extract
from transforms.arc import ARC
from transforms.archive import read_archive
from transforms.dump_head import read_inside
from transforms.extraction import Read, Settle, Waiting, here
from transforms.inflate import Inflated, codec_of
from transforms.jsonl import read_jsonl
from transforms.outcomes import DeadLetter, Outcome, Page, Skipped
from transforms.parquet import read_parquet
from transforms.ranges import format_of
from transforms.warc import read_warc
from transforms.warc_frames import WARC, skip
from transforms.wikipedia import read_wikipedia

_TO_THE_END = frozenset({"truncated", "unknown_format"})
"""Reasons of letters that stand for all that follows."""
_BLOCK = 1 << 16


@dataclass(frozen=True, kw_only=True)
class Lost:
    """A dead letter's place, as in `schemas.documents.DEAD_LETTER_COLUMNS`."""

    offset: int
    inner_offset: int
    length: int
    reason: str


def replayed(raw: BinaryIO, lost: Iterable[Lost], *, extract: Extract, settle: Settle = here) -> Iterator[Outcome]:
    """The outcomes of the records that were lost at these places, with the positions that a reader of the whole file
    gives. A letter for many records, `damaged` or `truncated`, gives one for each that can be read now; one whose place
    the file no longer has is a dead letter, `gone`. In one long gzip member, what lies before a record is inflated
    for each letter; frames that need the dictionary of their file's first are dead letters again."""
    kind, compression = format_of(raw)
    for letter in lost:
        outcomes = _again(raw, letter, kind=kind, compression=compression, extract=extract, settle=settle)
        first = next(outcomes, None)
        yield first or _nothing(letter, ends=raw.read(1) == b"")
        yield from outcomes


def _nothing(letter: Lost, *, ends: bool) -> Outcome:
    """Where a letter's place holds nothing: a file that ends well there was broken behind its last record."""
    if letter.reason == "truncated" and letter.inner_offset and ends:
        return Skipped("nothing_lost")
    return DeadLetter(
        offset=letter.offset, inner_offset=letter.inner_offset, length=0, reason="gone",
        detail=f"nothing is there now; it was {letter.reason}", record=b"",
    )


def _again(
    raw: BinaryIO, letter: Lost, *, kind: str | None, compression: str | None, extract: Extract, settle: Settle
) -> Iterator[Outcome]:
    if kind == "parquet" and compression is None:
        return _rows(raw, letter, extract=extract)
    to_the_end, end = letter.reason in _TO_THE_END, None
    if letter.reason == "damaged" and _member_starts(raw, letter.offset + letter.length, compression):
        end = letter.offset + letter.length
    many = to_the_end or end is not None
    inside = read_inside(raw, last=to_the_end) if kind == "wikipedia" else None
    raw.seek(letter.offset)
    stream = Inflated(raw, start=letter.offset, end=end)

    def limited(reads: Iterable[Read]) -> Iterator[Outcome]:
        """Cut before and not after they are settled, since whoever settles must come to an end."""
        return settle(reads if many else itertools.islice(reads, 1))

    if kind is None or letter.offset == letter.inner_offset == 0:
        return _capped(read_archive(stream, extract=extract, settle=limited), kind=kind, many=many)
    buffered = io.BufferedReader(stream, _BLOCK)  # closes the stream when it goes, so it comes no sooner
    skip(buffered, letter.inner_offset)
    match kind:
        case "warc" | "arc":
            grammar = ARC if kind == "arc" else WARC
            return read_warc(
                stream, buffered, extract=extract, settle=limited, at=letter.inner_offset, grammar=grammar
            )
        case "jsonl":
            lines = read_jsonl(stream, buffered, extract=extract, at=letter.inner_offset)
            return lines if many else itertools.islice(lines, 1)
        case _:
            return read_wikipedia(
                stream, buffered, extract=extract, inside=inside,
                settle=lambda reads: limited(_moved(read, letter) for read in reads),
            )


def _capped(outcomes: Iterator[Outcome], *, kind: str | None, many: bool) -> Iterator[Outcome]:
    """JSON lines settle nothing, so that `limited` never sees them."""
    return itertools.islice(outcomes, 1) if kind == "jsonl" and not many else outcomes


def _rows(raw: BinaryIO, letter: Lost, *, extract: Extract) -> Iterator[Outcome]:
    """Of a row group, the row, or the rest from it on. No row group starts at 0: that letter was for the file."""
    if not letter.offset:
        return read_parquet(raw, extract=extract)
    rows = read_parquet(raw, extract=extract, start=letter.offset, end=letter.offset + 1)
    end = None if letter.reason == "bad_parquet" else letter.inner_offset + 1
    return itertools.islice(rows, letter.inner_offset, end)


def _member_starts(raw: BinaryIO, at: int, compression: str | None) -> bool:
    """Whether the damage before byte `at` was counted in the file's bytes: in the midst of a member it cannot be."""
    if compression is None:
        return True
    raw.seek(at)
    codec = codec_of(raw.read(4))
    return codec is not None and codec.name == compression


def _moved(read: Read, letter: Lost) -> Read:
    """With the position in the whole member: the reader began inside it."""
    if isinstance(read, Waiting):
        page = read.page
        if page.offset != letter.offset:
            return read
        return replace(read, page=replace(page, inner_offset=page.inner_offset + letter.inner_offset))
    if isinstance(read, Page | DeadLetter) and read.offset == letter.offset:
        return replace(read, inner_offset=read.inner_offset + letter.inner_offset)
    return read
