"""Search in a file too large to hold."""

from __future__ import annotations

from typing import BinaryIO

_BLOCK = 1 << 16


def find_bytes(raw: BinaryIO, needle: bytes, at: int, until: int | None) -> int | None:
    """The first place in [at, until) where `needle` starts."""
    raw.seek(at)
    data = b""
    while (until is None or at < until) and (block := raw.read(_BLOCK)):
        data += block
        found = data.find(needle)
        if found >= 0:
            return at + found if until is None or at + found < until else None
        keep = len(needle) - 1
        at += max(len(data) - keep, 0)
        data = data[-keep:] if keep else b""
    return None
