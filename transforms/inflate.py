"""A byte stream, gzip or plain, that knows where in the file each inflated byte came from.

Archives are read through this so that every record has a position: the gzip member's first byte in the file, which a
range request can fetch, and the byte inside the inflated member. Damage ends the stream and is remembered, never raised:
what came before it is good.
"""

from __future__ import annotations

import io
import zlib
from array import array
from bisect import bisect_right
from typing import BinaryIO

GZIP_MAGIC = b"\x1f\x8b"
_BLOCK = 1 << 18


class Inflated(io.RawIOBase):
    """Reads `raw` to its end, inflating it member by member if it starts with the gzip magic."""

    def __init__(self, raw: BinaryIO) -> None:
        self._raw = raw
        self._pending = raw.read(_BLOCK)
        self._read = len(self._pending)
        self._gzip = self._pending.startswith(GZIP_MAGIC)
        self._inflater = zlib.decompressobj(wbits=31) if self._gzip else None
        self._starts = array("q", [0])
        self._offsets = array("q", [0])
        self.position = 0
        """Inflated bytes handed out so far."""
        self.damage: str | None = None
        """What ended the stream early, in zlib's words; None when it ended well."""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        data = self._inflate(len(buffer)) if self._gzip else self._plain(len(buffer))
        buffer[: len(data)] = data
        self.position += len(data)
        return len(data)

    def locate(self, position: int) -> tuple[int, int]:
        """(byte in the file, byte inside the inflated member) of the inflated byte at `position`."""
        if not self._gzip:
            return position, 0
        k = bisect_right(self._starts, position) - 1
        return self._offsets[k], position - self._starts[k]

    def next_member(self, offset: int) -> int:
        """Where in the file the first member after `offset` starts; `offset` itself if there is none."""
        k = bisect_right(self._offsets, offset)
        return self._offsets[k] if k < len(self._offsets) else offset

    @property
    def file_bytes(self) -> int:
        """Bytes read from the file so far: its size, once the stream has ended and `drain` was called."""
        return self._read

    def drain(self) -> None:
        """Reads what is left of the file, so that `file_bytes` is its size."""
        while block := self._raw.read(_BLOCK):
            self._read += len(block)

    def _more(self) -> bytes:
        block = self._raw.read(_BLOCK)
        self._read += len(block)
        return block

    def _plain(self, size: int) -> bytes:
        if not self._pending:
            self._pending = self._more()
        data, self._pending = self._pending[:size], self._pending[size:]
        return data

    def _inflate(self, size: int) -> bytes:
        while self._inflater is not None:
            if self._inflater.eof:
                self._pending = self._inflater.unused_data
                self._open_member()
                continue
            try:
                data = self._inflater.decompress(self._pending, size)
            except zlib.error as error:
                return self._stop(str(error))
            self._pending = self._inflater.unconsumed_tail
            if data:
                return data
            if not self._pending and not self._inflater.eof:
                self._pending = self._more()
                if not self._pending:
                    return self._stop("the file ends inside a gzip member")
        return b""

    def _open_member(self) -> None:
        """Starts the next member; zero bytes between members are padding, anything else is damage."""
        while True:
            self._pending = self._pending.lstrip(b"\0")
            if len(self._pending) >= len(GZIP_MAGIC):
                break
            block = self._more()
            if not block:
                if self._pending:
                    self._stop("bytes after the last gzip member")
                self._inflater = None
                return
            self._pending += block
        if not self._pending.startswith(GZIP_MAGIC):
            self._stop("bytes that are not gzip after a gzip member")
            return
        self._starts.append(self.position)
        self._offsets.append(self._read - len(self._pending))
        self._inflater = zlib.decompressobj(wbits=31)

    def _stop(self, damage: str) -> bytes:
        self.damage, self._inflater = damage, None
        return b""
