"""A file that is fetched by ranges, in windows that grow while reading goes on and shrink when it jumps."""

from __future__ import annotations

import io
from collections.abc import Callable

LEAST, MOST = 1 << 18, 8 << 20
"""Bytes of a window: the first after a jump, and the largest. An open file holds one."""


class Ranges(io.RawIOBase):
    """`size` bytes, of which `fetch(start, end)` gives exactly those in [start, end), at most MOST at a time."""

    def __init__(self, size: int, fetch: Callable[[int, int], bytes]) -> None:
        super().__init__()
        self._size, self._of, self._at = size, fetch, 0
        self._window, self._start, self._next = memoryview(b""), 0, LEAST

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
        end = min(self._at + min(max(self._next, wanted), MOST), self._size)
        self._window = memoryview(b"")  # two windows are never held at a time
        self._window, self._start = memoryview(self._of(self._at, end)), self._at
