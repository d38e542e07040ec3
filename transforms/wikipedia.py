"""MediaWiki XML dumps (`pages-articles`) to pages: the articles' wikitext as readable text.

A disambiguation page is an article like any other: nothing in the XML tells it apart, and its short list is for a
recipe's rules to judge.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO
from urllib.parse import quote, urlsplit

from schemas.recipes import Extract
from transforms.dump_head import Inside
from transforms.dump_xml import DumpError, DumpParser, RawPage, Site
from transforms.extraction import Question, Read, Settle, Text, Waiting, here
from transforms.extractors import named
from transforms.inflate import Inflated
from transforms.outcomes import RECORD_SAMPLE, DeadLetter, Outcome, Page, Skipped, lost_tail, parse_date
from transforms.wikitext import readable

_STEP = 1 << 16
_MEDIA_TYPE = "text/x-wiki"
_MARKS = ("<page>", "<mediawiki")
"""Where reading can go on after broken XML. In text < is always escaped, so a mark is a tag."""
_KEPT = 256
"""Bytes kept of what was read: they may hold half a mark, and hold an XML declaration whole."""
_BOMS = {b"\xff\xfe": "utf-16le", b"\xfe\xff": "utf-16be", b"<\0": "utf-16le", b"\0<": "utf-16be"}
_REDIRECT = re.compile(r"\s*#redirect\b", re.IGNORECASE)
"""The magic word on every wiki. Schemas before 0.4 have no redirect element."""
_CANONICAL = {
    "media": -2, "special": -1, "talk": 1, "user": 2, "user talk": 3, "project": 4, "project talk": 5, "file": 6,
    "image": 6, "file talk": 7, "mediawiki": 8, "mediawiki talk": 9, "template": 10, "template talk": 11, "help": 12,
    "help talk": 13, "category": 14, "category talk": 15, "portal": 100, "module": 828,
}
"""Names every wiki understands beside its own: MediaWiki, Manual:Namespace."""


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


def text_of(question: Question) -> Text:
    """The readable text of a page's wikitext."""
    source = question.body.decode("utf-8", "surrogatepass")
    text = readable(source, namespaces=question.namespaces)
    return Text(text=text, charset=question.charset or "", media_type=_MEDIA_TYPE, extractor=named("mwparserfromhell"))


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
            yield _outcome(page, site, codec or "utf-8", *stream.locate(page.start), extract=extract)
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


def _outcome(
    page: RawPage, site: Site, charset: str, offset: int, inner_offset: int, *, extract: Extract
) -> Waiting | Skipped:
    fields = page.fields
    if page.length > extract.max_record_bytes:
        return Skipped("too_long")
    if _namespace(fields, site) != 0:
        return Skipped("wiki_namespace")
    source = fields.get("text", "")
    if page.redirect or _REDIRECT.match(source):
        return Skipped("wiki_redirect")
    if fields.get("model", "wikitext") != "wikitext":
        return Skipped("wiki_model")
    body = source.encode("utf-8", "surrogatepass")
    known = Page(
        offset=offset, inner_offset=inner_offset, text="",
        record_id="/".join(filter(None, (fields.get("page_id"), fields.get("revision_id")))) or None,
        url=page_url(site.base, fields.get("title", "")), date=parse_date(fields.get("timestamp")),
    )
    question = Question(
        kind="wikitext", body=body, extract=extract, charset=charset, media_type=_MEDIA_TYPE,
        namespaces=dict(site.namespaces),  # siteinfo may come again
    )
    return Waiting(
        question=question, answer=text_of, page=known, length=page.length, record=body[:RECORD_SAMPLE]
    )


def _namespace(fields: dict[str, str], site: Site) -> int:
    """The page's ns; before schema 0.6 there is none, and the title's prefix tells."""
    if "namespace" in fields:
        return 0 if fields["namespace"].strip() == "0" else 1
    prefix, colon, _ = fields.get("title", "").partition(":")
    prefix = prefix.replace("_", " ").lower()
    return site.namespaces.get(prefix, _CANONICAL.get(prefix, 0)) if colon else 0


def page_url(base: str, title: str) -> str | None:
    """The page's address: the main page's, which siteinfo gives, with this title in its place. None without a title, or
    if that address is no http address of a host."""
    try:
        parts = urlsplit(base)
        good = parts.scheme in ("http", "https") and parts.hostname and re.fullmatch(r"[A-Za-z0-9.:-]+", parts.netloc)
    except ValueError:
        return None
    if not good or not title or not re.fullmatch(r"[!-~]+", base):
        return None
    cut = base.rfind("=") if parts.query else max(base.rfind("/"), 0)
    if "/wiki/" in parts.path:
        cut = base.index("/wiki/", len(parts.scheme) + 3) + len("/wiki")
    if cut <= len(parts.scheme) + 2:
        return None
    return base[: cut + 1] + quote(title.replace(" ", "_"), safe=";@$!*(),/~:")
