"""Measures the signals of `schemas.signals` on texts.

`transforms.counters` counts in integers; a ratio is one float64 division of two of them, so every machine gives the
same bits.
"""

from __future__ import annotations

import functools

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from schemas.columns import schema_of
from schemas.signals import SIGNALS
from transforms import c4, counters
from transforms.characters import characters
from transforms.phrases import phrases
from transforms.words import buffers_of, hash_bytes, longest_of

STOP_WORDS = ("the", "be", "to", "of", "and", "that", "have", "with")
"""Gopher, arXiv 2112.11446, appendix A1.1."""

COUNTS: dict[str, int] = {
    "char_count": counters.CHARACTERS,
    "word_count": counters.PLAIN_WORDS,
    "stop_word_count": counters.STOP_WORDS_FOUND,
    "curly_bracket_count": counters.CURLY_BRACKETS,
    "lorem_ipsum_line_count": counters.C4 + c4.LOREM_IPSUM_LINES,
    "javascript_line_count": counters.C4 + c4.JAVASCRIPT_LINES,
    "policy_line_count": counters.C4 + c4.POLICY_LINES,
    "c4_line_count": counters.C4 + c4.KEPT_LINES,
    "c4_sentence_count": counters.C4 + c4.SENTENCES,
    "fineweb_sentence_count": counters.C4 + c4.FINEWEB_SENTENCES,
}
RATIOS: dict[str, tuple[int, int]] = {
    "mean_word_length": (counters.PLAIN_WORD_CHARACTERS, counters.PLAIN_WORDS),
    "hash_word_ratio": (counters.HASHES, counters.WORDS),
    "ellipsis_word_ratio": (counters.ELLIPSES, counters.WORDS),
    "bullet_line_ratio": (counters.BULLET_LINES, counters.FULL_LINES),
    "ellipsis_line_ratio": (counters.ELLIPSIS_LINES, counters.FULL_LINES),
    "alpha_word_ratio": (counters.ALPHA_WORDS, counters.WORDS),
    "duplicate_line_ratio": (counters.REPEATED_LINES, counters.LINES),
    "duplicate_line_char_ratio": (counters.REPEATED_LINE_CHARACTERS, counters.CHARACTERS),
    "duplicate_paragraph_ratio": (counters.REPEATED_PARAGRAPHS, counters.PARAGRAPHS),
    "duplicate_paragraph_char_ratio": (counters.REPEATED_PARAGRAPH_CHARACTERS, counters.CHARACTERS),
    "top_2gram_char_ratio": (counters.NGRAMS, counters.CHARACTERS),
    "top_3gram_char_ratio": (counters.NGRAMS + 1, counters.CHARACTERS),
    "top_4gram_char_ratio": (counters.NGRAMS + 2, counters.CHARACTERS),
    "duplicate_5gram_char_ratio": (counters.NGRAMS + 3, counters.CHARACTERS),
    "duplicate_6gram_char_ratio": (counters.NGRAMS + 4, counters.CHARACTERS),
    "duplicate_7gram_char_ratio": (counters.NGRAMS + 5, counters.CHARACTERS),
    "duplicate_8gram_char_ratio": (counters.NGRAMS + 6, counters.CHARACTERS),
    "duplicate_9gram_char_ratio": (counters.NGRAMS + 7, counters.CHARACTERS),
    "duplicate_10gram_char_ratio": (counters.NGRAMS + 8, counters.CHARACTERS),
    "terminal_punctuation_line_ratio": (counters.TERMINATED_LINES, counters.FULL_LINES),
    "short_line_ratio": (counters.SHORT_LINES, counters.FULL_LINES),
    "duplicate_full_line_char_ratio": (counters.REPEATED_FULL_LINE_CHARACTERS, counters.OTHER_CHARACTERS),
    "newline_word_ratio": (counters.NEWLINES, counters.WORDS),
}
"""Numerator and denominator; the ratio is 0 where the denominator is."""


def measure(texts: pa.StringArray | pa.LargeStringArray) -> pa.RecordBatch:
    """The signals of each text: one row a text, the columns of `SIGNALS` in their order, counts int64, ratios float64.

    A row depends on its text alone. Raises ValueError if a text is null or not UTF-8, TypeError on other arrays.
    """
    offsets, data = buffers_of(texts)
    counted = np.zeros((len(texts), counters.COUNTERS), np.int64)
    longest, stop_words = longest_of(offsets), _stop_word_hashes()
    counters.count_documents(data, offsets, longest, characters(), stop_words, phrases(), counted)
    columns = [_counts(s.name, counted) if s.name in COUNTS else _ratios(s.name, counted) for s in SIGNALS]
    return pa.RecordBatch.from_arrays([pa.array(c) for c in columns], schema=schema_of(SIGNALS))


def _counts(name: str, counted: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    return np.ascontiguousarray(counted[:, COUNTS[name]])


def _ratios(name: str, counted: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    part, whole = (counted[:, i].astype(np.float64) for i in RATIOS[name])
    return np.divide(part, whole, out=np.zeros(len(counted)), where=whole > 0)


@functools.cache
def _stop_word_hashes() -> npt.NDArray[np.uint64]:
    words = [np.frombuffer(word.encode(), np.uint8) for word in STOP_WORDS]
    return np.array([hash_bytes(word, 0, len(word)) for word in words], np.uint64)
