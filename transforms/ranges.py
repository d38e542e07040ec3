"""A large file as ranges of bytes, each of which can be read without the others.

A range holds the records from the first boundary at or after its first byte up to the first boundary at or after its
end. Whoever reads a range finds both by the same rule, so each record is in exactly one range, whatever the sizes.
Boundaries are

- of JSON lines, where a line starts;
- of uncompressed WARC, where a record starts: found by going from header to header from the file's start, since an
  archive inside a record looks like records from anywhere else;
- of gzip WARC, where a gzip member starts that holds whole records: searched for, and confirmed as `_is_boundary` says;
- of Parquet, where a row group starts;
- of an uncompressed Wikipedia dump, where a page starts right after another or after siteinfo: in a dump's text, < is
  escaped, and it has neither comments nor CDATA;
- of a bzip2 Wikipedia dump, where a stream starts that begins with a page, as each of 100 pages does in a multistream
  dump. Siteinfo is read from the head of the file, which must be one dump, not several.

Other files, as a WARC in a single gzip member, have none: all of their records are in the range that starts at 0. So it
is with a dump of one bzip2 stream, and with the streams of parallel packers, which are cut in the midst of pages.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from typing import BinaryIO

from schemas.recipes import Extract
from transforms.archive import archive_format, read_archive
from transforms.dump_boundaries import next_page, next_stream
from transforms.dump_head import read_inside
from transforms.extraction import Settle, here
from transforms.find_bytes import find_bytes
from transforms.inflate import Inflated
from transforms.outcomes import Outcome, RecordError
from transforms.parquet import read_parquet
from transforms.warc_frames import field, length_of, read_head, skip
from transforms.wikipedia import read_wikipedia

_BLOCK = 1 << 16
_MEMBER = b"\x1f\x8b\x08"
"""A gzip member's magic and its compression method, deflate: RFC 1952, 2.3.1."""
_VERBATIM = 65_535
"""Bytes at most that deflate stores as they are before a block header comes between: RFC 1951, 3.2.4. A gzip file that
was crawled lies so in its record, and its members look like the archive's own for no longer than that."""
_PROBE = 16 << 20
"""Bytes of a gzip WARC or a dump in which a second boundary must be found for it to be split: what comes before is
short, a crawl's first record or siteinfo."""
_Find = Callable[[BinaryIO, int, int | None], int | None]
"""The first boundary of a file in bytes [at, until)."""


def can_be_split(raw: BinaryIO) -> bool:
    """Whether ranges of the file are worth reading one by one. Reads its head only."""
    kind, compression = format_of(raw)
    find = _finder(kind, compression)
    if find in (_next_member, next_page, next_stream):
        return find(raw, 1, _PROBE) is not None
    return compression is None and kind is not None


def read_range(
    raw: BinaryIO, *, extract: Extract, start: int, end: int, settle: Settle = here
) -> Iterator[Outcome]:
    """The outcomes of the records in bytes [start, end), as `read_archive` gives them, positions and all. Damage in a
    gzip WARC costs what follows up to the next range, in other files what follows up to the file's end."""
    kind, compression = format_of(raw)
    if kind == "parquet" and compression is None:
        yield from read_parquet(raw, extract=extract, start=start, end=end)
        return
    find = _finder(kind, compression)
    begin = find(raw, start, end) if start else 0
    if begin is None:
        return
    stop = find(raw, end, None)
    inside = read_inside(raw, last=stop is None) if kind == "wikipedia" and (begin or stop) else None
    raw.seek(begin)
    stream = Inflated(raw, start=begin, end=stop)
    if inside:
        buffered = io.BufferedReader(stream, _BLOCK)
        yield from read_wikipedia(stream, buffered, extract=extract, inside=inside, settle=settle)
    else:
        yield from read_archive(stream, extract=extract, kind=kind, settle=settle)


def _finder(kind: str | None, compression: str | None) -> _Find:
    match kind, compression:
        case "warc", None:
            return _next_record
        case "jsonl", None:
            return _next_line
        case "warc", "gzip":
            return _next_member
        case "wikipedia", None:
            return next_page
        case "wikipedia", "bzip2":
            return next_stream
        case _:
            return _nowhere


def format_of(raw: BinaryIO) -> tuple[str | None, str | None]:
    """(what `archive_format` says of a file, the name of its compression)."""
    raw.seek(0)
    stream = Inflated(raw)
    return archive_format(io.BufferedReader(stream, _BLOCK).peek(64)), stream.compression


def _nowhere(raw: BinaryIO, at: int, until: int | None) -> int | None:
    return None


def _next_line(raw: BinaryIO, at: int, until: int | None) -> int | None:
    """The first line start in [at, until), `at` above 0."""
    last = find_bytes(raw, b"\n", at - 1, None if until is None else until - 1)
    return None if last is None else last + 1


def _next_record(raw: BinaryIO, at: int, until: int | None) -> int | None:
    """The first start of a WARC record in [at, until). None too if the file breaks before."""
    start = 0
    while until is None or start < until:
        raw.seek(start)
        blank, head = read_head(raw)
        start += blank
        try:
            length = length_of(head)
        except RecordError:
            return None
        if start >= at:
            return start if until is None or start < until else None
        start += len(head) + length
    return None


def _next_member(raw: BinaryIO, at: int, until: int | None) -> int | None:
    """The first boundary of a gzip WARC in [at, until)."""
    found = find_bytes(raw, _MEMBER, at, until)
    while found is not None and not _is_boundary(raw, found):
        found = find_bytes(raw, _MEMBER, found + 1, until)
    return found


def _is_boundary(raw: BinaryIO, at: int) -> bool:
    """Whether the bytes from `at` are a WARC record that fills its gzip members, followed by whole members for longer
    than deflate stores anything verbatim, or to the file's end. Damage soon after makes it none, which costs nothing:
    the range before reads on to the next."""
    raw.seek(at)
    stream = Inflated(raw, start=at)
    buffered = io.BufferedReader(stream, _BLOCK)
    if not buffered.peek(5).startswith(b"WARC/"):
        return False
    try:
        _, head = read_head(buffered)
        length = length_of(head)
        if not field(head, "warc-type") or skip(buffered, length) < length:
            return False
    except RecordError:
        return False
    blank, more = read_head(buffered)
    if more and stream.locate(len(head) + length + blank)[1]:
        return False
    while stream.file_bytes - at <= _VERBATIM + 2 * _BLOCK and buffered.read(_BLOCK):
        pass  # up to two blocks were read ahead and not inflated
    return stream.damage is None
