"""The answer of a fastText language model, computed on Arrow buffers; label and confidence are fastText's own.

The arithmetic is fastText's, operation by operation: single precision, each vector added in the order of the text, so
no sum depends on the batch or on the CPU. Work is linear in the bytes of a text; memory is the longest text once more.

Kernels here take the arrays they use one by one: a tuple of arrays handed to a function for each word costs more than
what the function does.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from transforms.language_model import BUCKETS, DIM, LONGEST, SHORTEST, Floats, Ints, KernelModel, Tables
from transforms.language_tree import best_leaf, exponential
from transforms.words import Bytes, Int, buffers_of, kernel, longest_of

Bits = npt.NDArray[np.uint64]
FNV_START, FNV_FACTOR, SIGN = np.uint32(2_166_136_261), np.uint32(16_777_619), np.uint32(0xFFFFFF00)
"""32-bit FNV-1a (Fowler, Noll, Vo), whose bytes fastText takes for signed."""
WORDS = 1024
"""Words of a text that are split off before they are looked up."""
ROOM = 64
"""Rows that are looked up before they are added."""
PER_START = LONGEST - SHORTEST + 1
"""N-grams that begin at one character, at most."""
LABEL = np.frombuffer(b"__label__", np.uint8)
"""How a word begins that fastText takes for a label, and skips."""
U0, U1, U6, U63 = np.uint64(0), np.uint64(1), np.uint64(6), np.uint64(63)
"""Unsigned positions need no check for a negative index."""


def best_labels(texts: pa.Array, model: KernelModel) -> tuple[npt.NDArray[np.int32], Floats]:
    """(number of the label, its probability) of each text, [rows] each, as `predict` of fastText with k=1 gives them
    for the text with its line breaks made spaces. A probability can exceed 1 by some 1e-5.

    Raises ValueError if a text is null or not UTF-8; TypeError on arrays other than strings.
    """
    offsets, data = buffers_of(texts)
    labels = np.empty(len(texts), np.int32)
    probabilities = np.empty(len(texts), np.float32)
    _label_documents(data, offsets, longest_of(offsets), model.tables, labels, probabilities)
    return labels, probabilities


@kernel
def _label_documents(
    data: Bytes, offsets: npt.NDArray[np.int64], longest: int, tables: Tables, labels: Ints, probabilities: Floats
) -> None:
    words = np.empty((WORDS, 3), np.int64)
    marked = np.empty(longest + 2, np.uint8)
    rows = np.empty(ROOM, np.int32)
    hidden = np.empty(DIM, np.float32)
    waiting = np.empty(len(tables.left), np.int32)
    scores = np.empty(len(tables.left), np.float32)
    end_of_line = tables.end_of_line[0]
    for document in range(len(offsets) - 1):
        text = data[offsets[document] : offsets[document + 1]]
        hidden[:] = np.float32(0)
        total = at = 0
        while at < len(text):
            split, at = _split(text, at, words)
            count = _number(text, words, split, tables.slots, tables.letters, tables.starts, end_of_line)
            total += _add_words(text, words, count, tables.vectors, tables.ngrams, tables.kept, marked, rows, hidden)
            if count < split:
                break
        scale = np.float32(1.0 / np.float64(total + 1))
        for k in range(DIM):
            hidden[k] = (hidden[k] + tables.vectors[end_of_line, k]) * scale
        label, score = best_leaf(tables, hidden, waiting, scores)
        labels[document] = label
        probabilities[document] = exponential(score)


@kernel
def _absorb(state: np.uint32, byte: np.uint8) -> np.uint32:
    wide = np.uint32(byte)
    if byte >= 0x80:
        wide |= SIGN
    return np.uint32((state ^ wide) * FNV_FACTOR)


@kernel
def _is_space(byte: Int) -> bool:
    """What separates words for fastText: space, tab to carriage return, and 0."""
    return byte <= 32 and (byte == 32 or 9 <= byte <= 13 or byte == 0)


@kernel
def _split(text: Bytes, at: Int, words: npt.NDArray[np.int64]) -> tuple[int, Int]:
    """Fills a row of `words` for each word from byte `at` on, as far as there is room: first byte, byte after the last,
    hash. Returns how many there are, and the byte to go on from."""
    count = 0
    while at < len(text) and count < len(words):
        start = at
        state = FNV_START
        while at < len(text) and not _is_space(text[at]):
            state = _absorb(state, text[at])
            at += 1
        if at > start:
            words[count, 0], words[count, 1], words[count, 2] = start, at, state
            count += 1
        at += 1
    return count, at


@kernel
def _number(
    text: Bytes, words: npt.NDArray[np.int64], count: int, slots: Ints, letters: Bytes, starts: Ints, end_of_line: Int
) -> int:
    """Puts in place of each word's hash its number in the dictionary, or -1; -2 for a label. Returns how many words
    there are before a word `</s>`: fastText takes that for the end of the text."""
    last = len(slots) - 1
    for i in range(count):
        start, end = words[i, 0], words[i, 1]
        slot = words[i, 2] & last
        while slots[slot] >= 0 and not _same(text, start, end, letters, starts[slots[slot]], starts[slots[slot] + 1]):
            slot = (slot + 1) & last
        number = slots[slot]
        if number == end_of_line:
            return i
        if number < 0 and end - start >= len(LABEL) and _same(text, start, start + len(LABEL), LABEL, 0, len(LABEL)):
            number = -2
        words[i, 2] = number
    return count


@kernel
def _same(text: Bytes, start: Int, end: Int, letters: Bytes, first: Int, after: Int) -> bool:
    """Whether [start, end) of the one are the bytes [first, after) of the other."""
    if end - start != after - first:
        return False
    for i in range(end - start):  # noqa: SIM110 - numba has no all()
        if text[start + i] != letters[first + i]:
            return False
    return True


@kernel
def _add_words(
    text: Bytes, words: npt.NDArray[np.int64], count: int, vectors: Floats, ngrams: Ints, kept: Bits, marked: Bytes,
    rows: Ints, hidden: Floats,
) -> int:
    """Adds to `hidden` the vectors of the words and of their n-grams. Returns how many vectors that is."""
    total = 0
    for i in range(count):
        start, end, number = words[i, 0], words[i, 1], words[i, 2]
        if number == -2:
            continue
        if number >= 0:
            rows[0] = number
            _add_rows(vectors, rows, 1, hidden)
            total += 1
        size = end - start + 2
        marked[0] = ord("<")
        for k in range(end - start):
            marked[k + 1] = text[start + k]
        marked[size - 1] = ord(">")
        at = 0
        while at < size:
            found, at = _kept_ngrams(marked, at, size, kept, rows)
            for k in range(found):
                rows[k] = ngrams[rows[k]]
            _add_rows(vectors, rows, found, hidden)
            total += found
    return total


@kernel
def _add_rows(vectors: Floats, rows: Ints, count: int, hidden: Floats) -> None:
    for i in range(count):
        row = rows[i]
        for k in range(DIM):
            hidden[k] += vectors[row, k]


@kernel
def _kept_ngrams(marked: Bytes, at: Int, size: Int, kept: Bits, buckets: Ints) -> tuple[Int, Int]:
    """Fills `buckets` with those of the kept n-grams from byte `at` on, in order of their first character and then of
    their length, until all are found or the room ends. Returns how many there are, and the byte to go on from."""
    first, end, count = np.uint64(at), np.uint64(size), U0
    while first < end and count <= np.uint64(ROOM - PER_START):
        state = FNV_START
        after, second = first, end
        for characters in range(1, LONGEST + 1):
            if after == end:
                break
            state = _absorb(state, marked[after])
            after += U1
            while after < end and marked[after] & np.uint8(0xC0) == np.uint8(0x80):
                state = _absorb(state, marked[after])
                after += U1
            if characters == 1:
                second = after
            if characters >= SHORTEST:
                bucket = np.uint64(state) % np.uint64(BUCKETS)
                buckets[count] = bucket  # the next one overwrites it if it is not kept: a branch would be guessed wrong
                count += (kept[bucket >> U6] >> (bucket & U63)) & U1
        first = second
    return np.int64(count), np.int64(first)
