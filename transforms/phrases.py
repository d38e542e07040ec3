"""The phrases and the citations that C4 looks for in lines: Raffel et al. 2020, arXiv 1910.10683, section 2.2, in the
words of TensorFlow Datasets' `c4_utils.py`. Letters of ASCII are compared without regard to case.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from transforms.words import Bytes, Int, kernel

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
def _lower(byte: np.uint8) -> Int:
    value = np.int64(byte)
    return value | 0x20 if 0x41 <= value <= 0x5A else value


@kernel
def phrases_in(text: Bytes, start: Int, end: Int, looked_for: Phrases) -> Int:
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
def without_citations(text: Bytes, looked_for: Phrases, scratch: Bytes) -> Int:
    """Copies the text without its citations, if it has any. Returns the bytes that are left."""
    kept: Int = 0
    copied: Int = 0  # Up to here the text is in `scratch`, or left out.
    for at in range(len(text)):
        size = _citation_at(text, at, looked_for) if text[at] == 0x5B else 0
        if size:
            scratch[kept : kept + at - copied] = text[copied:at]
            kept += at - copied
            copied = at + size
    if not copied:
        return len(text)
    rest = len(text) - copied
    scratch[kept : kept + rest] = text[copied:]
    return kept + rest
