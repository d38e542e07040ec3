"""A fastText language model from the bytes of its .ftz file.

Exactly the kind of model that lid.176.ftz is, and no other: supervised, hierarchical softmax, a product-quantised and
pruned input matrix, a plain output matrix, character n-grams of 2 to 4, no word n-grams. The layout is that of
fastText 0.9.2, format version 12: little-endian, no padding.
"""

from __future__ import annotations

import struct

import numpy as np

from transforms.language_tables import (
    BUCKETS,
    DIM,
    END_OF_LINE,
    LABEL_PREFIX,
    LONGEST,
    MAX_LABELS,
    MOST_COUNTED,
    SHORTEST,
    Floats,
    Ints,
    KernelModel,
    Tables,
    huffman_tree,
    word_slots,
)

_MAGIC, _VERSION = 793_712_314, 12
_CENTROIDS = 256
_ARGUMENTS = (
    "dim", "ws", "epoch", "minCount", "neg", "wordNgrams", "loss", "model", "bucket", "minn", "maxn", "lrUpdateRate",
)
_REQUIRED = {
    "dim": DIM, "wordNgrams": 1, "loss": 1, "model": 3, "bucket": BUCKETS, "minn": SHORTEST, "maxn": LONGEST,
}
"""loss 1 is hierarchical softmax, model 3 is supervised."""


def parse_model(data: bytes) -> KernelModel:
    """The model in the bytes of an .ftz file. Raises ValueError where they are damaged, or hold another kind of model;
    memory and time are bounded by the size of the data and by BUCKETS."""
    reader = _Reader(data)
    magic, version = reader.ints("header", 2)
    if magic != _MAGIC:
        raise ValueError("not a fastText model: it does not begin with fastText's magic number")
    if version != _VERSION:
        raise ValueError(f"format version {version} of fastText, not {_VERSION}")
    for name, value in zip(_ARGUMENTS, reader.ints("arguments", len(_ARGUMENTS)), strict=True):
        if value != _REQUIRED.get(name, value):
            raise ValueError(f"a model with {name} {value}; only {_REQUIRED[name]} is supported")
    reader.take("arguments", 8)  # the sampling threshold, of training only
    words, labels, counts, pruned = _dictionary(reader)
    ngrams = _pruned_ngrams(reader, pruned, first=len(words))
    vectors = _quantised(reader, rows=len(words) + pruned)
    if reader.flag("output"):
        raise ValueError("a model with a quantised output matrix; only a plain one is supported")
    nodes = _matrix(reader, rows=len(labels))[: len(labels) - 1]
    if reader.at != len(data):
        raise ValueError(f"{len(data) - reader.at} bytes after the end of the model")
    kept = np.packbits(ngrams >= 0, bitorder="little").view("<u8").astype(np.uint64)
    left, right = huffman_tree(counts)
    ends = np.cumsum([0, *map(len, words)], dtype=np.int32)
    letters = np.frombuffer(b"".join(words), np.uint8)
    line = np.array([words.index(END_OF_LINE)], np.int32)
    tables = Tables(vectors, ngrams, kept, word_slots(words), letters, ends, line, left, right, nodes)
    for table in tables:
        table.flags.writeable = False
    return KernelModel(labels=tuple(labels), tables=tables)


class _Reader:
    """Reads on from `at`, and never past the end."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def take(self, what: str, size: int) -> bytes:
        if not 0 <= size <= len(self.data) - self.at:
            raise ValueError(f"damaged: {what} at byte {self.at} needs {size} bytes, {len(self.data) - self.at} left")
        self.at += size
        return self.data[self.at - size : self.at]

    def ints(self, what: str, count: int, kind: str = "i") -> tuple[int, ...]:
        return struct.unpack(f"<{count}{kind}", self.take(what, struct.calcsize(f"<{count}{kind}")))

    def flag(self, what: str) -> bool:
        return self.ints(what, 1, "?")[0] != 0

    def expect(self, what: str, kind: str, *values: int) -> None:
        found = self.ints(what, len(values), kind)
        if found != values:
            raise ValueError(f"damaged: {what} is {found}, not {values}")

    def floats(self, what: str, *shape: int) -> Floats:
        values = np.frombuffer(self.take(what, 4 * int(np.prod(shape))), "<f4").astype(np.float32).reshape(shape)
        if not np.isfinite(values).all():
            raise ValueError(f"damaged: {what} has a number that is not finite")
        return values

    def string(self, what: str) -> bytes:
        end = self.data.find(b"\0", self.at)
        if end < 0:
            raise ValueError(f"damaged: {what} at byte {self.at} has no end")
        value = self.data[self.at : end]
        self.at = end + 1
        return value


def _dictionary(reader: _Reader) -> tuple[list[bytes], list[str], list[int], int]:
    """(words, labels, counts of the labels, number of n-grams that were kept)."""
    size, words, labels = reader.ints("dictionary", 3)
    _, pruned = reader.ints("dictionary", 2, "q")
    if size != words + labels or words < 1 or not 2 <= labels <= MAX_LABELS:
        raise ValueError(f"damaged: {size} entries of {words} words and 2 to {MAX_LABELS} labels ({labels})")
    if not 1 <= pruned <= BUCKETS:
        raise ValueError(f"a model with {pruned} pruned n-grams; only a pruned one, of 1 to {BUCKETS}, is supported")
    names: list[bytes] = []
    counts: list[int] = []
    for number in range(size):
        names.append(reader.string("a word"))
        count, kind = reader.ints("a word", 1, "q")[0], reader.ints("a word", 1, "b")[0]
        if kind != (number >= words):
            raise ValueError(f"damaged: entry {number} of the dictionary is of type {kind}")
        if number >= words:
            counts.append(count)
    if len(set(names)) != size or END_OF_LINE not in names[:words]:
        raise ValueError(f"damaged: a word twice, or no {END_OF_LINE.decode()}")
    if counts != sorted(counts, reverse=True) or counts[-1] < 0 or sum(counts) >= MOST_COUNTED:
        raise ValueError("damaged: the labels' counts do not fall")
    if any(not name.startswith(LABEL_PREFIX) for name in names[words:]):
        raise ValueError(f"damaged: a label without {LABEL_PREFIX.decode()}")
    return names[:words], [name.removeprefix(LABEL_PREFIX).decode() for name in names[words:]], counts, pruned


def _pruned_ngrams(reader: _Reader, pruned: int, *, first: int) -> Ints:
    pairs = np.frombuffer(reader.take("the n-grams", 8 * pruned), "<i4").reshape(-1, 2)
    buckets, numbers = pairs.T
    if buckets.min() < 0 or buckets.max() >= BUCKETS or len(np.unique(buckets)) != pruned:
        raise ValueError("damaged: an n-gram's bucket is twice there or out of range")
    if numbers.min() < 0 or numbers.max() >= pruned:
        raise ValueError("damaged: an n-gram's number is out of range")
    ngrams = np.full(BUCKETS, -1, np.int32)
    ngrams[buckets] = numbers + first
    return ngrams


def _quantised(reader: _Reader, *, rows: int) -> Floats:
    """[rows, DIM]: the centroids that the codes name, times the norm, as fastText multiplies them."""
    if not reader.flag("input"):
        raise ValueError("a model with a plain input matrix; only a quantised one is supported")
    normed = reader.flag("input")
    reader.expect("shape of the input matrix", "q", rows, DIM)
    size = reader.ints("codes", 1)[0]
    parts = size // rows
    codes = np.frombuffer(reader.take("codes", size), np.uint8)
    if size % rows or not 1 <= parts <= DIM or DIM % parts:
        raise ValueError(f"damaged: {size} codes for {rows} rows of {DIM}")
    width = DIM // parts
    reader.expect("quantiser", "i", DIM, parts, width, width)
    centroids = reader.floats("quantiser", parts, _CENTROIDS, width)
    vectors = centroids[np.arange(parts), codes.reshape(rows, parts)].reshape(rows, DIM)
    if normed:
        norms = np.frombuffer(reader.take("norms", rows), np.uint8)
        reader.expect("quantiser of the norms", "i", 1, 1, 1, 1)
        vectors *= reader.floats("quantiser of the norms", _CENTROIDS)[norms][:, None]
    return vectors


def _matrix(reader: _Reader, *, rows: int) -> Floats:
    reader.expect("shape of the output matrix", "q", rows, DIM)
    return reader.floats("output matrix", rows, DIM)
