"""The lines that C4 would keep, and the sentences in them.

C4 is Raffel et al. 2020, arXiv 1910.10683, section 2.2; where its paper gives no number, ours is of the code that made
it, TensorFlow Datasets' `c4_utils.py`. Lines are those between line breaks that hold a word. Citations such as [12] are
taken out before anything is looked at. Letters of ASCII are compared without regard to case.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from transforms.characters import Characters
from transforms.words import Bytes, Int, Words, kernel, split_words

LONGEST_WORD = 1000
"""Code points: a line with a longer word goes. `c4_utils.py`."""
LEAST_WORDS = 5
"""Words of a line that stays. `c4_utils.py`; datatrove and so FineWeb have 3."""
LEAST_WORDS_FINEWEB = 3
"""datatrove's `C4QualityFilter`, whose default FineWeb took."""

PHRASES: tuple[tuple[str, int, int], ...] = (
    ("javascript", 2, 1),
    ("lorem ipsum", 7, 2),
    ("terms of use", 7, 4),
    ("privacy policy", 3, 4),
    ("cookie policy", 3, 4),
    ("uses cookies", 8, 4),
    ("use of cookies", 10, 4),
    ("use cookies", 7, 4),
)
"""Phrase, the place in it of a letter that is rare in English and so is looked for first, and what it tells."""
JAVASCRIPT, LOREM_IPSUM, POLICY = 1, 2, 4
CITATIONS = ("edit", "citation needed")
"""In square brackets, as any number of digits is."""

# What `count_c4_lines` writes.
JAVASCRIPT_LINES, LOREM_IPSUM_LINES, POLICY_LINES, KEPT_LINES, SENTENCES, FINEWEB_SENTENCES = 0, 1, 2, 3, 4, 5
C4_COUNTERS = 6


class Phrases(NamedTuple):
    """PHRASES and CITATIONS as arrays."""

    letters: npt.NDArray[np.uint8]
    """[phrases, longest]: lower case, zeros after the end."""
    lengths: npt.NDArray[np.int64]
    rare: npt.NDArray[np.int64]
    tells: npt.NDArray[np.int64]
    is_rare: npt.NDArray[np.bool_]
    """[256]: whether a byte is the rare letter of any."""
    citations: npt.NDArray[np.uint8]
    """[citations, longest]"""
    citation_lengths: npt.NDArray[np.int64]


@functools.cache
def phrases() -> Phrases:
    """The tables, made once a process."""
    is_rare = np.zeros(256, np.bool_)
    for phrase, rare, _ in PHRASES:
        is_rare[[ord(phrase[rare]), ord(phrase[rare].upper())]] = True
    texts, rares, tells = zip(*PHRASES, strict=True)
    letters, lengths = _rows(texts)
    citations, citation_lengths = _rows(tuple(c + "]" for c in CITATIONS))
    return Phrases(letters, lengths, np.array(rares), np.array(tells), is_rare, citations, citation_lengths)


def _rows(texts: tuple[str, ...]) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    lengths = np.array([len(t) for t in texts], np.int64)
    letters = b"".join(t.encode().ljust(int(lengths.max()), b"\0") for t in texts)
    return np.frombuffer(letters, np.uint8).reshape(len(texts), -1), lengths


@kernel
def count_c4_lines(
    text: Bytes,
    table: Characters,
    looked_for: Phrases,
    words: Words,
    found: int,
    scratch: Bytes,
    counters: npt.NDArray[np.int64],
) -> None:
    """Fills C4_COUNTERS counters. `words` holds the words of the text, and other words after; `scratch` has room for
    the text."""
    size = _without_citations(text, looked_for, scratch)
    if size < len(text):
        text = scratch[:size]
        found = split_words(text, table, words)
    first = 0
    while first < found:
        last = first
        while last + 1 < found and not _breaks(text, words.ends[last], words.starts[last + 1]):
            last += 1
        _count_line(text, looked_for, words, first, last, counters)
        first = last + 1


@kernel
def _breaks(text: Bytes, start: Int, end: Int) -> bool:
    """Whether a line break is among the bytes."""
    found = False  # The stretch is nearly always one space.
    for byte in text[start:end]:
        found |= byte == 0x0A
    return found


@kernel
def _count_line(
    text: Bytes, looked_for: Phrases, words: Words, first: int, last: int, counters: npt.NDArray[np.int64]
) -> None:
    """Counts a line by its first and its last word."""
    end = words.ends[last]
    told = _phrases_in(text, words.starts[first], end, looked_for)
    counters[JAVASCRIPT_LINES] += (told & JAVASCRIPT) != 0
    counters[LOREM_IPSUM_LINES] += (told & LOREM_IPSUM) != 0
    counters[POLICY_LINES] += (told & POLICY) != 0
    count = last + 1 - first
    if told & (JAVASCRIPT | POLICY) or count < LEAST_WORDS_FINEWEB:
        return
    sentences = 0
    for i in range(first, last + 1):
        if words.characters[i] > LONGEST_WORD:
            return
        sentences += _ends_sentence(text, words.starts[i], words.ends[i])
    sentences += not _ends_sentence(text, words.starts[last], end)
    counters[FINEWEB_SENTENCES] += sentences
    if count >= LEAST_WORDS and _ends_line(text, end):
        counters[KEPT_LINES] += 1
        counters[SENTENCES] += sentences


@kernel
def _is_stop(byte: np.uint8) -> bool:
    return byte in (0x2E, 0x3F, 0x21)


@kernel
def _ends_line(text: Bytes, end: Int) -> bool:
    """Whether the line before `end` has one of C4's end marks, `. ? ! "`, and no ellipsis. It has five words, so more
    than three bytes."""
    if text[end - 1] == 0x2E:
        return bool(text[end - 2] != 0x2E or text[end - 3] != 0x2E)
    return bool(_is_stop(text[end - 1]) or text[end - 1] == 0x22)


@kernel
def _ends_sentence(text: Bytes, start: Int, end: Int) -> bool:
    """Whether a word ends with one of `. ? !`, after which any of `" ' ) ]` may stand."""
    at = end - 1
    while at > start and text[at] in (0x22, 0x27, 0x29, 0x5D):
        at -= 1
    return _is_stop(text[at])


@kernel
def _lower(byte: np.uint8) -> Int:
    value = np.int64(byte)
    return value | 0x20 if 0x41 <= value <= 0x5A else value


@kernel
def _phrases_in(text: Bytes, start: Int, end: Int, looked_for: Phrases) -> Int:
    """What the phrases in [start, end) tell, together."""
    told: Int = 0
    for at in range(start, end):
        if not looked_for.is_rare[text[at]]:
            continue
        for k in range(len(looked_for.lengths)):
            begin = at - looked_for.rare[k]
            size = looked_for.lengths[k]
            if begin >= start and begin + size <= end and _stands(text, begin, looked_for.letters[k], size):
                told |= looked_for.tells[k]
    return told


@kernel
def _stands(text: Bytes, at: Int, letters: Bytes, size: Int) -> bool:
    """Whether `size` letters stand at `at`, whatever their case."""
    same = 0
    while same < size and _lower(text[at + same]) == letters[same]:
        same += 1
    return same == size


@kernel
def _citation_at(text: Bytes, at: Int, looked_for: Phrases) -> Int:
    """The bytes of the citation that the '[' at `at` opens, 0 if it opens none."""
    end: Int = at + 1
    while end < len(text) and 0x30 <= text[end] <= 0x39:
        end += 1
    if end < len(text) and text[end] == 0x5D:
        return end + 1 - at
    for k in range(len(looked_for.citation_lengths)):
        size: Int = looked_for.citation_lengths[k]
        same = 0
        while same < size and at + 1 + same < len(text) and text[at + 1 + same] == looked_for.citations[k, same]:
            same += 1
        if same == size:
            return size + 1
    return 0


@kernel
def _without_citations(text: Bytes, looked_for: Phrases, scratch: Bytes) -> Int:
    """Copies the text without its citations, if it has any. Returns the bytes that are left."""
    kept: Int = 0
    copied: Int = 0  # Up to here the text is in `scratch`, or left out.
    for at in range(len(text)):
        if text[at] != 0x5B or at < copied:
            continue
        size = _citation_at(text, at, looked_for)
        if size:
            scratch[kept : kept + at - copied] = text[copied:at]
            kept += at - copied
            copied = at + size
    if not copied:
        return len(text)
    rest = len(text) - copied
    scratch[kept : kept + rest] = text[copied:]
    return kept + rest
