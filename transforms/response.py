"""An HTTP response as a crawler stored it: headers parsed, transfer and content encodings undone, within bounds.

Everything here is bounded by the block's length and `max_bytes`, whatever the server or the crawler wrote.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable
from dataclasses import dataclass

import brotli

from transforms.codec import GZIP_MAGIC
from transforms.outcomes import RecordError
from transforms.robots import of_headers

Headers = dict[str, list[str]]
"""Values by lower-case name, in order."""

_STATUS = re.compile(rb"HTTP/[0-9.]{1,4}[ \t]+([0-9]{3})\b|([1-5][0-9][0-9])\b")
"""Some writers leave the protocol out of the status line; some servers answer 999."""
_BLANK_LINE = re.compile(rb"\n\r*\n")
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,16})[ \t]*(?:;[^\n]*)?\r?\n")
_LINE_END = re.compile(rb"\r?\n")
_MARKUP = re.compile(rb"\s*<(?:!doctype|!--|\?xml|html|head|body)", re.IGNORECASE)
_MAX_CODINGS = 8
_MAX_MEMBERS = 64
"""Bounds on work, far above any honest response: each member's end copies what is left of the body."""


@dataclass(frozen=True, kw_only=True)
class Response:
    """Status, `media_type` in lower case without parameters, declared `charset`, the decoded body, and what its headers
    ask of robots, see `transforms.robots`."""

    status: int
    media_type: str | None
    charset: str | None
    body: bytes
    robots: str | None = None


def parse_response(block: bytes, *, max_bytes: int) -> Response:
    """Parses a WARC response block. Raises RecordError `bad_http` when there is no status line or the chunks are
    broken, `bad_encoding` when an encoding cannot be undone or gives more than `max_bytes`."""
    status = _STATUS.match(block)
    if not status:
        raise RecordError("bad_http", f"the response starts with {block[:40]!r}, not with a status line")
    blank = _BLANK_LINE.search(block)
    head, body = (block[: blank.start()], block[blank.end() :]) if blank else (block, b"")
    headers = read_headers(head.split(b"\n")[1:])
    applied = [*headers.get("content-encoding", ()), *headers.get("transfer-encoding", ())]
    codings = [coding.strip() for coding in ",".join(applied).lower().split(",")]
    if len(codings) > _MAX_CODINGS:
        raise RecordError("bad_encoding", f"{len(codings)} encodings, one on the other")
    for coding in reversed(codings):
        body = _decode(body, coding, max_bytes=max_bytes)
    media_type, charset = content_type(first(headers, "content-type"))
    robots = of_headers(headers.get("x-robots-tag", ()), headers.get("tdm-reservation", ()))
    return Response(
        status=int(status[1] or status[2]), media_type=media_type, charset=charset, body=body, robots=robots
    )


def read_headers(lines: Iterable[bytes]) -> Headers:
    """Header lines, whatever their ends, as UTF-8; folded lines are joined, lines without a colon are none."""
    headers: Headers = {}
    values: list[str] = []
    for line in lines:
        text = line.decode("utf-8", "replace")
        name, colon, value = text.partition(":")
        if text[:1] in (" ", "\t") and values:
            values[-1] = f"{values[-1]} {text.strip()}".strip()
        elif colon:
            values = headers.setdefault(name.strip().lower(), [])
            values.append(value.strip())
    return headers


def first(headers: Headers, name: str) -> str | None:
    """The first value of a header, by its lower-case name."""
    return headers[name][0] if name in headers else None


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
            case "chunked":
                decoded = _join_chunks(body)
            case "gzip" | "x-gzip":
                decoded = _gunzip(body, max_bytes=max_bytes) if body.startswith(GZIP_MAGIC) else body
            case "deflate":
                # RFC 9110 means zlib, but servers send raw deflate too, as every browser knows
                is_zlib = len(body) > 1 and body[0] & 0x0F == 8 and (body[0] << 8 | body[1]) % 31 == 0
                decoded, _ = _inflate(body, wbits=15 if is_zlib else -15, max_bytes=max_bytes)
            case "br":
                decoded = _unbrotli(body, max_bytes=max_bytes)
            case _:
                raise RecordError("bad_encoding", f"encoding {coding!r} is not gzip, deflate or br")
    except (zlib.error, brotli.error) as error:
        if _MARKUP.match(body) or not body:
            decoded = body  # the crawler had undone it and kept the header; gzip shows by its magic
        else:
            raise RecordError("bad_encoding", f"{coding}: {error}") from error
    if len(decoded) > max_bytes:
        raise RecordError("bad_encoding", f"{coding or 'body'}: more than {max_bytes} bytes when decoded")
    return decoded


def _join_chunks(body: bytes) -> bytes:
    """A chunked body without its chunk sizes; the body itself when it does not start with one, since crawlers that
    join the chunks often keep the header that announced them. The last, empty chunk may be missing."""
    chunks: list[bytes] = []
    at = 0
    while at < len(body):
        size = _CHUNK_SIZE.match(body, at)
        if not size:
            if not at:
                return body
            raise RecordError("bad_http", f"byte {at} of the body starts no chunk: {body[at : at + 20]!r}")
        end = size.end() + int(size[1], 16)
        if end == size.end():
            break
        if end > len(body):
            raise RecordError("bad_http", f"the body ends inside the chunk at its byte {at}")
        chunks.append(body[size.end() : end])
        line_end = _LINE_END.match(body, end)
        at = line_end.end() if line_end else end
    return b"".join(chunks)


def _gunzip(body: bytes, *, max_bytes: int) -> bytes:
    """All members of a gzip body; bytes after the last are ignored, as browsers do."""
    members: list[bytes] = []
    left = max_bytes
    while body.startswith(GZIP_MAGIC) and left >= 0:
        if len(members) == _MAX_MEMBERS:
            raise zlib.error(f"more than {_MAX_MEMBERS} gzip members")
        member, body = _inflate(body, wbits=31, max_bytes=left)
        members.append(member)
        left -= len(member)
    return b"".join(members)


def _inflate(body: bytes, *, wbits: int, max_bytes: int) -> tuple[bytes, bytes]:
    """(what was compressed, the bytes after it); if it is longer, only the first `max_bytes` + 1 bytes of it."""
    inflater = zlib.decompressobj(wbits=wbits)
    decoded = inflater.decompress(body, max_bytes + 1)
    if not inflater.eof and len(decoded) <= max_bytes:
        raise zlib.error("the body ends before its compressed stream does")
    return decoded, inflater.unused_data


def _unbrotli(body: bytes, *, max_bytes: int) -> bytes:
    decoder = brotli.Decompressor()
    decoded: bytes = decoder.process(body, output_buffer_limit=max_bytes + 1)
    while not decoder.is_finished() and len(decoded) <= max_bytes:
        more = decoder.process(b"", output_buffer_limit=max_bytes + 1 - len(decoded))
        if not more:
            raise brotli.error("the body ends before its compressed stream does")
        decoded += more
    return decoded
