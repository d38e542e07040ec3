"""A byte stream, compressed or plain, that knows where in the file each inflated byte came from.

Archives are read through this so that every record has a position: the first byte in the file of its gzip member,
bzip2 stream or zstd frame, which a range request can fetch, and the byte inside it when inflated. Damage ends the
stream and is remembered, never raised: what came before it is good. (What a codec inflated in the call that met the
damage is lost too, at most a buffer or a block, and counts as lost.)
"""

from __future__ import annotations

import io
from array import array
from bisect import bisect_right
from typing import BinaryIO

from transforms.codec import MAGIC_BYTES, Bzip2, Codec, CodecError, Gzip
from transforms.zstd import Zstd

_BLOCK = 1 << 16
"""Bytes read from the file at a time. zlib copies what is left of a block at each member's end, so that larger blocks
cost time where members are small."""


def codec_of(head: bytes) -> Codec | None:
    """The codec of a file that starts with `head`; None when it is not compressed. A new one is added here."""
    codecs: tuple[Codec, ...] = (Gzip(), Bzip2(), Zstd())
    return next((codec for codec in codecs if codec.starts(head)), None)


class Inflated(io.RawIOBase):
    """Reads `raw` to its end, inflating it member by member if it starts with the magic of a codec that we know.

    With a range, bytes [start, end) are read as if they were a file; `raw` must stand at `start`. Positions are those
    in the whole file."""

    def __init__(self, raw: BinaryIO, *, start: int = 0, end: int | None = None) -> None:
        self.raw, self.start = raw, start
        self._end = end
        self._read = start
        self._pending = self._more()
        while len(self._pending) < MAGIC_BYTES and (block := self._more()):
            self._pending += block
        self._codec = codec_of(self._pending)
        self.compression = self._codec.name if self._codec else None
        self._starts = array("q", [0])
        self._offsets = array("q", [start])
        self.position = 0
        """Inflated bytes handed out so far."""
        self.damage: str | None = None
        """What ended the stream early, in the codec's words; None when it ended well."""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Fills the whole buffer unless the stream ends: small members and short reads do not show above."""
        filled = 0
        while filled < len(buffer):
            size = len(buffer) - filled
            data = self._inflate(size) if self.compression else self._plain(size)
            if not data:
                break
            buffer[filled : filled + len(data)] = data
            filled += len(data)
            self.position += len(data)
        return filled

    def locate(self, position: int) -> tuple[int, int]:
        """(byte in the file, byte inside the inflated member) of the inflated byte at `position`."""
        if not self.compression:
            return self.start + position, 0
        k = bisect_right(self._starts, position) - 1
        return self._offsets[k], position - self._starts[k]

    @property
    def file_bytes(self) -> int:
        """Where in the file reading has come to: its end, or the range's, once the stream has ended and `drain` was
        called."""
        return self._read

    def drain(self) -> None:
        """Reads what is left of the file, so that `file_bytes` is its size."""
        while self._more():
            pass

    def _more(self) -> bytes:
        block = self.raw.read(_BLOCK if self._end is None else min(_BLOCK, self._end - self._read))
        self._read += len(block)
        return block

    def _plain(self, size: int) -> bytes:
        if not self._pending:
            self._pending = self._more()
        data, self._pending = self._pending[:size], self._pending[size:]
        return data

    def _inflate(self, size: int) -> bytes:
        while self._codec is not None:
            if self._codec.eof:
                self._pending = self._codec.unused
                self._open_member()
                continue
            try:
                data = self._codec.decode(self._pending, size)
            except CodecError as error:
                return self._stop(str(error))
            self._pending = b""
            if data:
                return data
            if not self._codec.eof:
                self._pending = self._more()
                if not self._pending:
                    return self._stop(f"the file ends inside a {self._codec.member}")
        return b""

    def _open_member(self) -> None:
        """Starts the next member; zero bytes between members are padding, anything else is damage."""
        codec, self._codec = self._codec, None
        self._pending = self._pending.lstrip(b"\0")
        while len(self._pending) < MAGIC_BYTES and (block := self._more()):
            self._pending = (self._pending + block).lstrip(b"\0")
        if not self._pending or codec is None:
            return
        # also where it is no member: what is lost starts here
        self._starts.append(self.position)
        self._offsets.append(self._read - len(self._pending))
        if codec.starts(self._pending):
            codec.start()
            self._codec = codec
        else:
            self._stop(f"bytes that are not {codec.name} after a {codec.member}")

    def _stop(self, damage: str) -> bytes:
        self.damage, self._codec = damage, None
        return b""
