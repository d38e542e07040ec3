"""Words as fastText splits and numbers them, and its hash."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from transforms.language_tables import FNV_FACTOR, FNV_START, LABEL_PREFIX, Ints
from transforms.words import Bytes, Int, kernel

START, FACTOR, SIGN = np.uint32(FNV_START), np.uint32(FNV_FACTOR), np.uint32(0xFFFFFF00)
"""As `language_tables.word_hash` has them."""
LABEL = np.frombuffer(LABEL_PREFIX, np.uint8)
"""How a word begins that fastText takes for a label, and skips."""


@kernel
def absorb(state: np.uint32, byte: np.uint8) -> np.uint32:
    wide = np.uint32(byte)
    if byte >= 0x80:
        wide |= SIGN
    return np.uint32((state ^ wide) * FACTOR)


@kernel
def is_space(byte: Int) -> bool:
    """What separates words: space, tab to carriage return, and 0."""
    return bool(byte == 32 or 9 <= byte <= 13 or byte == 0)


@kernel
def split(text: Bytes, at: Int, words: npt.NDArray[np.int64]) -> tuple[int, Int]:
    """Fills a row of `words` for each word from byte `at` on, as far as there is room: first byte, byte after the last,
    hash. Returns how many there are, and the byte to go on from."""
    count = 0
    while at < len(text) and count < len(words):
        start = at
        state = START
        while at < len(text) and not is_space(text[at]):
            state = absorb(state, text[at])
            at += 1
        if at > start:
            words[count, 0], words[count, 1], words[count, 2] = start, at, state
            count += 1
        at += 1
    return count, at


@kernel
def number_words(
    text: Bytes, words: npt.NDArray[np.int64], count: int, slots: Ints, letters: Bytes, starts: Ints, end_of_line: Int
) -> int:
    """Puts in place of each word's hash its number in the dictionary, or -1; -2 for a label. Returns how many words
    there are before a word `</s>`: fastText takes that for the end of the text."""
    last = len(slots) - 1
    for i in range(count):
        start, end = words[i, 0], words[i, 1]
        slot = words[i, 2] & last
        while slots[slot] >= 0 and not same(text, start, end, letters, starts[slots[slot]], starts[slots[slot] + 1]):
            slot = (slot + 1) & last
        number = slots[slot]
        if number == end_of_line:
            return i
        if number < 0 and end - start >= len(LABEL) and same(text, start, start + len(LABEL), LABEL, 0, len(LABEL)):
            number = -2
        words[i, 2] = number
    return count


@kernel
def same(text: Bytes, start: Int, end: Int, letters: Bytes, first: Int, after: Int) -> bool:
    """Whether [start, end) of the one are the bytes [first, after) of the other."""
    if end - start != after - first:
        return False
    for i in range(end - start):  # noqa: SIM110 - numba has no all()
        if text[start + i] != letters[first + i]:
            return False
    return True
