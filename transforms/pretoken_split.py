"""The loop of `transforms.pretokens`: finds the pieces of GPT-2's split and counts the distinct ones."""

from __future__ import annotations

import numba
import numpy as np
import numpy.typing as npt

from transforms.pretoken_classes import SPACE

_APOSTROPHE = 0x27
_E, _L, _R, _V = 0x65, 0x6C, 0x72, 0x76
_ONE_LETTER = (0x73, 0x74, 0x6D, 0x64)
"""s, t, m, d: the contractions of one letter. Those of two are re, ve and ll."""
_FNV_BASIS, _FNV_PRIME = np.uint64(0xCBF29CE484222325), np.uint64(0x100000001B3)
"""FNV-1a of 64 bits (draft-eastlake-fnv-17, section 5)."""
_FIRST_SLOTS = 1 << 12


@numba.njit(cache=True)
def _character(data: npt.NDArray[np.uint8], at: int, end: int) -> tuple[int, int]:
    """The code point at `at` < `end` and the offset after it, never past `end`. Not UTF-8: some number."""
    byte = int(data[at])
    if byte < 0x80:
        return byte, at + 1
    more = 3 if byte >= 0xF0 else 2 if byte >= 0xE0 else 1
    if at + more >= end:
        more = end - at - 1
    point = byte & (0x3F >> more)
    for k in range(1, more + 1):
        point = (point << 6) | (int(data[at + k]) & 0x3F)
    return (point if point < 0x110000 else 0), at + more + 1


@numba.njit(cache=True)
def _piece_end(data: npt.NDArray[np.uint8], start: int, end: int, classes: npt.NDArray[np.uint8]) -> int:
    """Where the piece that begins at `start` stops: the pattern's alternatives, in their order."""
    point, at = _character(data, start, end)
    if point == _APOSTROPHE and at < end:
        one, two = data[at], (data[at + 1] if at + 1 < end else 0)
        if one in _ONE_LETTER:
            return at + 1
        if (one == _L and two == _L) or (two == _E and one in (_R, _V)):
            return at + 2
    kind = classes[point]
    if point == 0x20 and at < end:
        following, after = _character(data, at, end)
        if classes[following] != SPACE:
            kind, at = classes[following], after
    last = start
    while at < end:
        point, after = _character(data, at, end)
        if classes[point] != kind:
            # White space leaves its last character for the word that follows, if that is not all there is.
            return last if kind == SPACE and last > start else at
        last, at = at, after
    return end


@numba.njit(cache=True)
def _same(data: npt.NDArray[np.uint8], a: int, b: int, length: int) -> bool:
    same = 0
    while same < length and data[a + same] == data[b + same]:
        same += 1
    return same == length


@numba.njit(cache=True)
def _double(values: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    out = np.empty(2 * len(values), np.int64)
    out[: len(values)] = values
    return out


@numba.njit(cache=True)
def _rehash(hashes: npt.NDArray[np.int64], entries: int, size: int) -> npt.NDArray[np.int32]:
    slots = np.full(size, -1, np.int32)
    for entry in range(entries):
        slot = hashes[entry] & (size - 1)
        while slots[slot] >= 0:
            slot = (slot + 1) & (size - 1)
        slots[slot] = entry
    return slots


@numba.njit(cache=True)
def count_pieces(
    data: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int32], classes: npt.NDArray[np.uint8], longest: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The distinct pieces of at most `longest` bytes: where the first one starts in `data`, its bytes, how many.

    Text i is data[offsets[i]:offsets[i + 1]], UTF-8. Order: first seen first. An open-addressing table over
    FNV-1a; equal hashes are told apart by their bytes.
    """
    size, entries = _FIRST_SLOTS, 0
    slots = np.full(size, -1, np.int32)
    hashes, starts = np.empty(size // 2, np.int64), np.empty(size // 2, np.int64)
    lengths, counts = np.empty(size // 2, np.int64), np.empty(size // 2, np.int64)
    for text in range(len(offsets) - 1):
        at, end = int(offsets[text]), int(offsets[text + 1])
        while at < end:
            start, at = at, _piece_end(data, at, end, classes)
            length = at - start
            if length > longest:
                continue
            mixed = _FNV_BASIS
            for k in range(start, at):
                mixed = (mixed ^ np.uint64(data[k])) * _FNV_PRIME
            hashed = np.int64((mixed ^ (mixed >> np.uint64(32))) & np.uint64(0x7FFFFFFFFFFFFFFF))
            slot = hashed & (size - 1)
            while True:
                entry = slots[slot]
                if entry < 0:
                    slots[slot] = entries
                    hashes[entries], starts[entries] = hashed, start
                    lengths[entries], counts[entries] = length, 1
                    entries += 1
                    break
                if hashes[entry] == hashed and lengths[entry] == length and _same(data, starts[entry], start, length):
                    counts[entry] += 1
                    break
                slot = (slot + 1) & (size - 1)
            if 2 * entries >= size:
                hashes, starts, lengths, counts = _double(hashes), _double(starts), _double(lengths), _double(counts)
                size *= 2
                slots = _rehash(hashes, entries, size)
    return starts[:entries], lengths[:entries], counts[:entries]
