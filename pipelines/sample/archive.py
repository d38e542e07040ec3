"""WARC framing and gzip members, in bytes that depend on no library version.

Everything is deflated as stored blocks: zlib and its replacements compress differently, and a record's offset is part
of its document's id, so compressed bytes would give other ids on other machines.
"""

from __future__ import annotations

import uuid
import zlib
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(2026, 10, 1, 6, 0, 0, tzinfo=UTC)
_STEP = timedelta(seconds=97)
_LARGEST_STORED = 65_535
"""Bytes in a stored block: RFC 1951, 3.2.4."""


def record_id(name: str) -> str:
    """The WARC-Record-ID of the record of this name."""
    return f"<urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, 'https://harbour.example/record/' + name)}>"


def date(position: int) -> str:
    """When the record at this position of the table was fetched, ISO 8601."""
    return (_EPOCH + position * _STEP).strftime("%Y-%m-%dT%H:%M:%SZ")


def warc_record(record_type: str, *, name: str, when: str, content_type: str, block: bytes,
                more: tuple[tuple[str, str], ...] = ()) -> bytes:
    """One WARC/1.0 record, ISO 28500. `more` are further headers, such as WARC-Target-URI."""
    headers = [
        ("WARC-Type", record_type),
        ("WARC-Record-ID", record_id(name)),
        ("WARC-Date", when),
        *more,
        ("Content-Type", content_type),
        ("Content-Length", str(len(block))),
    ]
    head = "WARC/1.0\r\n" + "".join(f"{key}: {value}\r\n" for key, value in headers) + "\r\n"
    return head.encode("utf-8") + block + b"\r\n\r\n"


def stored(data: bytes) -> bytes:
    """`data` as a deflate stream of stored blocks, not compressed."""
    blocks = [data[i : i + _LARGEST_STORED] for i in range(0, len(data), _LARGEST_STORED)] or [b""]
    out = []
    for i, block in enumerate(blocks):
        last, size = i == len(blocks) - 1, len(block)
        out.append(bytes([last]) + size.to_bytes(2, "little") + (size ^ 0xFFFF).to_bytes(2, "little") + block)
    return b"".join(out)


def gzip_member(data: bytes) -> bytes:
    """`data` as one gzip member, RFC 1952, without time or file name; 255 is `unknown` as operating system."""
    head = b"\x1f\x8b\x08\x00" + bytes(4) + b"\x00\xff"
    return head + stored(data) + zlib.crc32(data).to_bytes(4, "little") + (len(data) & 0xFFFFFFFF).to_bytes(4, "little")
