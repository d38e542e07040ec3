"""WARC, WET and ARC records to pages.

The records are framed by `transforms.warc_frames` and not by a library, since the account needs what none gives: where
each record ends, and whether the file breaks inside a record's headers, which fastwarc takes for its end.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from schemas.recipes import Extract
from transforms.extraction import Question, Read, Settle, Text, Waiting, finished, here
from transforms.extractors import html_extractor
from transforms.inflate import Inflated
from transforms.outcomes import RECORD_SAMPLE, DeadLetter, Outcome, Page, RecordError, Skipped, parse_date
from transforms.page import HTML_TYPES, TEXT_TYPES, media_type_of, read_page, tidy
from transforms.response import Headers, Response, content_type, first, parse_response
from transforms.robots import merged
from transforms.warc_frames import WARC, Frame, Grammar, frames

_TYPES = frozenset(
    {"warcinfo", "response", "resource", "request", "metadata", "revisit", "conversion", "continuation"}
)
"""ISO 28500, 5.5 WARC-Type; any other is `unknown`."""
_PAGES = frozenset({"response", "conversion"})


def read_warc(
    stream: Inflated, buffered: BinaryIO, *, extract: Extract, settle: Settle = here, at: int = 0,
    grammar: Grammar = WARC,
) -> Iterator[Outcome]:
    """One outcome a record. `response` and `conversion` (WET) records may be pages; the others are skipped
    as `record_type_…`. A record shorter than it says, or bytes that are no record, are lost as `damaged` up to the next
    record, or as `truncated` if there is none. The next byte of `stream` is its inflated byte `at`."""
    return settle(records(stream, buffered, extract=extract, at=at, grammar=grammar))


def text_of(question: Question) -> Text | Skipped:
    """The text of a response's body, or of a conversion, which is text already."""
    media_type = media_type_of(question.media_type, question.body)
    if media_type not in TEXT_TYPES:
        return Skipped("media_type")
    if question.kind == "conversion":
        return Text(text=tidy(question.body.decode("utf-8", "replace")), charset="utf-8", media_type=media_type)
    extractor = html_extractor(question.extract.extractor) if media_type in HTML_TYPES else None
    text, charset, robots = read_page(
        question.body, media_type=media_type, declared=question.charset, extract=question.extract
    )
    robots = merged(question.robots, robots)
    return Text(text=text, charset=charset, media_type=media_type, extractor=extractor, robots=robots)


def records(
    stream: Inflated, buffered: BinaryIO, *, extract: Extract, at: int = 0, grammar: Grammar = WARC
) -> Iterator[Read]:
    """As `read_warc`, before anything is settled."""
    for frame in frames(stream, buffered, max_bytes=extract.max_record_bytes, at=at, grammar=grammar):
        yield _outcome(frame, *stream.locate(frame.start), extract=extract) if isinstance(frame, Frame) else frame


def _outcome(frame: Frame, offset: int, inner_offset: int, *, extract: Extract) -> Read:
    kind = frame.kind
    if kind not in _PAGES:
        return Skipped(f"record_type_{kind if kind in _TYPES else 'unknown'}")
    headers, head, block = frame.headers, frame.head, frame.block
    length, record = len(head) + len(block), (head + block[:RECORD_SAMPLE])[:RECORD_SAMPLE]
    page = Page(
        offset=offset, inner_offset=inner_offset, text="", record_id=first(headers, "warc-record-id"),
        url=_url(headers), date=parse_date(first(headers, "warc-date")),
    )
    try:
        question = _question(kind, headers, block, extract=extract)
    except RecordError as error:
        return DeadLetter(
            offset=offset, inner_offset=inner_offset, length=length, reason=error.reason, detail=error.detail,
            record=record,
        )
    if isinstance(question, Skipped):
        return question
    waiting = Waiting(question=question, answer=text_of, page=page, length=length, record=record)
    known = question.kind == "conversion" and question.media_type  # nothing is left to guess or to parse
    return finished(waiting, text_of(question)) if known else waiting


def _question(kind: str, headers: Headers, block: bytes, *, extract: Extract) -> Question | Skipped:
    response = _response(kind, headers, block, extract=extract)
    if response.status != 200:
        return Skipped("http_status")
    if response.media_type not in TEXT_TYPES and (response.media_type or not response.body):
        return Skipped("media_type")
    return Question(
        kind="response" if kind == "response" else "conversion", body=response.body, extract=extract,
        media_type=response.media_type, charset=response.charset, robots=response.robots,
    )


def _response(kind: str, headers: Headers, block: bytes, *, extract: Extract) -> Response:
    """The HTTP message of a response; other records are their own body."""
    media_type, charset = content_type(first(headers, "content-type"))
    if kind == "response" and media_type in ("application/http", None):
        return parse_response(block, max_bytes=extract.max_record_bytes)
    return Response(status=200, media_type=media_type, charset=charset, body=block)


def _url(headers: Headers) -> str | None:
    """Old wget wraps the address in <>."""
    url = first(headers, "warc-target-uri")
    return url.removeprefix("<").removesuffix(">") if url else None
