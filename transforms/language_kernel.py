"""The answer of a fastText language model, computed on Arrow buffers.

The arithmetic is fastText's, operation by operation: single precision, each vector added in the order of the text, so
no sum depends on the batch or on the CPU. Work is linear in the bytes of a text; memory is the longest text once more.

Kernels here take the arrays they use one by one: a tuple of arrays handed to a function for each word costs more than
what the function does.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from transforms.language_tables import BUCKETS, DIM, LONGEST, SHORTEST, Floats, Ints, KernelModel, Tables
from transforms.language_tree import best_leaf, exponential
from transforms.language_words import START, absorb, number_words, split
from transforms.words import Bytes, Int, buffers_of, kernel, longest_of

Bits = npt.NDArray[np.uint64]
WORDS = 1024
"""Words of a text that are split off before they are looked up."""
ROOM = 64
"""Rows that are looked up before they are added."""
PER_START = LONGEST - SHORTEST + 1
"""N-grams that begin at one character, at most."""
U0, U1, U6, U63 = np.uint64(0), np.uint64(1), np.uint64(6), np.uint64(63)
"""Unsigned positions need no check for a negative index."""


def best_labels(texts: pa.Array, model: KernelModel) -> tuple[npt.NDArray[np.int32], Floats]:
    """(number of the label, its probability) of each text, [rows] each, as `predict` of fastText with k=1 gives them
    for the text with its line breaks made spaces, up to the rounding of an exponential (`language_tree`). A probability
    can exceed 1 by some 1e-5.

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
        total: Int = 0
        at: Int = 0
        while at < len(text):
            found, at = split(text, at, words)
            count = number_words(text, words, found, tables.slots, tables.letters, tables.starts, end_of_line)
            total += _add_words(text, words, count, tables.vectors, tables.ngrams, tables.kept, marked, rows, hidden)
            if count < found:
                break
        scale = np.float32(1.0 / np.float64(total + 1))
        for k in range(DIM):
            hidden[k] = (hidden[k] + tables.vectors[end_of_line, k]) * scale
        label, score = best_leaf(tables, hidden, waiting, scores)
        labels[document] = label
        probabilities[document] = exponential(score)


@kernel
def _add_words(
    text: Bytes, words: npt.NDArray[np.int64], count: int, vectors: Floats, ngrams: Ints, kept: Bits, marked: Bytes,
    rows: Ints, hidden: Floats,
) -> Int:
    """Adds to `hidden` the vectors of the words and of their n-grams. Returns how many vectors that is."""
    total: Int = 0
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
        at: Int = 0
        while at < size:
            found, at = _kept_ngrams(marked, at, size, kept, rows)
            for k in range(found):
                rows[k] = ngrams[rows[k]]
            _add_rows(vectors, rows, found, hidden)
            total += found
    return total


@kernel
def _add_rows(vectors: Floats, rows: Ints, count: Int, hidden: Floats) -> None:
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
        state = START
        after, second = first, end
        for characters in range(1, LONGEST + 1):
            if after == end:
                break
            state = absorb(state, marked[after])
            after += U1
            while after < end and marked[after] & np.uint8(0xC0) == np.uint8(0x80):
                state = absorb(state, marked[after])
                after += U1
            if characters == 1:
                second = after
            if characters >= SHORTEST:
                bucket = np.uint64(state) % np.uint64(BUCKETS)
                buckets[count] = bucket  # the next one overwrites it if it is not kept: a branch would be guessed wrong
                count += (kept[bucket >> U6] >> (bucket & U63)) & U1
        first = second
    return np.int64(count), np.int64(first)
