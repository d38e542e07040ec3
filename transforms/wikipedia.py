"""MediaWiki XML dumps (`pages-articles`) to pages, and what is lost where their XML is broken."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from schemas.recipes import Extract
from transforms.dump_head import Inside
from transforms.dump_pages import outcome_of
from transforms.dump_xml import DumpError, DumpParser, Site
from transforms.extraction import Read, Settle, here
from transforms.inflate import Inflated
from transforms.outcomes import RECORD_SAMPLE, DeadLetter, Outcome, lost_tail

_STEP = 1 << 16
_MARKS = ("<page>", "<mediawiki")
"""Where reading can go on after broken XML. In text < is always escaped, so a mark is a tag."""
_KEPT = 256
"""Bytes kept of what was read: they may hold half a mark, and hold an XML declaration whole."""
_BOMS = {b"\xff\xfe": "utf-16le", b"\xfe\xff": "utf-16be", b"<\0": "utf-16le", b"\0<": "utf-16be"}


def is_dump(head: bytes) -> bool:
    """Whether a file starts as a MediaWiki export does, or with a page of one."""
    codec = _BOMS.get(head[:2])
    text = head[:4096].decode(codec, "ignore") if codec else head[:4096].decode("utf-8", "ignore")
    return bool(re.match(r"\ufeff?\s*(?:<\?xml[^>]*>\s*)?(?:<!--.*?-->\s*)*<(?:mediawiki|page)[\s>]", text, re.DOTALL))


def read_wikipedia(
    stream: Inflated, buffered: BinaryIO, *, extract: Extract, inside: Inside | None = None, settle: Settle = here
) -> Iterator[Outcome]:
    """One outcome a page. Text is made of wikitext pages of namespace 0 that are no redirects; the others are skipped.
    The page that a file is cut off in is `truncated`. XML that is broken costs the page it is in, as `bad_xml`: reading
    goes on at the next page, or at the start of the next dump. With `inside` the stream is a range of a dump, which
    starts with a page unless it starts the file."""
    return settle(_records(stream, buffered, extract=extract, inside=inside))


def _records(
    stream: Inflated, buffered: BinaryIO, *, extract: Extract, inside: Inside | None
) -> Iterator[Read]:
    data, at = buffered.read(_STEP), 0
    site, codec = (inside.site, inside.codec) if inside else (Site(), _BOMS.get(data[:2]))
    # Pages without their dump: a stream of a multistream dump. Byte order marks and UTF-16's zeros come first.
    alone = data[:64].replace(b"\0", b"").lstrip(b"\xef\xbb\xbf\xfe\xff \t\r\n").startswith(b"<page")
    parser: DumpParser | None = DumpParser(
        site=site, origin=0, codec=codec, inside=alone, max_bytes=extract.max_record_bytes
    )
    lost, before = _Lost(), b""
    while data:
        if parser is None:
            mark = _mark(data, codec)
            if mark is None:
                keep = data[-_KEPT:]
                more = buffered.read(_STEP)
                at, data = at + len(data) - len(keep), keep + more if more else b""
                continue
            at_page, k = mark
            if not lost.is_nothing(data[: max(k, 0)], at):
                yield lost.letter(stream, end=at + k)
            site = site if at_page else Site()
            at, data = at + k, data[k:]
            parser = DumpParser(
                site=site, origin=at, codec=codec, inside=at_page, max_bytes=extract.max_record_bytes
            )
        error = _feed(parser, data)
        codec = codec or parser.encoding
        for page in parser.pages:
            yield outcome_of(page, site, codec or "utf-8", *stream.locate(page.start), extract=extract)
        parser.pages.clear()
        lost.remember(parser, data, at)
        if error:
            if 0 < (back := at - error.at) <= len(before):
                at, data = at - back, before[-back:] + data
            k = min(len(data), max(error.at - at, parser.origin + 1 - at, 0))
            lost.begins(parser, error, data[k:])
            at, data, parser = at + k, data[k:] or buffered.read(_STEP), None
        else:
            at, before, data = at + len(data), (before + data)[-_KEPT:], buffered.read(_STEP)
    if parser is None:
        yield lost.tail(stream)
        return
    unended = inside.unended if inside else alone
    closing = b"</mediawiki>" if unended and not parser.closed else b""
    if (error := _feed(parser, closing, last=True)) or stream.damage:
        place = parser.end if parser.page is None else parser.page.start
        detail = stream.damage or f"the file ends before the dump does: {error}"
        yield lost_tail(stream, at=place, detail=detail, record=lost.sample)


def _feed(parser: DumpParser, data: bytes, *, last: bool = False) -> DumpError | None:
    try:
        parser.feed(data, last=last)
    except DumpError as error:
        return error
    return None


def _mark(data: bytes, codec: str | None) -> tuple[bool, int] | None:
    """(whether it is a page, byte) of the first place where reading can go on."""
    wide = codec in _BOMS.values()
    found = [(k, mark) for mark in _MARKS if (k := data.find(mark.encode(codec or "") if wide else mark.encode())) >= 0]
    return (min(found)[1] == _MARKS[0], min(found)[0]) if found else None


@dataclass(kw_only=True)
class _Lost:
    """Bytes that gave no page: from where, why, and the first of them."""

    start: int = 0
    detail: str = ""
    sample: bytes = b""
    between: bool = False
    """Whether they come after a dump's end."""

    def remember(self, parser: DumpParser, data: bytes, at: int) -> None:
        """Keeps the first bytes of the page that is open after `data`, which starts at byte `at`."""
        if parser.page is None:
            self.sample = b""
        elif parser.page.start >= at:
            self.sample = data[parser.page.start - at :][:RECORD_SAMPLE]
        else:
            self.sample += data[: RECORD_SAMPLE - len(self.sample)]

    def begins(self, parser: DumpParser, error: DumpError, rest: bytes) -> None:
        self.detail = f"byte {error.at} of the XML: {error}"
        self.between = parser.closed
        if parser.page is not None:
            self.start = parser.page.start
        else:
            self.start, self.sample = max(error.at, parser.end), rest[:RECORD_SAMPLE]

    def is_nothing(self, skipped: bytes, at: int) -> bool:
        """Whether only white space and an XML declaration lie between one dump and the next."""
        return self.between and self.start >= at and bool(re.fullmatch(rb"\s*(?:<\?xml[^>]*>)?\s*", skipped))

    def letter(self, stream: Inflated, *, end: int) -> DeadLetter:
        """Up to inflated byte `end`. Its length is in bytes of the file, from the start of the stream that the loss
        begins in; where both ends lie in one stream, in bytes of what that holds."""
        offset, inner_offset = stream.locate(self.start)
        until, _ = stream.locate(end)
        length = until - offset if until > offset else end - self.start
        return DeadLetter(
            offset=offset, inner_offset=inner_offset, length=length, reason="bad_xml", detail=self.detail,
            record=self.sample,
        )

    def tail(self, stream: Inflated) -> DeadLetter:
        """Up to the end of the file or range: where that broke, nothing behind the break could be looked at."""
        if not stream.damage:
            return self.letter(stream, end=stream.position)
        return lost_tail(stream, at=self.start, detail=f"{self.detail}; {stream.damage}", record=self.sample)
