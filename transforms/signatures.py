"""MinHash signatures of texts and the band hashes that bring near-duplicates together.

Two signatures agree in about as many places as the share of word n-grams, or shingles, that two texts have in common:
their Jaccard similarity. The permutations are datasketch's, so its tools read these signatures.
"""

from __future__ import annotations

import functools

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from datasketch import MinHash

from transforms.characters import ALPHA, DIGIT, MARK, SOLO, Characters, characters
from transforms.words import GOLDEN, Bytes, absorb, buffers_of, decode, entry_of, finish, kernel, longest_of

SCHEME = "affine32"
"""datasketch 2.0's default: mix the 32-bit shingle hash h once, then each permutation is a * h + b modulo 2**32."""
MIX_1, MIX_2 = np.uint32(0x85EBCA6B), np.uint32(0xC2B2AE35)
"""Multipliers of that mix, the 32-bit finaliser of MurmurHash3."""
SEPARATE, JOINING, ALONE = 0, 1, 2
"""Where the word splitter is: outside a word, in one, after a letter that is a word by itself."""


def sign(texts: pa.StringArray | pa.LargeStringArray, *, ngram: int, permutations: int, seed: int) -> pa.BinaryArray:
    """The MinHash signature of each text: `permutations` little-endian uint32; null for a text without a word.

    A word is an unbroken run of letters (L*) and numbers (N*), folded to lower case by `transforms.characters`; a
    mark (M*) belongs to the word before it, if it follows one directly; everything else separates. A SOLO letter is a
    word of its own, with the marks that follow it. A shingle is `ngram` consecutive words; a shorter text has one
    shingle, all its words. Text is not normalised: a composed and a decomposed accent make different words.

    Raises ValueError if ngram or permutations is below 1, if seed is outside [0, 2**32), or if a text is null or not
    UTF-8; TypeError on other arrays.
    """
    if ngram < 1 or permutations < 1:
        raise ValueError(f"ngram and permutations must be at least 1, got {ngram} and {permutations}")
    multipliers, addends = _permutations(permutations, seed)
    offsets, data = buffers_of(texts)
    signatures = np.empty((len(texts), permutations), np.uint32)
    signed = np.zeros(len(texts), np.bool_)
    _sign_documents(data, offsets, longest_of(offsets), characters(), ngram, multipliers, addends, signatures, signed)
    return _to_arrow(signatures, signed)


def bands(signatures: pa.BinaryArray, *, bands: int, rows: int) -> npt.NDArray[np.uint64]:
    """[documents, bands]: the hash of each band's number and its `rows` consecutive values of the signature.

    Two documents are candidates if any column agrees. Raises ValueError on null signatures, which have no bands (drop
    them first), and unless every signature is 4 * bands * rows bytes wide.
    """
    if bands < 1 or rows < 1:
        raise ValueError(f"bands and rows must be at least 1, got {bands} and {rows}")
    offsets, data = buffers_of(signatures)
    width = 4 * bands * rows
    wrong = np.flatnonzero(np.diff(offsets) != width)
    if len(wrong):
        i = int(wrong[0])
        raise ValueError(
            f"signature {i} has {offsets[i + 1] - offsets[i]} bytes, but {bands} bands of {rows} rows need {width}"
        )
    values = np.ascontiguousarray(data[offsets[0] : offsets[-1]]).view("<u4").astype(np.uint32)
    hashes = np.empty((len(signatures), bands), np.uint64)
    _hash_bands(values.reshape(-1, bands, rows), hashes)
    return hashes


@functools.cache
def _permutations(permutations: int, seed: int) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint32]]:
    """Multipliers and addends, [permutations] each."""
    both = np.asarray(MinHash(num_perm=permutations, seed=seed, scheme=SCHEME).permutations, np.uint32)
    both.flags.writeable = False
    return both[0], both[1]


def _to_arrow(signatures: npt.NDArray[np.uint32], signed: npt.NDArray[np.bool_]) -> pa.BinaryArray:
    """Rows of a matrix as binary values, null where not `signed`."""
    width = 4 * signatures.shape[1]
    offsets = np.zeros(len(signed) + 1, np.int64)
    np.cumsum(signed * np.int64(width), out=offsets[1:])
    if offsets[-1] > np.iinfo(np.int32).max:
        raise ValueError(f"{len(signed)} signatures of {width} bytes exceed an Arrow array: use smaller batches")
    data = signatures[signed].astype("<u4", copy=False).tobytes()
    validity = None if signed.all() else pa.py_buffer(np.packbits(signed, bitorder="little").tobytes())
    buffers = [validity, pa.py_buffer(offsets.astype(np.int32).tobytes()), pa.py_buffer(data)]
    return pa.Array.from_buffers(pa.binary(), len(signed), buffers)


@kernel
def _sign_documents(
    data: Bytes,
    offsets: npt.NDArray[np.int64],
    longest: int,
    table: Characters,
    ngram: int,
    multipliers: npt.NDArray[np.uint32],
    addends: npt.NDArray[np.uint32],
    signatures: npt.NDArray[np.uint32],
    signed: npt.NDArray[np.bool_],
) -> None:
    """Fills a row of `signatures` and an entry of `signed` for each document, the longest of `longest` bytes."""
    word_hashes = np.empty(longest, np.uint64)
    for i in range(len(offsets) - 1):
        words = _hash_words(data[offsets[i] : offsets[i + 1]], table, word_hashes)
        signed[i] = words > 0
        signatures[i] = np.uint32(0xFFFFFFFF)
        size = min(ngram, words)
        for first in range(words - size + 1 if words else 0):
            mixed = _mix(_hash_shingle(word_hashes, first, size))
            _lower_minima(mixed, multipliers, addends, signatures[i])


@kernel
def _hash_words(text: Bytes, table: Characters, word_hashes: npt.NDArray[np.uint64]) -> int:
    """Fills `word_hashes` with the hash of each word's folded code points. Returns how many words there are."""
    count = 0
    place = SEPARATE
    state = GOLDEN
    at = 0
    while at < len(text):
        code_point, size = decode(text, at)
        entry = entry_of(table, code_point)
        classes = table.classes[entry]
        at += size
        continues = place == JOINING and classes & (ALPHA | DIGIT) and not classes & SOLO
        if not continues and not (place != SEPARATE and classes & MARK):
            if place != SEPARATE:
                word_hashes[count] = finish(state)
                count += 1
            if not classes & (ALPHA | DIGIT):
                place = SEPARATE
                continue
            place = ALONE if classes & SOLO else JOINING
            state = GOLDEN
        state = absorb(state, np.uint64(code_point + table.lower[entry]))
    if place != SEPARATE:
        word_hashes[count] = finish(state)
        count += 1
    return count


@kernel
def _hash_shingle(word_hashes: npt.NDArray[np.uint64], first: int, size: int) -> np.uint32:
    """32-bit hash of `size` words: the upper half of a 64-bit hash of their hashes, in order."""
    state = GOLDEN
    for i in range(first, first + size):
        state = absorb(state, word_hashes[i])
    return np.uint32(finish(state) >> np.uint64(32))


@kernel
def _mix(value: np.uint32) -> np.uint32:
    """The mix that datasketch applies to a hash before it permutes it."""
    value = np.uint32(value ^ (value >> np.uint32(16)))
    value = np.uint32(value * MIX_1)
    value = np.uint32(value ^ (value >> np.uint32(13)))
    value = np.uint32(value * MIX_2)
    return np.uint32(value ^ (value >> np.uint32(16)))


@kernel
def _lower_minima(
    value: np.uint32,
    multipliers: npt.NDArray[np.uint32],
    addends: npt.NDArray[np.uint32],
    minima: npt.NDArray[np.uint32],
) -> None:
    """Takes one shingle's permuted hashes into the minima."""
    for i in range(len(minima)):
        minima[i] = min(minima[i], np.uint32(value * multipliers[i] + addends[i]))


@kernel
def _hash_bands(values: npt.NDArray[np.uint32], hashes: npt.NDArray[np.uint64]) -> None:
    """values [documents, bands, rows] to hashes [documents, bands]."""
    documents, bands, rows = values.shape
    for i in range(documents):
        for band in range(bands):
            state = absorb(GOLDEN, np.uint64(band))
            for row in range(rows):
                state = absorb(state, np.uint64(values[i, band, row]))
            hashes[i, band] = finish(state)
