"""How densely the tokenizer packs each language, from the counts that encode's parts hold. Pure, and its table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pipelines.report_page.markup import Html, Node, count, foreign, join, plural, size, table, tag
from schemas.records import PartRecord

ROWS = 100
UNSPACED = ("bo", "ja", "km", "lo", "my", "th", "wuu", "yue", "zh")
"""Languages of lid.176 that are written without spaces between words: Unicode Standard Annex 14, classes ID and SA, and
Tibetan. Runs between spaces are no words there."""


@dataclass(frozen=True, kw_only=True)
class Density:
    """Documents of a language in a source, tokenised. `tokens` are without end markers and padding."""

    language: str
    source: str
    documents: int = 0
    bytes: int = 0
    words: int = 0
    tokens: int = 0


def densities(parts: Iterable[PartRecord]) -> tuple[Density, ...]:
    """By source and language, most tokens first."""
    sums: dict[tuple[str, str], dict[str, int]] = {}
    for part in parts:
        for what in ("documents", "bytes", "words", "tokens"):
            for language, n in part.tallies.get(f"language {what}", {}).items():
                of = sums.setdefault((language, part.source), {})
                of[what] = of.get(what, 0) + n
    found = [Density(language=language, source=source, **of) for (language, source), of in sums.items()]
    return tuple(sorted(found, key=lambda d: (-d.tokens, d.language, d.source)))


def by_language(found: Sequence[Density]) -> tuple[Density, ...]:
    """The same over all sources."""
    sums: dict[str, Density] = {}
    for d in found:
        s = sums.get(d.language, Density(language=d.language, source=""))
        sums[d.language] = Density(
            language=d.language, source="", documents=s.documents + d.documents, bytes=s.bytes + d.bytes,
            words=s.words + d.words, tokens=s.tokens + d.tokens,
        )
    return tuple(sorted(sums.values(), key=lambda d: (-d.tokens, d.language)))


def section(found: Sequence[Density]) -> Html:
    """Bytes a token and tokens a word, by language, then by language and source where there are several sources."""
    text = (
        "Counted document by document as they were tokenised, end markers left out, so rows of a shard that mix "
        "languages do not blur them. More bytes a token is denser. A word is one of ",
        tag("code", {}, "word_count"), "; languages written without spaces have none to count.",
    )
    parts = [
        tag("h3", {}, "How densely it packs each language"), tag("p", {}, *text),
        _table("Compression by language", by_language(found), sources=False),
    ]
    if len({d.source for d in found}) > 1:
        parts.append(_table("Compression by language and source", found, sources=True))
    return join(*parts)


def _table(caption: str, found: Sequence[Density], *, sources: bool) -> Html:
    rows: list[list[Node]] = []
    for d in found[:ROWS]:
        numbers = [count(d.documents), size(d.bytes), count(d.tokens), _ratio(d.bytes, d.tokens)]
        words = "–" if d.language in UNSPACED else _ratio(d.tokens, d.words)
        rows.append([foreign(d.language), *([foreign(d.source)] if sources else []), *numbers, words])
    names = ["documents", "text", "tokens", "bytes a token", "tokens a word"]
    head = ["language", *(["source"] if sources else []), *names]
    more = len(found) - ROWS
    note = [tag("p", {}, f"And {plural(more, 'more row')}, with fewer tokens.")] if more > 0 else []
    return join(table(caption=caption, head=head, rows=rows, numbers=range(1 + sources, len(head))), *note)


def _ratio(a: int, b: int) -> str:
    return f"{a / b:.3f}" if b else "–"
