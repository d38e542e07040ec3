"""A recipe: every decision of a run as data. The named ones are in `pipelines.recipes`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class Rule:
    """Keep a document only if low <= its `column` <= high; else it is dropped, and `column` is the reason.

    `column` is a signal or `language_confidence`. A bound of None is open. `source` says where the numbers come from.
    """

    column: str
    low: float | None = None
    high: float | None = None
    source: str


LanguageEngine = Literal["kernel", "fasttext"]
Extractor = Literal["resiliparse", "precision"]


@dataclass(frozen=True, kw_only=True)
class Extract:
    """How a record becomes text, and what tells the text's language."""

    extractor: Extractor = "resiliparse"
    """What makes text of HTML. "precision" is trafilatura set to leave out what it doubts: less boilerplate, a tenth of
    the speed. It needs the optional dependencies `precision`."""
    main_content: bool = True
    """resiliparse's main-content heuristics; False keeps navigation and footers too, which "precision" cannot."""
    max_record_bytes: int = 16 << 20
    """Longer records are dropped as `too_long`: they would not fit a worker's memory."""
    max_text_bytes: int = 4 << 20
    """Longer texts are dropped as `text_too_long`."""
    language_engine: LanguageEngine = "kernel"
    """What computes lid.176: our kernel, or fastText itself, which takes four times as long for the same answers."""


@dataclass(frozen=True, kw_only=True)
class Dedupe:
    """Exact and near duplicates. 5-grams, 14 bands of 8 rows: FineWeb, arXiv 2406.17557, appendix E.1."""

    ngram: int = 5
    bands: int = 14
    rows: int = 8
    seed: int = 1
    before_rules: bool = False
    """False: only documents that pass the rules are compared, so a survivor is never dropped later.
    True: all are, as FineWeb-2 does."""


@dataclass(frozen=True, kw_only=True)
class Tokenizer:
    """Byte-level BPE, split as GPT-2 splits."""

    vocab_size: int = 32_000
    min_count: int = 2
    """Pairs seen less often are not merged."""
    sample_per_million: int = 1_000_000
    """Documents to count, of each million, chosen by a hash of seed and id."""
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class Encode:
    """Packing: documents are joined with an end marker and cut into rows of seq_len + 1 tokens."""

    seq_len: int = 2048
    shard_text_bytes: int = 128 << 20
    """Clean parts of one source are grouped, in name order, until their text reaches this."""
    validation_per_million: int = 5_000
    test_per_million: int = 5_000
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class Urls:
    """Addresses to drop as `url`, before language and rules. Each is the path of a UTF-8 file that workers can read, an
    entry a line; blank lines and lines that begin with # say nothing."""

    domains: tuple[str, ...] = ()
    """`example.org` blocks www.example.org too, and not notexample.org."""
    words: tuple[str, ...] = ()
    """Runs of ASCII letters and digits; one blocks where it stands whole in an address, whatever its case."""
    addresses: tuple[str, ...] = ()
    """Whole addresses, `https://example.org/page`; http and https, and spellings that mean the same, are one."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What a run does. `languages` empty keeps every language. `respect` are directives of the column `robots`, as
    noai: a page that has one of them is dropped, with the first of these for a reason."""

    name: str
    languages: tuple[str, ...] = ()
    respect: tuple[str, ...] = ()
    rules: tuple[Rule, ...] = ()
    urls: Urls = field(default_factory=Urls)
    extract: Extract = field(default_factory=Extract)
    dedupe: Dedupe = field(default_factory=Dedupe)
    tokenizer: Tokenizer = field(default_factory=Tokenizer)
    encode: Encode = field(default_factory=Encode)
