"""The answer of a fastText language model, computed on Arrow buffers; label and confidence are fastText's own.

The arithmetic is fastText's, operation by operation: single precision, each vector added in the order of the text,
so no sum depends on what a cache held or which CPU adds.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from transforms.language_model import BUCKETS, DIM, LONGEST, SHORTEST, Floats, Ints, KernelModel, Tables
from transforms.language_tree import best_leaf, exponential
from transforms.words import Bytes, Int, buffers_of, kernel, longest_of

FNV_START, FNV_FACTOR, SIGN = np.uint32(2_166_136_261), np.uint32(16_777_619), np.uint32(0xFFFFFF00)
"""32-bit FNV-1a, whose bytes fastText takes for signed."""
SLOTS = 1 << 14
"""Words that the cache can hold, each in the slot that its hash names."""
KEY_BYTES, KEY_ROWS = 24, 64
"""A longer word, or one of more rows, is not kept."""


class Cache(NamedTuple):
    """The rows of words seen in this call, compared byte by byte; 4.6 MB."""

    sizes: npt.NDArray[np.uint8]
    """[SLOTS]: bytes of the word, 0 for a free slot."""
    words: npt.NDArray[np.uint8]
    """[SLOTS, KEY_BYTES]."""
    counts: npt.NDArray[np.uint8]
    """[SLOTS]: rows of the word."""
    rows: Ints
    """[SLOTS, KEY_ROWS]: rows of `Tables.vectors`."""


def best_labels(texts: pa.Array, model: KernelModel) -> tuple[npt.NDArray[np.int32], Floats]:
    """(number of the label, its probability) of each text, [rows] each, as `predict` of fastText with k=1 gives them
    for the text with its line breaks made spaces. A probability can exceed 1 by some 1e-5.

    Raises ValueError if a text is null or not UTF-8; TypeError on arrays other than strings.
    """
    offsets, data = buffers_of(texts)
    cache = Cache(
        np.zeros(SLOTS, np.uint8), np.empty((SLOTS, KEY_BYTES), np.uint8), np.empty(SLOTS, np.uint8),
        np.empty((SLOTS, KEY_ROWS), np.int32),
    )
    labels = np.empty(len(texts), np.int32)
    probabilities = np.empty(len(texts), np.float32)
    _label_documents(data, offsets, longest_of(offsets), model.tables, cache, labels, probabilities)
    return labels, probabilities


@kernel
def _label_documents(
    data: Bytes, offsets: npt.NDArray[np.int64], longest: int, tables: Tables, cache: Cache, labels: Ints,
    probabilities: Floats,
) -> None:
    marked = np.empty(longest + 2, np.uint8)
    rows = np.empty(KEY_ROWS, np.int32)
    hidden = np.empty(DIM, np.float32)
    stack = np.empty(len(tables.left), np.int32)
    scores = np.empty(len(tables.left), np.float32)
    for document in range(len(offsets) - 1):
        text = data[offsets[document] : offsets[document + 1]]
        _average(text, tables, cache, marked, rows, hidden)
        label, score = best_leaf(tables, hidden, stack, scores)
        labels[document] = label
        probabilities[document] = exponential(score)


@kernel
def _is_space(byte: Int) -> bool:
    """What separates words for fastText: space, tab to carriage return, and 0."""
    return byte <= 32 and (byte == 32 or 9 <= byte <= 13 or byte == 0)


@kernel
def _absorb(state: np.uint32, byte: np.uint8) -> np.uint32:
    wide = np.uint32(byte)
    if byte >= 0x80:
        wide |= SIGN
    return np.uint32((state ^ wide) * FNV_FACTOR)


@kernel
def _average(text: Bytes, tables: Tables, cache: Cache, marked: Bytes, rows: Ints, hidden: Floats) -> None:
    """Fills `hidden` with the mean of the vectors of the text's words and n-grams, and of the end of the line. The word
    `</s>` in a text is that end: fastText reads no further."""
    end_of_line = np.int64(tables.end_of_line[0])
    hidden[:] = np.float32(0)
    count = 0
    at = 0
    while at < len(text):
        start = at
        state = FNV_START
        while at < len(text) and not _is_space(text[at]):
            state = _absorb(state, text[at])
            at += 1
        if at > start:
            word = text[start:at]
            if _same(word, tables.letters, tables.starts[end_of_line], tables.starts[end_of_line + 1]):
                break
            count += _add_word(word, state, tables, cache, marked, rows, hidden)
        at += 1
    rows[0] = end_of_line
    _add_rows(tables.vectors, rows, 1, hidden)
    scale = np.float32(1.0 / np.float64(count + 1))
    for k in range(DIM):
        hidden[k] *= scale


@kernel
def _same(word: Bytes, letters: Bytes, start: Int, end: Int) -> bool:
    if len(word) != end - start:
        return False
    for i in range(len(word)):  # noqa: SIM110 - numba has no all()
        if word[i] != letters[start + i]:
            return False
    return True


@kernel
def _add_rows(vectors: Floats, rows: Ints, count: int, hidden: Floats) -> None:
    for i in range(count):
        row = rows[i]
        for k in range(DIM):
            hidden[k] += vectors[row, k]


@kernel
def _add_word(
    word: Bytes, state: np.uint32, tables: Tables, cache: Cache, marked: Bytes, rows: Ints, hidden: Floats
) -> int:
    """Adds the vectors of a word whose hash is `state`. Returns how many there are."""
    slot = np.int64(state ^ (state >> np.uint32(16))) & (SLOTS - 1)
    if cache.sizes[slot] == len(word) and _same(word, cache.words[slot], 0, len(word)):
        count = np.int64(cache.counts[slot])
        _add_rows(tables.vectors, cache.rows[slot], count, hidden)
        return count
    total, whole = _add_unseen(word, state, tables, marked, rows, hidden)
    if whole and len(word) <= KEY_BYTES:
        cache.sizes[slot] = len(word)
        cache.words[slot, : len(word)] = word
        cache.counts[slot] = total
        cache.rows[slot, :total] = rows[:total]
    return total


@kernel
def _add_unseen(
    word: Bytes, state: np.uint32, tables: Tables, marked: Bytes, rows: Ints, hidden: Floats
) -> tuple[int, bool]:
    """As `_add_word`, without the cache. Also tells whether `rows` begins with all of the word's rows."""
    number = _number_of(word, state, tables)
    count = 0
    if number >= 0:
        rows[0] = number
        count = 1
    elif _is_label(word):
        return 0, True
    size = len(word) + 2
    marked[0] = ord("<")
    marked[1 : size - 1] = word
    marked[size - 1] = ord(">")
    total = 0
    at = 0
    while at < size:
        if count > KEY_ROWS - LONGEST:
            _add_rows(tables.vectors, rows, count, hidden)
            total += count
            count = 0
        count = _ngrams_from(marked, at, size, tables.ngrams, rows, count)
        at += _width(marked[at])
    _add_rows(tables.vectors, rows, count, hidden)
    return total + count, total == 0


@kernel
def _number_of(word: Bytes, state: np.uint32, tables: Tables) -> Int:
    """The word's number in the dictionary, or -1."""
    last = len(tables.slots) - 1
    slot = np.int64(state) & last
    while tables.slots[slot] >= 0:
        number = np.int64(tables.slots[slot])
        if _same(word, tables.letters, tables.starts[number], tables.starts[number + 1]):
            return number
        slot = (slot + 1) & last
    return -1


@kernel
def _is_label(word: Bytes) -> bool:
    """Whether fastText takes a word of the text for a label, which it skips: LABEL_PREFIX."""
    return (
        len(word) >= 9 and word[0] == word[1] == word[7] == word[8] == ord("_") and word[2] == word[6] == ord("l")
        and word[3] == ord("a") and word[4] == ord("b") and word[5] == ord("e")
    )


@kernel
def _width(first: Int) -> int:
    """Bytes of the character that begins with this byte."""
    return 1 if first < 0x80 else 2 if first < 0xE0 else 3 if first < 0xF0 else 4


@kernel
def _ngrams_from(marked: Bytes, at: Int, size: Int, ngrams: Ints, rows: Ints, count: int) -> int:
    """Appends the rows of the n-grams that begin at a character, the shortest first. Returns the new count."""
    state = FNV_START
    for characters in range(1, LONGEST + 1):
        if at == size:
            break
        for _ in range(_width(marked[at])):
            state = _absorb(state, marked[at])
            at += 1
        if characters >= SHORTEST:
            row = ngrams[np.int64(state) % BUCKETS]
            if row >= 0:
                rows[count] = row
                count += 1
    return count
