"""The signals: what may be measured of a document. A name here is the column in documents/, the name a rule
uses, the row in the report and the entry in the docs.

Sources: Gopher is Rae et al. 2021, arXiv 2112.11446, appendix A1.1 (quality) and table A1 (repetition). Where the
paper leaves a reading open, ours is datatrove's (`gopher_quality_filter.py`, `gopher_repetition_filter.py`, v0.10),
with words split at Unicode white space. FineWeb is Penedo et al. 2024, arXiv 2406.17557, as datatrove's
`fineweb_quality_filter.py` has it, with the end marks of the version that made it. C4 is Raffel et al. 2020, arXiv
1910.10683, section 2.2, with the numbers of TensorFlow Datasets' `c4_utils.py`; its sentences come of a trained
splitter, ours of end marks. `transforms.signals` measures them.
"""

from __future__ import annotations

import pyarrow as pa

from schemas.columns import Column


def _count(name: str, meaning: str) -> Column:
    return Column(name=name, type=pa.int64(), meaning=meaning)


def _ratio(name: str, meaning: str) -> Column:
    return Column(name=name, type=pa.float64(), meaning=meaning)


SIGNALS: tuple[Column, ...] = (
    _count("char_count", "Unicode code points in the text"),
    _count("word_count", "white-space words with a character that is neither punctuation nor symbol"),
    _ratio("mean_word_length", "mean code points of the words in word_count; 0 without words"),
    _ratio("hash_word_ratio", "'#' characters per white-space word"),
    _ratio("ellipsis_word_ratio", "'...', not overlapping, and U+2026 per white-space word"),
    _ratio("bullet_line_ratio", "share of non-blank lines, trimmed, that start with U+2022 or '-'"),
    _ratio("ellipsis_line_ratio", "share of non-blank lines, trimmed, that end with '...' or U+2026"),
    _ratio("alpha_word_ratio", "share of white-space words with an alphabetic character"),
    _count("stop_word_count", "how many of the, be, to, of, and, that, have, with are white-space words"),
    _ratio("duplicate_line_ratio", "share of lines, between runs of line breaks, that repeat one"),
    _ratio("duplicate_line_char_ratio", "code points in such lines / char_count"),
    _ratio("duplicate_paragraph_ratio", "share of paragraphs, between blank lines, that repeat one"),
    _ratio("duplicate_paragraph_char_ratio", "code points in such paragraphs / char_count"),
    # Gopher, table A1: n-grams of white-space words. Overlapping ones all count in top_, so it may exceed 1.
    _ratio("top_2gram_char_ratio", "code points of the most frequent 2 words in a row, times how often / char_count"),
    _ratio("top_3gram_char_ratio", "code points of the most frequent 3 words in a row, times how often / char_count"),
    _ratio("top_4gram_char_ratio", "code points of the most frequent 4 words in a row, times how often / char_count"),
    _ratio("duplicate_5gram_char_ratio", "code points of words in repeats of 5 words, none twice / char_count"),
    _ratio("duplicate_6gram_char_ratio", "code points of words in repeats of 6 words, none twice / char_count"),
    _ratio("duplicate_7gram_char_ratio", "code points of words in repeats of 7 words, none twice / char_count"),
    _ratio("duplicate_8gram_char_ratio", "code points of words in repeats of 8 words, none twice / char_count"),
    _ratio("duplicate_9gram_char_ratio", "code points of words in repeats of 9 words, none twice / char_count"),
    _ratio("duplicate_10gram_char_ratio", "code points of words in repeats of 10 words, none twice / char_count"),
    # FineWeb
    _ratio("terminal_punctuation_line_ratio", "share of non-blank lines, not trimmed, that end with one of . ! ? \" '"),
    _ratio("short_line_ratio", "share of non-blank lines, not trimmed, of at most 30 code points"),
    _ratio("duplicate_full_line_char_ratio", "code points in non-blank lines that repeat one / all but newlines"),
    _ratio("newline_word_ratio", "newlines per white-space word"),
    # C4, and its rules as FineWeb uses them. Citations such as [12] are left out, letters compared without case.
    _count("curly_bracket_count", "'{' characters"),
    _count("lorem_ipsum_line_count", "lines with 'lorem ipsum'"),
    _count("javascript_line_count", "lines with 'javascript'"),
    _count("policy_line_count", "lines on terms of use, privacy policy, cookie policy or the use of cookies"),
    _count("c4_line_count", "lines without the last two, of 5 words or more, none longer than 1000 code points, that "
           "end with one of . ! ? \" but no '...'"),
    _count("c4_sentence_count", "sentences in those: words that end with . ! or ?, and line ends after another"),
    _count("fineweb_sentence_count", "the same in lines of 3 words or more, whatever they end with"),
)
SIGNAL_NAMES: tuple[str, ...] = tuple(s.name for s in SIGNALS)
