"""A file that is fetched by ranges, in windows that grow while reading goes on and shrink when it jumps."""

from __future__ import annotations

import io
from bisect import bisect_right
from collections.abc import Callable, Iterable
from typing import BinaryIO

Span = tuple[int, int]
"""Bytes [start, end) of a file."""
LEAST, MOST = 1 << 18, 8 << 20
"""Bytes of a window: the first after a jump, and the largest. An open file holds one."""
GAP = 4 << 10
"""Bytes between two spans that are fetched with them rather than asked around: between two pages a crawl writes the
request and what else it noted, some 2 KB. A page that nobody asked for is larger: a gigabyte of Common Crawl has
35,000."""


def coalesced(spans: Iterable[Span], *, gap: int = GAP, most: int = MOST) -> list[Span]:
    """Spans that cover `spans`, which are sorted: those with at most `gap` bytes between are one, as long as that is
    not larger than `most`. Each is one request, unless a single span is larger."""
    found: list[Span] = []
    for start, end in spans:
        if found and start <= found[-1][1] + gap and max(end, found[-1][1]) <= found[-1][0] + most:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((start, end))
    return found


def only(file: BinaryIO, spans: Iterable[Span]) -> None:
    """Says of an open file which bytes will be read of it, sorted: of one that is fetched by ranges, these and no
    others are then fetched when reading begins in them."""
    raw = getattr(file, "raw", None)
    if isinstance(raw, Ranges):
        raw.spans = list(spans)


class Ranges(io.RawIOBase):
    """`size` bytes, of which `fetch(start, end)` gives exactly those in [start, end), at most MOST at a time. It may
    give fewer where the file turns out to end before. `spans` are windows that do not grow."""

    def __init__(self, size: int, fetch: Callable[[int, int], bytes]) -> None:
        super().__init__()
        self._size, self._of, self._at = size, fetch, 0
        self._window, self._start, self._next = memoryview(b""), 0, LEAST
        self.spans: list[Span] = []

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        if base + offset < 0:
            raise ValueError("a position before the start of the file")
        self._at = base + offset
        return self._at

    def readinto(self, target: bytearray | memoryview) -> int:  # type: ignore[override]
        into = memoryview(target).cast("B")
        wanted = min(into.nbytes, self._size - self._at)
        if wanted <= 0:
            return 0
        if not self._start <= self._at < self._start + self._window.nbytes:
            self._fetch(wanted)
        inside = self._at - self._start
        given = min(wanted, self._window.nbytes - inside)
        into[:given] = self._window[inside : inside + given]
        self._at += given
        return given

    def _fetch(self, wanted: int) -> None:
        on = self._at == self._start + self._window.nbytes
        self._next = min(self._next * 2, MOST) if on else LEAST
        end = min(self._planned() or self._at + max(self._next, wanted), self._at + MOST, self._size)
        self._window = memoryview(b"")  # two windows are never held at a time
        self._window, self._start = memoryview(self._of(self._at, end)), self._at

    def _planned(self) -> int | None:
        """The end of the span that the next byte lies in."""
        k = bisect_right(self.spans, (self._at, self._size)) - 1
        return self.spans[k][1] if k >= 0 and self._at < self.spans[k][1] else None
