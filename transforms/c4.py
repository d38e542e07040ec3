"""The lines that C4 would keep, and the sentences in them.

C4 is Raffel et al. 2020, arXiv 1910.10683, section 2.2; where its paper gives no number, ours is of the code that made
it, TensorFlow Datasets' `c4_utils.py`. Lines are those between line breaks that hold a word. Citations such as [12] are
taken out before anything is looked at. Letters of ASCII are compared without regard to case.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from transforms.characters import Characters
from transforms.phrases import JAVASCRIPT, LOREM_IPSUM, POLICY, Phrases, phrases_in, without_citations
from transforms.words import Bytes, Int, Words, kernel, split_words

LONGEST_WORD = 1000
"""Code points: a line with a longer word goes. `c4_utils.py`."""
LEAST_WORDS = 5
"""Words of a line that stays. `c4_utils.py`; datatrove and so FineWeb have 3."""
LEAST_WORDS_FINEWEB = 3
"""datatrove's `C4QualityFilter`, whose default FineWeb took."""

# What `count_c4_lines` writes.
JAVASCRIPT_LINES, LOREM_IPSUM_LINES, POLICY_LINES, KEPT_LINES, SENTENCES, FINEWEB_SENTENCES = 0, 1, 2, 3, 4, 5
C4_COUNTERS = 6


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
    size = without_citations(text, looked_for, scratch)
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
    told = phrases_in(text, words.starts[first], end, looked_for)
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
