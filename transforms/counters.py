"""Counts of words, lines and paragraphs, from which `transforms.signals` makes signals.

One pass splits a document into white-space words; short passes over words, lines and paragraphs then count, as do those
of `transforms.ngrams` and `transforms.c4` over the same words. A further counter is a further column and a few lines in
the pass that meets what it counts.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from transforms.c4 import C4_COUNTERS, count_c4_lines
from transforms.characters import ALPHA, Characters
from transforms.ngrams import NGRAM_COUNTERS, count_ngrams, grams_for
from transforms.phrases import Phrases
from transforms.words import (
    PLAIN,
    Bytes,
    Int,
    Words,
    add,
    clear,
    count_characters,
    hash_bytes,
    kernel,
    split_words,
)

NEWLINE = 0x0A

# What is counted of a document: the columns of the counter matrix, int64.
CHARACTERS, WORDS, PLAIN_WORDS, PLAIN_WORD_CHARACTERS, ALPHA_WORDS, STOP_WORDS_FOUND = 0, 1, 2, 3, 4, 5
HASHES, ELLIPSES = 6, 7
FULL_LINES, BULLET_LINES, ELLIPSIS_LINES = 8, 9, 10
LINES, REPEATED_LINES, REPEATED_LINE_CHARACTERS = 11, 12, 13
PARAGRAPHS, REPEATED_PARAGRAPHS, REPEATED_PARAGRAPH_CHARACTERS = 14, 15, 16
NEWLINES, OTHER_CHARACTERS, CURLY_BRACKETS = 17, 18, 19
TERMINATED_LINES, SHORT_LINES, REPEATED_FULL_LINE_CHARACTERS = 20, 21, 22
NGRAMS = 23
"""The first of NGRAM_COUNTERS, for n-grams of 2 words; as `transforms.ngrams.count_ngrams` has them."""
C4 = NGRAMS + NGRAM_COUNTERS
"""The first of C4_COUNTERS, as `transforms.c4` names them."""
COUNTERS = C4 + C4_COUNTERS

SHORT_LINE = 30
"""Code points of the longest line that is short: FineWeb, arXiv 2406.17557."""


class Spans(NamedTuple):
    """Stretches of a document, lines or paragraphs, in the first entries of arrays that are reused."""

    starts: npt.NDArray[np.int64]
    ends: npt.NDArray[np.int64]
    seen: npt.NDArray[np.uint64]
    """Room for a hash set of them."""
    repeats: npt.NDArray[np.bool_]
    """Whether it repeats an earlier one."""


@kernel
def count_documents(
    data: Bytes,
    offsets: npt.NDArray[np.int64],
    longest: int,
    table: Characters,
    stop_words: npt.NDArray[np.uint64],
    looked_for: Phrases,
    counters: npt.NDArray[np.int64],
) -> None:
    """Fills a row of `counters` for each document, the longest of `longest` bytes."""
    most = longest // 2 + 2  # Words, lines and paragraphs are separated, so n bytes hold at most n // 2 + 2 of them.
    room = np.empty((5, most), np.int64)
    words = Words(room[0], room[1], room[2], np.empty(most, np.uint64), np.empty(most, np.uint8))
    spans = Spans(room[3], room[4], np.empty(4 * most + 4, np.uint64), np.empty(most, np.bool_))
    grams = grams_for(most)
    scratch = np.empty(longest, np.uint8)
    for i in range(len(offsets) - 1):
        text = data[offsets[i] : offsets[i + 1]]
        found = split_words(text, table, words)
        _count_characters(text, counters[i])
        _count_words(words, found, stop_words, counters[i])
        lines = _split_at_newlines(text, 0, len(text), 1, spans)
        counters[i, LINES] = lines
        counters[i, REPEATED_LINES], counters[i, REPEATED_LINE_CHARACTERS] = _count_repeats(text, spans, lines)
        _count_line_marks(text, words, found, spans, lines, counters[i])
        first, last = (words.starts[0], words.ends[found - 1]) if found else (0, 0)
        paragraphs = _split_at_newlines(text, first, last, 2, spans)
        counters[i, PARAGRAPHS] = paragraphs
        counters[i, REPEATED_PARAGRAPHS], counters[i, REPEATED_PARAGRAPH_CHARACTERS] = _count_repeats(
            text, spans, paragraphs
        )
        count_ngrams(words, found, grams, counters[i, NGRAMS : NGRAMS + NGRAM_COUNTERS])
        count_c4_lines(text, table, looked_for, words, found, scratch, counters[i, C4 : C4 + C4_COUNTERS])


@kernel
def _is_ellipsis(text: Bytes, at: Int) -> bool:
    """Whether the three bytes at `at` are '...' or U+2026."""
    dots = text[at] == 0x2E and text[at + 1] == 0x2E and text[at + 2] == 0x2E
    return bool(dots or (text[at] == 0xE2 and text[at + 1] == 0x80 and text[at + 2] == 0xA6))


@kernel
def _is_end_mark(byte: np.uint8) -> bool:
    """Whether the byte is one of `. ! ? " '`."""
    return byte in (0x2E, 0x21, 0x3F, 0x22, 0x27)


@kernel
def _count_characters(text: Bytes, counters: npt.NDArray[np.int64]) -> None:
    counters[CHARACTERS] = count_characters(text, 0, len(text))
    hashes, newlines, brackets = 0, 0, 0
    for byte in text:
        hashes += byte == 0x23
        newlines += byte == NEWLINE
        brackets += byte == 0x7B
    counters[HASHES], counters[NEWLINES], counters[CURLY_BRACKETS] = hashes, newlines, brackets
    counters[OTHER_CHARACTERS] = counters[CHARACTERS] - newlines
    ellipses = 0
    free = 0  # Four dots are one ellipsis: the next may start where the last one ended.
    for at in range(len(text) - 2):
        if at >= free and _is_ellipsis(text, at):
            ellipses += 1
            free = at + 3
    counters[ELLIPSES] = ellipses


@kernel
def _count_words(words: Words, found: int, stop_words: npt.NDArray[np.uint64], counters: npt.NDArray[np.int64]) -> None:
    stop_words_found: Int = 0  # One bit for each stop word.
    for i in range(found):
        counters[ALPHA_WORDS] += (words.classes[i] & ALPHA) != 0
        if words.classes[i] & PLAIN:
            counters[PLAIN_WORDS] += 1
            counters[PLAIN_WORD_CHARACTERS] += words.characters[i]
        if words.ends[i] - words.starts[i] <= 4:
            for k in range(len(stop_words)):
                stop_words_found |= np.int64(words.hashes[i] == stop_words[k]) << k
    counters[WORDS] = found
    for k in range(len(stop_words)):
        counters[STOP_WORDS_FOUND] += stop_words_found >> k & 1


@kernel
def _split_at_newlines(text: Bytes, start: Int, end: Int, least: int, spans: Spans) -> int:
    """Cuts [start, end) at each run of `least` or more newlines, as `re.split` does: a run at the start or the end
    leaves an empty span there. Returns how many spans there are, at least 1."""
    count = 0
    for at in range(start, end):
        if text[at] != NEWLINE or (at + 1 < end and text[at + 1] == NEWLINE):
            continue
        run = at  # `at` is the last newline of a run, and this will be the first.
        while run > start and text[run - 1] == NEWLINE:
            run -= 1
        if at + 1 - run >= least:
            spans.starts[count] = start
            spans.ends[count] = run
            count += 1
            start = at + 1
    spans.starts[count] = start
    spans.ends[count] = end
    return count + 1


@kernel
def _count_line_marks(
    text: Bytes, words: Words, found: int, spans: Spans, lines: int, counters: npt.NDArray[np.int64]
) -> None:
    """Bullets, ellipses and end marks at the ends of lines, and what FineWeb asks of lines. A line without a word is
    blank; stripped, a line begins with its first word and ends with its last, and no word crosses a line."""
    word = 0
    for i in range(lines):
        first = word
        while word < found and words.starts[word] < spans.ends[i]:
            word += 1
        if word == first:
            continue
        start, end = words.starts[first], words.ends[word - 1]
        counters[FULL_LINES] += 1
        dot = end - start >= 3 and text[start] == 0xE2 and text[start + 1] == 0x80 and text[start + 2] == 0xA2
        counters[BULLET_LINES] += dot or text[start] == 0x2D
        counters[ELLIPSIS_LINES] += end - start >= 3 and _is_ellipsis(text, end - 3)
        # FineWeb's lines are not stripped.
        counters[TERMINATED_LINES] += _is_end_mark(text[spans.ends[i] - 1])
        if spans.repeats[i] or spans.ends[i] - spans.starts[i] <= 4 * SHORT_LINE:  # UTF-8 has at most 4 bytes each.
            characters = count_characters(text, spans.starts[i], spans.ends[i])
            counters[SHORT_LINES] += characters <= SHORT_LINE
            counters[REPEATED_FULL_LINE_CHARACTERS] += characters * spans.repeats[i]


@kernel
def _count_repeats(text: Bytes, spans: Spans, count: int) -> tuple[int, int]:
    """How many spans repeat an earlier one, and the code points in those. Marks them in `repeats`."""
    slots = clear(spans.seen, count)
    repeats = 0
    repeated_characters = 0
    for i in range(count):
        spans.repeats[i] = not add(spans.seen, slots, hash_bytes(text, spans.starts[i], spans.ends[i]))
        if spans.repeats[i]:
            repeats += 1
            repeated_characters += count_characters(text, spans.starts[i], spans.ends[i])
    return repeats, repeated_characters
