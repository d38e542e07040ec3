"""The rules of published recipes, each number with its source, and the recipes made of them alone.

A recipe here decides over whole documents: it edits no line. Where the original drops lines first, ours counts what it
would have kept.
"""

from __future__ import annotations

from schemas.recipes import Recipe, Rule

_GOPHER = "Gopher, arXiv 2112.11446, appendix A1.1"
_GOPHER_REPEATS = "Gopher, arXiv 2112.11446, table A1"
_C4 = "C4, arXiv 1910.10683, section 2.2"
_C4_CODE = "TensorFlow Datasets, c4_utils.py"
_FINEWEB = "FineWeb, arXiv 2406.17557"
_FINEWEB_CODE = "datatrove, fineweb_quality_filter.py"

ENGLISH = Rule(
    column="language_confidence", low=6500, source="0.65: RefinedWeb arXiv 2306.01116, FineWeb arXiv 2406.17557"
)
GOPHER_QUALITY: tuple[Rule, ...] = (
    Rule(column="word_count", low=50, high=100_000, source=_GOPHER),
    Rule(column="mean_word_length", low=3, high=10, source=_GOPHER),
    Rule(column="hash_word_ratio", high=0.1, source=_GOPHER),
    Rule(column="ellipsis_word_ratio", high=0.1, source=_GOPHER),
    Rule(column="bullet_line_ratio", high=0.9, source=_GOPHER),
    Rule(column="ellipsis_line_ratio", high=0.3, source=_GOPHER),
    Rule(column="alpha_word_ratio", low=0.8, source=_GOPHER),
    Rule(column="stop_word_count", low=2, source=_GOPHER),
)
GOPHER_LINES: tuple[Rule, ...] = (
    Rule(column="duplicate_line_ratio", high=0.30, source=_GOPHER_REPEATS),
    Rule(column="duplicate_line_char_ratio", high=0.20, source=_GOPHER_REPEATS),
    Rule(column="duplicate_paragraph_ratio", high=0.30, source=_GOPHER_REPEATS),
    Rule(column="duplicate_paragraph_char_ratio", high=0.20, source=_GOPHER_REPEATS),
)
GOPHER_NGRAMS: tuple[Rule, ...] = (
    Rule(column="top_2gram_char_ratio", high=0.20, source=_GOPHER_REPEATS),
    Rule(column="top_3gram_char_ratio", high=0.18, source=_GOPHER_REPEATS),
    Rule(column="top_4gram_char_ratio", high=0.16, source=_GOPHER_REPEATS),
    Rule(column="duplicate_5gram_char_ratio", high=0.15, source=_GOPHER_REPEATS),
    Rule(column="duplicate_6gram_char_ratio", high=0.14, source=_GOPHER_REPEATS),
    Rule(column="duplicate_7gram_char_ratio", high=0.13, source=_GOPHER_REPEATS),
    Rule(column="duplicate_8gram_char_ratio", high=0.12, source=_GOPHER_REPEATS),
    Rule(column="duplicate_9gram_char_ratio", high=0.11, source=_GOPHER_REPEATS),
    Rule(column="duplicate_10gram_char_ratio", high=0.10, source=_GOPHER_REPEATS),
)
C4_PAGES: tuple[Rule, ...] = (
    Rule(column="lorem_ipsum_line_count", high=0, source=_C4),
    Rule(column="curly_bracket_count", high=0, source=_C4),
)
FINEWEB_LINES: tuple[Rule, ...] = (
    Rule(column="terminal_punctuation_line_ratio", low=0.12, source=_FINEWEB),
    Rule(column="short_line_ratio", high=0.67, source=_FINEWEB),
    Rule(column="duplicate_full_line_char_ratio", high=0.01, source=f"{_FINEWEB_CODE}; table 2 too, the text 0.1"),
    Rule(column="newline_word_ratio", high=0.3, source=f"{_FINEWEB_CODE}; not in the paper"),
)

GOPHER = Recipe(name="gopher", languages=("en",), rules=(*GOPHER_QUALITY, *GOPHER_LINES, *GOPHER_NGRAMS))
"""Any confidence of English: the paper gives none."""
C4 = Recipe(
    name="c4",
    languages=("en",),
    rules=(
        ENGLISH,  # The paper's 0.99 is of langdetect, whose numbers are not those of lid.176.
        Rule(column="char_count", high=190_000, source=f"{_C4_CODE}, is_valid_length"),
        *C4_PAGES,
        Rule(column="c4_sentence_count", low=3, source=f"{_C4}; datatrove says 5"),
    ),
)
"""Without its list of bad words, and without its deduplication of lines."""
FINEWEB = Recipe(
    name="fineweb",
    languages=("en",),
    rules=(
        ENGLISH,
        *GOPHER_LINES,
        *GOPHER_NGRAMS,
        *GOPHER_QUALITY,
        *C4_PAGES,
        Rule(column="fineweb_sentence_count", low=5, source="datatrove, c4_filters.py, min_num_sentences"),
        *FINEWEB_LINES,
    ),
)
"""In the order of datatrove's `examples/fineweb.py`, without its lists of addresses."""
