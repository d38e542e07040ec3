"""WARC and WET records to pages.

The records are framed here and not by a library, since the account needs what none gives: where each record ends, and
whether the file breaks inside a record's headers, which fastwarc takes for its end.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from schemas.recipes import Extract
from transforms.extraction import Question, Read, Settle, Text, Waiting, finished, here
from transforms.extractors import html_extractor
from transforms.inflate import Inflated
from transforms.outcomes import RECORD_SAMPLE, DeadLetter, Outcome, Page, RecordError, Skipped, lost_tail, parse_date
from transforms.page import HTML_TYPES, TEXT_TYPES, media_type_of, page_text, tidy
from transforms.response import Headers, Response, content_type, first, parse_response, read_headers

_TYPES = frozenset(
    {"warcinfo", "response", "resource", "request", "metadata", "revisit", "conversion", "continuation"}
)
"""ISO 28500, 5.5 WARC-Type; any other is `unknown`."""
_MAX_HEAD = 1 << 20
"""Bytes of a record's headers; real ones are below 10 KiB, but for data: addresses."""
_STEP = 1 << 18


def read_warc(
    stream: Inflated, buffered: BinaryIO, *, extract: Extract, settle: Settle = here
) -> Iterator[Outcome]:
    """One outcome a record. `response` and `conversion` (WET) records may be pages; the others are skipped
    as `record_type_…`. A record shorter than it says, or bytes that are no record, end the file as `truncated`."""
    return settle(_records(stream, buffered, extract=extract))


def text_of(question: Question) -> Text | Skipped:
    """The text of a response's body, or of a conversion, which is text already."""
    media_type = media_type_of(question.media_type, question.body)
    if media_type not in TEXT_TYPES:
        return Skipped("media_type")
    if question.kind == "conversion":
        return Text(text=tidy(question.body.decode("utf-8", "replace")), charset="utf-8", media_type=media_type)
    extractor = html_extractor(question.extract.extractor) if media_type in HTML_TYPES else None
    text, charset = page_text(
        question.body, media_type=media_type, declared=question.charset, extract=question.extract
    )
    return Text(text=text, charset=charset, media_type=media_type, extractor=extractor)


def _records(stream: Inflated, buffered: BinaryIO, *, extract: Extract) -> Iterator[Read]:
    start = 0
    while True:
        blank, head = read_head(buffered)
        start += blank
        if not head:
            break
        block = b""
        try:
            headers, length = parse_head(head)
            wanted = length <= extract.max_record_bytes
            block = buffered.read(length) if wanted else b""
            there = len(block) if wanted else skip(buffered, length)
            if there < length:
                raise RecordError("truncated", f"{there} of {length} bytes of the record are there")
        except RecordError as error:
            detail = f"{error.detail}: {stream.damage}" if stream.damage else error.detail
            yield lost_tail(stream, at=start, detail=detail, record=head + block)
            return
        yield _outcome(headers, head, block, *stream.locate(start), extract=extract) if wanted else Skipped("too_long")
        start += len(head) + length
    if stream.damage:
        yield lost_tail(stream, at=start, detail=stream.damage)


def read_head(buffered: BinaryIO) -> tuple[int, bytes]:
    """(bytes of blank lines before the record, its header lines up to and with the blank one); no bytes at the end."""
    blank = 0
    while (line := buffered.readline(_MAX_HEAD)) and not line.strip():
        blank += len(line)
    lines, size = [line], len(line)
    while line.strip() and _is_version(lines[0]) and size <= _MAX_HEAD:
        line = buffered.readline(_MAX_HEAD)
        lines.append(line)
        size += len(line)
    return blank, b"".join(lines)


def parse_head(head: bytes) -> tuple[Headers, int]:
    """(headers, Content-Length). Raises RecordError `truncated`, since without them nothing says where to go on."""
    if not _is_version(head):
        raise RecordError("truncated", f"the bytes after the last record are no record: {head[:40]!r}")
    lines = head.split(b"\n")
    if len(head) > _MAX_HEAD or len(lines) < 3 or lines[-1] or lines[-2].strip():
        raise RecordError("truncated", f"the record's headers do not end within {len(head)} bytes")
    headers = read_headers(lines[1:])
    length = first(headers, "content-length") or ""
    if not (length.isascii() and length.isdecimal() and len(length) < 19):
        raise RecordError("truncated", f"the record's Content-Length is {length!r}, not a number of bytes")
    return headers, int(length)


def _is_version(line: bytes) -> bool:
    return line.removeprefix(b"\xef\xbb\xbf").startswith(b"WARC/")


def skip(buffered: BinaryIO, length: int) -> int:
    """Reads up to `length` bytes away; how many there were."""
    skipped = 0
    while skipped < length and (data := buffered.read(min(_STEP, length - skipped))):
        skipped += len(data)
    return skipped


def _outcome(
    headers: Headers, head: bytes, block: bytes, offset: int, inner_offset: int, *, extract: Extract
) -> Read:
    length, record = len(head) + len(block), (head + block[:RECORD_SAMPLE])[:RECORD_SAMPLE]
    page = Page(
        offset=offset, inner_offset=inner_offset, text="", record_id=first(headers, "warc-record-id"),
        url=_url(headers), date=parse_date(first(headers, "warc-date")),
    )
    try:
        question = _question(headers, block, extract=extract)
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


def _question(headers: Headers, block: bytes, *, extract: Extract) -> Question | Skipped:
    kind = (first(headers, "warc-type") or "").lower()
    if kind not in ("response", "conversion"):
        return Skipped(f"record_type_{kind if kind in _TYPES else 'unknown'}")
    response = _response(kind, headers, block, extract=extract)
    if response.status != 200:
        return Skipped("http_status")
    if response.media_type not in TEXT_TYPES and (response.media_type or not response.body):
        return Skipped("media_type")
    return Question(
        kind="response" if kind == "response" else "conversion", body=response.body, extract=extract,
        media_type=response.media_type, charset=response.charset,
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
