"""A byte stream, compressed or plain, that knows where in the file each inflated byte came from.

Archives are read through this so that every record has a position: the first byte in the file of its gzip member,
bzip2 stream or zstd frame, which a range request can fetch, and the byte inside it when inflated. Damage ends the
stream and is remembered, never raised: what came before it is good. (What a codec inflated in the call that met the
damage is lost too, at most a buffer or a block, and counts as lost.) A reader that can tell where its format goes on
has the stream `resume` there.
"""

from __future__ import annotations

import io
import re
from array import array
from bisect import bisect_right
from typing import BinaryIO

from transforms.codec import MAGIC_BYTES, Bzip2, Codec, CodecError, Gzip
from transforms.zstd import Zstd

_BLOCK = 1 << 14
"""Bytes read from the file at a time. What is left of a block is copied at each member's end, so that larger blocks
cost time where members are small."""
MAX_EXPANSION = 250
FREE_EXPANSION = 1 << 30
"""A stream may inflate to FREE_EXPANSION bytes, and MAX_EXPANSION for each byte of the file. Crawls expand 4 to 12-fold
and logs 100-fold, while gzip can 1,032-fold (zlib's technical details) and bzip2 and zstd much more."""
_MAX_REREAD = 4 << 30
"""Bytes of a file that may be read again to go on after damage: some rounds for honest files, however large, while no
file can be made whose reading takes the square of its size."""
_PROBE = 4096
"""Bytes of a member given to its codec to see how it starts; its first block header is a few hundred at most."""


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
        self.bounded = end is not None
        """Whether bytes of the file follow the stream's end."""
        self._read = start
        self._pending = self._more()
        while len(self._pending) < MAGIC_BYTES and (block := self._more()):
            self._pending += block
        self._codec = self._kind = codec_of(self._pending)
        self.compression = self._codec.name if self._codec else None
        self._since, self._since_byte, self._reread = 0, start, 0
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
        k = bisect_right(self._starts, position) - 1
        inside = position - self._starts[k]
        return (self._offsets[k], inside) if self.compression else (self._offsets[k] + inside, 0)

    def resume(self, *, after: int, opening: re.Pattern[bytes]) -> bool:
        """Once the stream has ended, well or ill: goes on at the first byte behind byte `after` of the file where a
        member starts whose content matches `opening`, or where, in a plain file, `opening` matches after a blank line.
        The next byte read is its first. False, and the stream stays at its end, where there is none, the file cannot
        seek, or too much of it was read twice already."""
        self._reread += 2 * max(self._read - after, 0) + _BLOCK
        if self._reread > _MAX_REREAD or not self.raw.seekable():
            return False
        self.raw.seek(after + 1)
        self._read = after + 1
        found = self._search(opening)
        if found is None:
            return False
        self._pending = found
        self._since, self._since_byte = self.position, self._read - len(found)
        self._starts.append(self.position)
        self._offsets.append(self._since_byte)
        self.damage, self._codec = None, self._kind
        if self._codec:
            self._codec.start()
        return True

    def _search(self, opening: re.Pattern[bytes]) -> bytes | None:
        """What was read from the place that `resume` looks for on; reading begins where the file stands."""
        before = rb"(?=" + re.escape(self._kind.magic) if self._kind else rb"\n\r?\n(?=" + opening.pattern
        places = re.compile(before + rb")")
        data, block = b"", self._more()
        while block:
            data += block
            block = self._more()
            known = len(data) - _PROBE if block else len(data)
            for place in places.finditer(data):
                if place.end() > known:
                    break
                if self._opens(data[place.end() : place.end() + _PROBE], opening):
                    return data[place.end() :] + block
            data = data[max(known - 4, 0) :]
        return None

    def _opens(self, data: bytes, opening: re.Pattern[bytes]) -> bool:
        """Whether the content of the member that `data` is the start of matches `opening`."""
        if self._kind is None:
            return True
        self._kind.start()
        try:
            return bool(opening.match(self._kind.decode(data, 64)))
        except CodecError:
            return False

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
            if self.position - self._since > FREE_EXPANSION + MAX_EXPANSION * (self._read - self._since_byte):
                return self._stop(f"the file expands more than {MAX_EXPANSION}-fold")
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
        """Starts the next member; zero bytes between members are padding, anything else is damage, and zeros before it
        too, since a member may have lain there."""
        codec, self._codec = self._codec, None
        ended = self._read - len(self._pending)
        self._pending = self._pending.lstrip(b"\0")
        while len(self._pending) < MAGIC_BYTES and (block := self._more()):
            self._pending = (self._pending + block).lstrip(b"\0")
        if not self._pending or codec is None:
            return
        good = codec.starts(self._pending)
        # also where it is no member: what is lost starts here
        self._starts.append(self.position)
        self._offsets.append(self._read - len(self._pending) if good else ended)
        if good:
            codec.start()
            self._codec = codec
        else:
            self._stop(f"bytes that are not {codec.name} after a {codec.member}")

    def _stop(self, damage: str) -> bytes:
        self.damage, self._codec = damage, None
        return b""
