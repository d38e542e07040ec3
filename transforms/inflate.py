"""A byte stream, gzip, bzip2 or plain, that knows where in the file each inflated byte came from.

Archives are read through this so that every record has a position: the first byte of its member in the file, which a
range request can fetch, and the byte inside the inflated member. A member is a gzip member or a bzip2 stream; a file
holds any number, as multistream dumps do. Damage ends the stream and is remembered, never raised: what came before
it is good. (The inflater keeps back what it inflated in the call that met the damage: at most a buffer's worth before
it is lost too, and counts as lost.)
"""

from __future__ import annotations

import bz2
import io
import zlib
from array import array
from bisect import bisect_right
from typing import BinaryIO

GZIP_MAGIC = b"\x1f\x8b"
BZIP2_MAGIC = b"BZh"
_WORDS = {GZIP_MAGIC: "gzip member", BZIP2_MAGIC: "bzip2 stream"}
_BLOCK = 1 << 16
"""Bytes read from the file at a time. zlib copies what is left of a block at each member's end, so that larger blocks
cost time where members are small."""


class Inflated(io.RawIOBase):
    """Reads `raw` to its end, inflating it member by member if it starts with the magic of gzip or bzip2."""

    def __init__(self, raw: BinaryIO) -> None:
        self._raw = raw
        self._read = 0
        self._pending = self._more()
        while len(self._pending) < len(BZIP2_MAGIC) and (block := self._more()):
            self._pending += block
        self._magic = next((magic for magic in _WORDS if self._pending.startswith(magic)), None)
        self._inflater = self._inflater_of_member()
        self._starts = array("q", [0])
        self._offsets = array("q", [0])
        self.position = 0
        """Inflated bytes handed out so far."""
        self.damage: str | None = None
        """What ended the stream early, in the inflater's words; None when it ended well."""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Fills the whole buffer unless the stream ends: small members and short reads do not show above."""
        filled = 0
        while filled < len(buffer):
            size = len(buffer) - filled
            data = self._inflate(size) if self._magic else self._plain(size)
            if not data:
                break
            buffer[filled : filled + len(data)] = data
            filled += len(data)
            self.position += len(data)
        return filled

    def locate(self, position: int) -> tuple[int, int]:
        """(byte in the file, byte inside the inflated member) of the inflated byte at `position`."""
        if not self._magic:
            return position, 0
        k = bisect_right(self._starts, position) - 1
        return self._offsets[k], position - self._starts[k]

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
                data = self._decompress(size)
            except (zlib.error, OSError) as error:  # bz2 raises OSError; the file is not read in there
                return self._stop(str(error))
            if data:
                return data
            if not self._pending and not self._inflater.eof:
                self._pending = self._more()
                if not self._pending:
                    return self._stop(f"the file ends inside a {_WORDS[self._magic or b'']}")
        return b""

    def _decompress(self, size: int) -> bytes:
        """What the inflater makes of `_pending`, which becomes what it did not take; bz2 takes all, and keeps it."""
        if isinstance(self._inflater, bz2.BZ2Decompressor):
            given, self._pending = self._pending, b""
            return self._inflater.decompress(given, size)
        assert self._inflater is not None
        data = self._inflater.decompress(self._pending, size)
        self._pending = self._inflater.unconsumed_tail
        return data

    def _inflater_of_member(self) -> zlib._Decompress | bz2.BZ2Decompressor | None:
        if self._magic == BZIP2_MAGIC:
            return bz2.BZ2Decompressor()
        return zlib.decompressobj(wbits=31) if self._magic else None

    def _open_member(self) -> None:
        """Starts the next member; zero bytes between members are padding, anything else is damage."""
        self._inflater = None
        magic = self._magic or b""
        self._pending = self._pending.lstrip(b"\0")
        while len(self._pending) < len(magic) and (block := self._more()):
            self._pending = (self._pending + block).lstrip(b"\0")
        if not self._pending:
            return
        # also where it is no member: what is lost starts here
        self._starts.append(self.position)
        self._offsets.append(self._read - len(self._pending))
        if self._pending.startswith(magic):
            self._inflater = self._inflater_of_member()
        else:
            name = _WORDS[magic]
            self._stop(f"bytes that are not {name.split()[0]} after a {name}")

    def _stop(self, damage: str) -> bytes:
        self.damage, self._inflater = damage, None
        return b""
