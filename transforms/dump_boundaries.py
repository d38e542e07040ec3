"""Where in a MediaWiki dump reading can start: `transforms.ranges` says what each boundary is."""

from __future__ import annotations

import io
import re
from typing import BinaryIO

from transforms.find_bytes import find_bytes
from transforms.inflate import Inflated

_BLOCK = 1 << 16
_PAGE = b"<page>"
_STREAM = b"1AY&SY"
"""What starts a block of bzip2, the first of them after the stream's `BZh` and a digit: bzip2's decompress.c."""
_STREAM_END = 0x177245385090
"""The 48 bits after a bzip2 stream's last block. A checksum of 32 bits and zeros up to the whole byte follow."""


def next_page(raw: BinaryIO, at: int, until: int | None) -> int | None:
    """The first <page> in [at, until) of uncompressed XML that is not inside another."""
    found = find_bytes(raw, _PAGE, at, until)
    while found is not None:
        raw.seek(max(found - 64, 0))
        if re.search(rb"</(?:page|siteinfo)>\s*\Z", raw.read(found - max(found - 64, 0))):
            return found
        found = find_bytes(raw, _PAGE, found + 1, until)
    return None


def next_stream(raw: BinaryIO, at: int, until: int | None) -> int | None:
    """The first start of a bzip2 stream in [at, until) that begins with a page. Another's end must come right before,
    so that bytes that merely look like a start inside a block are none."""
    found = find_bytes(raw, _STREAM, at + 4, None if until is None else until + 4)
    while found is not None:
        raw.seek(max(found - 15, 0))
        before = raw.read(found - max(found - 15, 0))
        if re.search(rb"BZh[1-9]\Z", before) and _ends_stream(before[:-4]) and _starts_page(raw, found - 4):
            return found - 4
        found = find_bytes(raw, _STREAM, found + 1, None if until is None else until + 4)
    return None


def _ends_stream(tail: bytes) -> bool:
    bits = int.from_bytes(tail, "big")
    return any(bits >> 32 + k & (1 << 48) - 1 == _STREAM_END and not bits & (1 << k) - 1 for k in range(8))


def _starts_page(raw: BinaryIO, at: int) -> bool:
    raw.seek(at)
    return bool(re.match(rb"\s{0,8}<page>", io.BufferedReader(Inflated(raw, start=at), _BLOCK).peek(64)))
