"""An HTTP response as a crawler stored it: headers parsed, transfer and content encodings undone, within bounds."""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass

import brotli
from fastwarc.warc import HeaderMap, WarcRecord, WarcRecordType

from transforms.archive import RecordError
from transforms.inflate import GZIP_MAGIC

_STATUS = re.compile(rb"(?:HTTP/[0-9.]{1,4} +)?([1-5][0-9][0-9])\b")
"""Some writers leave the protocol out of the status line."""
_CHUNK = re.compile(rb"[0-9A-Fa-f]+ *[;\r\n]")
"""The start of a chunked body. Crawlers that join the chunks often keep the header that announced them; likewise gzip."""


@dataclass(frozen=True, kw_only=True)
class Response:
    """Status, `media_type` in lower case without parameters, declared `charset`, and the decoded body."""

    status: int
    media_type: str | None
    charset: str | None
    body: bytes


def parse_response(block: bytes, *, max_bytes: int) -> Response:
    """Parses a WARC response block. Raises RecordError `bad_http` when there is no status line or the chunks are
    broken, `bad_encoding` when the content encoding cannot be undone or gives more than `max_bytes`."""
    status = _STATUS.match(block)
    if not status:
        raise RecordError("bad_http", f"the response starts with {block[:40]!r}, not with a status line")
    headers, body = _split(block, max_bytes=max_bytes)
    for coding in reversed((headers.get("Content-Encoding") or "").lower().split(",")):
        body = _decode(body, coding.strip(), max_bytes=max_bytes)
    media_type, charset = content_type(headers.get("Content-Type"))
    return Response(status=int(status[1]), media_type=media_type, charset=charset, body=body)


def _split(block: bytes, *, max_bytes: int) -> tuple[HeaderMap, bytes]:
    """(headers, body with its chunks joined)."""
    try:
        return _read(block, "transfer", max_bytes=max_bytes)
    except OSError as error:
        headers, body = _read(block, "none", max_bytes=max_bytes)
        if _CHUNK.match(body):
            raise RecordError("bad_http", str(error)) from error
        return headers, body


def _read(block: bytes, decode: str, *, max_bytes: int) -> tuple[HeaderMap, bytes]:
    record = WarcRecord()
    record.init_headers(WarcRecordType.response)
    record.is_http = True
    record.set_bytes_content(block)
    record.parse_http(auto_decode=decode, quirks_mode=True)
    return record.http_headers, record.reader.read(max_bytes + 1)


def content_type(header: str | None) -> tuple[str | None, str | None]:
    """(`text/html`, `utf-8`) of `Text/HTML; charset="UTF-8"`; None for what is not said."""
    kind, _, parameters = (header or "").partition(";")
    charset = None
    for parameter in parameters.split(";"):
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "charset":
            charset = value.strip().strip("\"'").lower() or None
    return kind.strip().lower() or None, charset


def _decode(body: bytes, coding: str, *, max_bytes: int) -> bytes:
    try:
        match coding:
            case "" | "identity" | "none":
                decoded = body
            case "gzip" | "x-gzip" if not body.startswith(GZIP_MAGIC):
                decoded = body
            case "gzip" | "x-gzip":
                decoded = _inflate(body, wbits=31, max_bytes=max_bytes)
            case "deflate":
                # RFC 9110 means zlib, but servers send raw deflate too, as every browser knows
                is_zlib = len(body) > 1 and body[0] & 0x0F == 8 and (body[0] << 8 | body[1]) % 31 == 0
                decoded = _inflate(body, wbits=15 if is_zlib else -15, max_bytes=max_bytes)
            case "br":
                decoded = _unbrotli(body, max_bytes=max_bytes)
            case _:
                raise RecordError("bad_encoding", f"content encoding {coding!r} is not gzip, deflate or br")
    except (zlib.error, brotli.error) as error:
        raise RecordError("bad_encoding", f"{coding}: {error}") from error
    if len(decoded) > max_bytes:
        raise RecordError("bad_encoding", f"{coding or 'body'}: more than {max_bytes} bytes when decoded")
    return decoded


def _inflate(body: bytes, *, wbits: int, max_bytes: int) -> bytes:
    inflater = zlib.decompressobj(wbits=wbits)
    decoded = inflater.decompress(body, max_bytes + 1)
    if not inflater.eof and len(decoded) <= max_bytes:
        raise zlib.error("the body ends before its compressed stream does")
    return decoded


def _unbrotli(body: bytes, *, max_bytes: int) -> bytes:
    decoder = brotli.Decompressor()
    decoded = decoder.process(body, output_buffer_limit=max_bytes + 1)
    while not decoder.is_finished() and len(decoded) <= max_bytes:
        more = decoder.process(b"", output_buffer_limit=max_bytes + 1 - len(decoded))
        if not more:
            raise brotli.error("the body ends before its compressed stream does")
        decoded += more
    return decoded
