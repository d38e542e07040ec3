"""WARC and WET records to pages. fastwarc frames the records; positions and damage come from `transforms.inflate`."""

from __future__ import annotations

import io
from collections.abc import Iterator

from fastwarc.warc import ArchiveIterator, WarcRecord, WarcRecordType

from schemas.recipes import Extract
from transforms.archive import RECORD_SAMPLE, DeadLetter, Outcome, Page, RecordError, Skipped, lost_tail, parse_date
from transforms.html import TEXT_TYPES, media_type_of, page_text, tidy
from transforms.http import Response, content_type, parse_response
from transforms.inflate import Inflated

_PAGES = WarcRecordType.response | WarcRecordType.conversion


def read_warc(stream: Inflated, buffered: io.BufferedReader, *, extract: Extract) -> Iterator[Outcome]:
    """One outcome a record. `response` and `conversion` (WET) records may be pages; the others are skipped
    as `record_type_…`. A record shorter than it says, or bytes that are no record, end the file as `truncated`."""
    last, cut = 0, False
    try:
        for record in ArchiveIterator(_Forward(buffered), parse_http=False, stream_detect=False):
            last = record.stream_pos
            outcome = _outcome(record, *stream.locate(last), extract=extract)
            cut = isinstance(outcome, DeadLetter) and outcome.reason == "truncated"
            yield outcome
    except OSError as error:
        yield lost_tail(stream, last=last, detail=stream.damage or str(error))
    else:
        if stream.damage and not cut:
            yield lost_tail(stream, last=last, detail=stream.damage)


class _Forward:
    """A stream as fastwarc wants it: it reads forward only, yet asks for `tell` and `seek`."""

    def __init__(self, stream: io.BufferedReader) -> None:
        self._stream, self._position = stream, 0

    def read(self, size: int) -> bytes:
        data = self._stream.read(size)
        self._position += len(data)
        return data

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        target = offset + (self._position if whence == io.SEEK_CUR else 0)
        if whence == io.SEEK_END or target < self._position:
            raise io.UnsupportedOperation("an archive is read forward only")
        while self._position < target and self.read(min(1 << 18, target - self._position)):
            pass
        return self._position


def _outcome(record: WarcRecord, offset: int, inner_offset: int, *, extract: Extract) -> Outcome:
    declared = _declared_length(record)
    if declared > extract.max_record_bytes:
        return Skipped("too_long")
    record.freeze()
    block = record.reader.read()
    try:
        if len(block) < declared:
            raise RecordError("truncated", f"{len(block)} of {declared} bytes of the record are there")
        if not record.record_type & _PAGES:
            return Skipped(f"record_type_{record.record_type}")
        return _page(record, block, offset, inner_offset, extract=extract)
    except RecordError as error:
        return DeadLetter(
            offset=offset, inner_offset=inner_offset, length=len(block), reason=error.reason, detail=error.detail,
            record=block[:RECORD_SAMPLE],
        )


def _page(record: WarcRecord, block: bytes, offset: int, inner_offset: int, *, extract: Extract) -> Page | Skipped:
    response = _response(record, block, extract=extract)
    if response.status != 200:
        return Skipped("http_status")
    media_type = media_type_of(response.media_type, response.body)
    if media_type not in TEXT_TYPES:
        return Skipped("media_type")
    if record.record_type == WarcRecordType.conversion:
        text, charset = tidy(response.body.decode("utf-8", "replace")), "utf-8"
    else:
        text, charset = page_text(response.body, media_type=media_type, declared=response.charset, extract=extract)
    if not text:
        return Skipped("empty_text")
    if len(text.encode()) > extract.max_text_bytes:
        return Skipped("text_too_long")
    return Page(
        offset=offset, inner_offset=inner_offset, text=text, charset=charset, media_type=media_type,
        record_id=record.record_id, url=_url(record), date=parse_date(record.headers.get("WARC-Date")),
    )


def _response(record: WarcRecord, block: bytes, *, extract: Extract) -> Response:
    """The HTTP message of a response; other records are their own body."""
    media_type, charset = content_type(record.headers.get("Content-Type"))
    if record.record_type == WarcRecordType.response and media_type in ("application/http", None):
        return parse_response(block, max_bytes=extract.max_record_bytes)
    return Response(status=200, media_type=media_type, charset=charset, body=block)


def _declared_length(record: WarcRecord) -> int:
    try:
        return max(0, int(record.headers.get("Content-Length") or 0))
    except ValueError:
        return 0


def _url(record: WarcRecord) -> str | None:
    """Old wget wraps the address in <>."""
    url = record.headers.get("WARC-Target-URI")
    return url.strip().removeprefix("<").removesuffix(">") if url else None
