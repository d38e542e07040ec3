"""A crawl's bytes to records, of WARC and of ARC: where each starts and ends, and where to go on after a broken one.

Where a record breaks, reading goes on at the next place that looks like the start of one: a line `WARC/1.0` after a
blank line or, where the file's compression broke or a record claims more bytes than there are, the next gzip member or
zstd frame that begins so. What lies between is one dead letter, `damaged`; up to the file's end it is `truncated`. Its
length is in bytes of the file, from the start of the member that the loss begins in; where both ends lie in one
member, in bytes of what that holds.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import BinaryIO

from transforms.inflate import Inflated
from transforms.outcomes import RECORD_SAMPLE, DeadLetter, RecordError, Skipped, lost_tail
from transforms.response import Headers, first, read_headers

_MAX_HEAD = 1 << 20
"""Bytes of a record's headers; real ones are below 10 KiB, but for data: addresses."""
_STEP = 1 << 18
_PLAIN = {
    name: re.compile(rb"\n" + name.encode() + rb":[ \t]*([!-~]*)[ \t]*\r?\n(?![ \t])", re.IGNORECASE)
    for name in ("content-length", "warc-type")
}
"""A header as nearly all are written. Nothing more is parsed of records that are skipped, half of a crawl's."""
_OPENING = re.compile(rb"(?:\xef\xbb\xbf)?WARC/[01]\.[0-9]{1,2}[ \t]*\r?\n")
"""ISO 28500, 4: `WARC/1.0`, `WARC/1.1`; older files have 0.17 and 0.18."""
MAX_DAMAGED = 10_000
"""Places in one file after which reading goes on: a file of nothing but damage is not a million dead letters."""


@dataclass(frozen=True, kw_only=True)
class Grammar:
    """How a format writes what stands before a record: a line, or several and a blank one. `opening` matches where one
    may start; `length_of` gives the record's bytes or raises RecordError; `kind_of` its WARC-Type in lower case."""

    opening: re.Pattern[bytes]
    one_line: bool
    max_head: int
    length_of: Callable[[bytes], int]
    kind_of: Callable[[bytes], str]
    headers_of: Callable[[bytes], Headers]


def _is_version(line: bytes) -> bool:
    return line.removeprefix(b"\xef\xbb\xbf").startswith(b"WARC/")


def field(head: bytes, name: str) -> str | None:
    """The first value of a header of _PLAIN, as `read_headers` reads it, and mostly without all the others."""
    found = _PLAIN[name].search(head)
    if found and head.lower().count(name.encode()) == 1:
        return found[1].decode()
    return first(read_headers(head.split(b"\n")[1:]), name)


def length_of(head: bytes) -> int:
    """The Content-Length. Raises RecordError `truncated`, since without it nothing says where to go on."""
    if not _is_version(head):
        raise RecordError("truncated", f"the bytes after the last record are no record: {head[:40]!r}")
    lines = head.rsplit(b"\n", 2)
    if len(head) > _MAX_HEAD or len(lines) < 3 or lines[2] or lines[1].strip():
        raise RecordError("truncated", f"the record's headers do not end within {len(head)} bytes")
    length = field(head, "content-length") or ""
    if not (length.isascii() and length.isdecimal() and len(length) < 19):
        raise RecordError("truncated", f"the record's Content-Length is {length!r}, not a number of bytes")
    return int(length)


def _kind_of(head: bytes) -> str:
    return (field(head, "warc-type") or "").lower()


def _headers_of(head: bytes) -> Headers:
    return read_headers(head.split(b"\n")[1:])


WARC = Grammar(
    opening=_OPENING, one_line=False, max_head=_MAX_HEAD, length_of=length_of, kind_of=_kind_of, headers_of=_headers_of
)


@dataclass(frozen=True, kw_only=True)
class Frame:
    """A whole record. `start` is its first byte in the inflated stream; `head` its header lines with the blank one."""

    start: int
    head: bytes
    block: bytes
    grammar: Grammar

    @property
    def kind(self) -> str:
        return self.grammar.kind_of(self.head)

    @cached_property
    def headers(self) -> Headers:
        return self.grammar.headers_of(self.head)


def frames(
    stream: Inflated, buffered: BinaryIO, *, max_bytes: int, at: int = 0, grammar: Grammar = WARC
) -> Iterator[Frame | Skipped | DeadLetter]:
    """Every record of the stream, whose next byte is at `at`; those with more than `max_bytes` are skipped unread."""
    start, line, damaged = at, b"", 0
    while True:
        blank, head = read_head(buffered, line, grammar=grammar)
        start += blank
        block = b""
        try:
            if not head:
                if not stream.damage:
                    return
                raise RecordError("truncated", "")
            length = grammar.length_of(head)
            wanted = length <= max_bytes
            block = buffered.read(length) if wanted else b""
            there = len(block) if wanted else skip(buffered, length)
            if there < length:
                raise RecordError("truncated", f"{there} of {length} bytes of the record are there")
        except RecordError as error:
            detail = ": ".join(filter(None, (error.detail, stream.damage)))
            damaged += 1
            place = stream.locate(start)
            found = (
                _go_on(stream, buffered, start=start, head=head, grammar=grammar) if damaged <= MAX_DAMAGED else None
            )
            if found is None:
                yield lost_tail(stream, at=start, detail=detail, record=head + block)
                return
            until, inside = stream.locate(found[0])
            yield DeadLetter(
                offset=place[0], inner_offset=place[1], length=found[0] - start if inside else until - place[0],
                reason="damaged", detail=detail, record=(head + block)[:RECORD_SAMPLE],
            )
            start, line = found
            continue
        yield Frame(start=start, head=head, block=block, grammar=grammar) if wanted else Skipped("too_long")
        start, line = start + len(head) + length, b""


def read_head(buffered: BinaryIO, line: bytes = b"", *, grammar: Grammar = WARC) -> tuple[int, bytes]:
    """(bytes of blank lines before the record, its header lines up to and with the blank one); no bytes at the end.
    `line` is the first, where it was read already."""
    blank, most = 0, grammar.max_head
    while not line and (line := buffered.readline(most)) and not line.strip():
        blank, line = blank + len(line), b""
    lines, size = [line], len(line)
    if not grammar.one_line and _is_version(line):
        while line != b"\r\n" and line.strip() and size <= _MAX_HEAD:
            line = buffered.readline(_MAX_HEAD)
            lines.append(line)
            size += len(line)
    return blank, b"".join(lines)


def skip(buffered: BinaryIO, length: int) -> int:
    """Reads up to `length` bytes away; how many there were."""
    skipped = 0
    while skipped < length and (data := buffered.read(min(_STEP, length - skipped))):
        skipped += len(data)
    return skipped


def _go_on(
    stream: Inflated, buffered: BinaryIO, *, start: int, head: bytes, grammar: Grammar
) -> tuple[int, bytes] | None:
    """(where the next record starts, its first line if that was read already), or None. What comes after `head`, the
    first bytes of the broken record, is looked through; at the stream's end the file is, from the broken record on."""
    position, lines = start + len(head), head.split(b"\n")
    after_blank = len(lines) > 1 and not lines[-2].strip()
    while line := buffered.readline(_MAX_HEAD):
        if (after_blank or grammar.one_line) and grammar.opening.match(line):
            return position, line
        position += len(line)
        after_blank = not line.strip()
    if stream.resume(after=stream.locate(start)[0], opening=grammar.opening):
        return stream.position, b""
    return None
