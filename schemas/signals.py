"""The signals: what may be measured of a document. A name here is the column in documents/, the name a rule
uses, the row in the report and the entry in the docs.

Sources: Gopher is Rae et al. 2021, arXiv 2112.11446, appendix A1.1 (quality) and table A1 (repetition). Where the
paper leaves a reading open, ours is datatrove's (`gopher_quality_filter.py`, `gopher_repetition_filter.py`, v0.10),
with words split at Unicode white space. `transforms.signals` measures them.
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
)
SIGNAL_NAMES: tuple[str, ...] = tuple(s.name for s in SIGNALS)
