"""The tables of a fastText language model, read from the bytes of its .ftz file.

Exactly the kind of model that lid.176.ftz is, and no other: supervised, hierarchical softmax, a product-quantised and
pruned input matrix, a plain output matrix, character n-grams of 2 to 4, no word n-grams. The layout is that of
fastText 0.9.2, format version 12: little-endian, no padding.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int32]

DIM = 16
"""Components of a vector in lid.176."""
SHORTEST, LONGEST = 2, 4
"""Characters of the n-grams of lid.176."""
BUCKETS = 2_000_000
"""What lid.176 divides the hash of an n-gram by."""
MAX_LABELS = 256
"""No more labels than the margin of `transforms.language_kernel` allows for."""
END_OF_LINE = b"</s>"
"""The word that fastText puts for a line break."""
LABEL_PREFIX = b"__label__"
_MAGIC, _VERSION = 793_712_314, 12
_CENTROIDS = 256
_MOST = 10**15
"""fastText's count of a node that is not yet there: real counts together stay below it."""
_ARGUMENTS = (
    "dim", "ws", "epoch", "minCount", "neg", "wordNgrams", "loss", "model", "bucket", "minn", "maxn", "lrUpdateRate",
)
_REQUIRED = {
    "dim": DIM, "wordNgrams": 1, "loss": 1, "model": 3, "bucket": BUCKETS, "minn": SHORTEST, "maxn": LONGEST,
}
"""loss 1 is hierarchical softmax, model 3 is supervised."""
_FNV_START, _FNV_FACTOR = 2_166_136_261, 16_777_619
"""32-bit FNV-1a (Fowler, Noll, Vo)."""


class Tables(NamedTuple):
    """What the kernel reads. No array can be written to."""

    vectors: Floats
    """[words + n-grams, DIM]: the words first."""
    ngrams: Ints
    """[BUCKETS]: row in `vectors` of the n-grams with this hash modulo BUCKETS, -1 where pruned."""
    kept: npt.NDArray[np.uint64]
    """[BUCKETS / 64]: bit b % 64 of number b // 64 is set where n-grams of bucket b are kept. Most are not, and these
    250 kB stay in a CPU's cache where `ngrams` does not."""
    slots: Ints
    """[power of two]: open hash table by `word_hash`: a word's number, -1 where free."""
    letters: npt.NDArray[np.uint8]
    """The words' bytes, one after the other."""
    starts: Ints
    """[words + 1]: word i is `letters[starts[i] : starts[i + 1]]` and row i of `vectors`."""
    end_of_line: Ints
    """[1]: the number of the word END_OF_LINE."""
    left: Ints
    """[2 * labels - 1]: a node's left child in the Huffman tree, -1 for a leaf. Leaf i is label i, the root is last."""
    right: Ints
    nodes: Floats
    """[labels - 1, DIM]: the vectors of the inner nodes, in order."""


class KernelModel(NamedTuple):
    """A model for `transforms.language_kernel`."""

    labels: tuple[str, ...]
    tables: Tables


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
    eol = np.array([words.index(END_OF_LINE)], np.int32)
    letters = np.frombuffer(b"".join(words), np.uint8)
    tables = Tables(vectors, ngrams, kept, _slots(words), letters, ends, eol, left, right, np.ascontiguousarray(nodes))
    for table in tables:
        table.flags.writeable = False
    return KernelModel(tuple(labels), tables)


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
    if counts != sorted(counts, reverse=True) or counts[-1] < 0 or sum(counts) >= _MOST:
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


def huffman_tree(counts: list[int]) -> tuple[Ints, Ints]:
    """(left, right) children, [2 * len(counts) - 1] each, of fastText's tree over counts that fall: each new node joins
    the two smallest that are free, a leaf only if it is strictly smaller."""
    leaves = len(counts)
    children = np.full((2, 2 * leaves - 1), -1, np.int32)
    counts = counts + [_MOST] * (leaves - 1)
    leaf, inner = leaves - 1, leaves
    for node in range(leaves, 2 * leaves - 1):
        total = 0
        for side in range(2):
            if leaf >= 0 and counts[leaf] < counts[inner]:
                child, leaf = leaf, leaf - 1
            else:
                child, inner = inner, inner + 1
            children[side, node] = child
            total += counts[child]
        counts[node] = total
    return children[0].copy(), children[1].copy()


def word_hash(word: bytes) -> int:
    """FNV-1a as fastText computes it: a byte is a signed char and spreads its sign, so letters beyond ASCII do not
    hash as in the standard."""
    value = _FNV_START
    for byte in word:
        value = (value ^ (byte | 0xFFFFFF00 if byte >= 0x80 else byte)) * _FNV_FACTOR & 0xFFFFFFFF
    return value


def _slots(words: list[bytes]) -> Ints:
    size = 1 << (2 * len(words)).bit_length()
    slots = np.full(size, -1, np.int32)
    for number, word in enumerate(words):
        slot = word_hash(word) & (size - 1)
        while slots[slot] >= 0:
            slot = (slot + 1) & (size - 1)
        slots[slot] = number
    return slots
