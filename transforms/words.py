"""What the text kernels share: Arrow buffers, UTF-8, hashing, white-space words.

A kernel sees one document as `text`, its UTF-8 bytes; positions are byte positions in it. Arrow has checked the
encoding (`buffers_of`), so kernels trust it. Integer arithmetic is all they do, so every CPU gives the same result.

numba keys its cache on the file of the function it compiles, not on the files of the functions that one calls:
after an edit here, delete the `__pycache__` folders of `transforms`, or the kernels elsewhere keep the old code.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from numba import njit

from transforms.characters import PUNCT, SPACE, Characters

Bytes = npt.NDArray[np.uint8]
Int = int | np.int64
"""An integer inside a kernel, where all are int64."""
Function = TypeVar("Function", bound=Callable[..., Any])

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
"""2**64 divided by the golden ratio, the odd multiplier of Fibonacci hashing (Knuth, TAOCP volume 3, section 6.4)."""
FINISH_1, FINISH_2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
"""Multipliers of the finaliser of SplitMix64, variant 13 of David Stafford's "Better Bit Mixing"."""
EMPTY = np.uint64(0)
"""An unused slot of a hash set."""


def kernel(function: Function) -> Function:
    """Compiles with numba on first use, caches on disk, releases the GIL; no fastmath. Keeps the type for mypy."""
    return cast(Function, njit(cache=True, nogil=True)(function))


def buffers_of(array: pa.Array) -> tuple[npt.NDArray[np.int64], Bytes]:
    """Offsets [rows + 1] and data of a string or binary array; row i is `data[offsets[i] : offsets[i + 1]]`.

    The data is Arrow's own memory, not a copy. Raises TypeError on an array of any other type, and ValueError if a
    row is null or a string is not UTF-8.
    """
    if pa.types.is_string(array.type) or pa.types.is_binary(array.type):
        width: type[np.signedinteger[Any]] = np.int32
    elif pa.types.is_large_string(array.type) or pa.types.is_large_binary(array.type):
        width = np.int64
    else:
        raise TypeError(f"expected strings or binary, got {array.type}")
    if array.null_count:
        raise ValueError(f"{array.null_count} of {len(array)} rows are null; drop them first")
    array.validate(full=True)
    _, offsets_buffer, data_buffer = array.buffers()
    data = np.frombuffer(data_buffer or b"", np.uint8)
    if not len(array):
        return np.zeros(1, np.int64), data
    offsets = np.frombuffer(offsets_buffer, width, len(array) + 1, array.offset * np.dtype(width).itemsize)
    return offsets.astype(np.int64), data


def longest_of(offsets: npt.NDArray[np.int64]) -> int:
    """The bytes of the longest row, 0 without rows."""
    return int(np.diff(offsets).max(initial=0))


@kernel
def decode(text: Bytes, at: Int) -> tuple[Int, int]:
    """The code point that starts at byte `at`, and how many bytes it has."""
    first = np.int64(text[at])
    if first < 0x80:
        return first, 1
    second = np.int64(text[at + 1]) & 0x3F
    if first < 0xE0:
        return (first & 0x1F) << 6 | second, 2
    third = np.int64(text[at + 2]) & 0x3F
    if first < 0xF0:
        return (first & 0x0F) << 12 | second << 6 | third, 3
    return (first & 0x07) << 18 | second << 12 | third << 6 | np.int64(text[at + 3]) & 0x3F, 4


@kernel
def count_characters(text: Bytes, start: Int, end: Int) -> int:
    """Code points in [start, end): the bytes that do not continue one."""
    count = 0
    for byte in text[start:end]:
        count += (byte & 0xC0) != 0x80
    return count


@kernel
def entry_of(table: Characters, code_point: Int) -> Int:
    """Where the table's `classes` and `lower` keep a code point."""
    return np.int64(table.pages[code_point >> 8]) << 8 | code_point & 0xFF


@kernel
def absorb(state: np.uint64, value: np.uint64) -> np.uint64:
    """The hash state after one more 64-bit value."""
    state = (state ^ value) * GOLDEN
    return state ^ (state >> np.uint64(32))


@kernel
def finish(state: np.uint64) -> np.uint64:
    """The hash of what the state absorbed: every bit of it depends on every bit of the state."""
    state = (state ^ (state >> np.uint64(30))) * FINISH_1
    state = (state ^ (state >> np.uint64(27))) * FINISH_2
    return state ^ (state >> np.uint64(31))


@kernel
def little_endian(text: Bytes, start: Int, size: Int) -> np.uint64:
    """The number whose little-endian bytes are the `size` <= 8 bytes at `start`."""
    value = np.uint64(0)
    for i in range(size):
        value |= np.uint64(text[start + i]) << np.uint64(8 * i)
    return value


@kernel
def hash_bytes(text: Bytes, start: Int, end: Int) -> np.uint64:
    """64-bit hash of the bytes [start, end): the length, then the bytes eight at a time."""
    state = absorb(GOLDEN, np.uint64(end - start))
    at = start
    while at + 8 <= end:
        state = absorb(state, little_endian(text, at, 8))
        at += 8
    if at < end:
        state = absorb(state, little_endian(text, at, end - at))
    return finish(state)


@kernel
def clear(seen: npt.NDArray[np.uint64], members: int) -> int:
    """Empties the hash set `seen` for up to `members` hashes. Returns the slots in use: a power of two, half free."""
    slots = 4
    while slots < 2 * members:
        slots *= 2
    seen[:slots] = EMPTY
    return slots


@kernel
def add(seen: npt.NDArray[np.uint64], slots: int, key: np.uint64) -> bool:
    """Adds a hash to the set; True if it was not there. Hash 0, the mark of a free slot, is taken for hash 1."""
    if key == EMPTY:
        key = np.uint64(1)
    last = np.uint64(slots - 1)
    slot = key & last
    while seen[slot] != EMPTY:
        if seen[slot] == key:
            return False
        slot = (slot + np.uint64(1)) & last
    seen[slot] = key
    return True


class Words(NamedTuple):
    """The white-space words of a document, an entry each, in the first entries of arrays that are reused."""

    starts: npt.NDArray[np.int64]
    """First byte."""
    ends: npt.NDArray[np.int64]
    """Byte after the last."""
    characters: npt.NDArray[np.int64]
    """Code points."""
    hashes: npt.NDArray[np.uint64]
    """`hash_bytes` of the word; equal hashes are taken for equal words."""
    classes: npt.NDArray[np.uint8]
    """The classes of all its characters together, and PLAIN."""


PLAIN = 128
"""Class of a word with a character that is neither punctuation nor symbol."""


@kernel
def split_words(text: Bytes, table: Characters, words: Words) -> int:
    """Fills `words` with what `str.split()` gives. Returns how many words there are."""
    count = 0
    at = 0
    while at < len(text):
        code_point, size = decode(text, at)
        classes = np.int64(table.classes[entry_of(table, code_point)])
        start = at
        characters = 0
        together: Int = 0
        while not classes & SPACE:
            together |= classes if classes & PUNCT else classes | PLAIN
            characters += 1
            at += size
            if at == len(text):
                break
            code_point, size = decode(text, at)
            classes = np.int64(table.classes[entry_of(table, code_point)])
        if characters:
            words.starts[count] = start
            words.ends[count] = at
            words.characters[count] = characters
            words.hashes[count] = hash_bytes(text, start, at)
            words.classes[count] = together
            count += 1
        if at < len(text):
            at += size
    return count
