"""The last sections: the rules, the tokenizer, the shards, and what every name on the page means."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from pipelines.report_page import facts, reasons
from pipelines.report_page.gather import Found
from pipelines.report_page.markup import Html, Node, clip, code, count, foreign, join, percent, plural, size, table, tag
from schemas.shards import Shard
from schemas.signals import SIGNALS

SHARDS = 50
"""Rows of the list of shards; the manifest has them all."""


def rules(found: Found) -> Html:
    """Each recipe's rules in the order they are asked, with what they took and where the numbers come from."""
    total = found.sieve.counts.came_in
    tables = []
    for rule_set in found.rule_sets:
        rows: list[list[Node]] = []
        if rule_set.lists:
            lists = join("not in the lists of digest ", code(rule_set.lists))
            rows.append([code("url"), lists, *_took("url", found, total), "the recipe", reasons.meaning("url")])
        rows += [
            [code(directive), "its page does not ask it", *_took(directive, found, total), "the recipe",
             reasons.meaning(directive)]
            for directive in rule_set.respect
        ]
        if rule_set.languages:
            wanted = join("one of ", foreign(", ".join(rule_set.languages)))
            meaning = "label of lid.176, an ISO 639 code"
            rows.append([code("language"), wanted, *_took("language", found, total), "the recipe", meaning])
        rows += [
            [code(r.column), reasons.bounds(r), *_took(r.column, found, total), foreign(r.source),
             reasons.meaning(r.column)]
            for r in rule_set.rules
        ]
        sources = foreign(", ".join(rule_set.sources))
        caption = join("Rules for ", sources, ", in the order they are asked; bounds are inclusive")
        head = ["signal", "kept if", "dropped, all sources", "share", "where the bounds come from", "meaning"]
        tables.append(table(caption=caption, head=head, rows=rows, numbers=(2, 3)))
    how = found.settings.recipe.dedupe
    when = "before the rules" if how.before_rules else "among what passes the rules"
    text = (
        f"Duplicates are looked for {when}: equal texts, and MinHash of {how.ngram}-word shingles with {how.bands} "
        f"bands of {how.rows} rows."
    )
    return join(*tables, tag("p", {}, text))


def tokenizer(found: Found) -> Html:
    """The vocabulary, how densely it packs text, and a few of its merges."""
    text_bytes, tokens = _text_bytes(found), sum(facts.tokens_by_source(found.shards).values())
    documents = sum(t.documents for split in found.shards.totals.values() for t in split.values())
    known = found.learnt
    made_of = f"{known.merges:,} merges, 256 bytes and {plural(len(known.special), 'special token')}"
    rows: list[list[Node]] = [
        ["vocabulary", f"{known.vocabulary:,} tokens: {made_of}"],
        ["special tokens", join(*(join(code(clip(name, 40)), " ") for name in known.special))],
        ["bytes a token", f"{text_bytes / tokens:.3f}" if tokens else "–"],
        ["made of", f"{size(text_bytes)} of text in {plural(tokens, 'token')}, {count(documents)} of them end markers"],
        ["digest", code(found.shards.tokenizer_digest)],
    ]
    return join(
        table(caption="Byte-level BPE, learnt from the clean text", head=["property", "value"], rows=rows),
        tag("div", {"class": "merges"}, _merges("First merges", known.first), _merges("Last merges", known.last)),
    )


def shards(found: Found) -> Html:
    """Totals by split and source, then the first shards."""
    rows: list[list[Node]] = [
        [split, foreign(source), count(t.shards), count(t.rows), count(t.tokens), size(t.bytes), count(t.documents)]
        for split, totals in found.shards.totals.items() for source, t in sorted(totals.items())[:100]
    ]
    head = ["split", "source", "shards", "rows", "tokens", "text", "documents"]
    listed = [(split, s) for split, of_split in found.shards.splits.items() for s in of_split]
    more = len(listed) - SHARDS
    note = [tag("p", {}, f"And {count(more)} more, in ", code("shards/manifest.json"), ".")] if more > 0 else []
    empty = [split for split, of_split in found.shards.splits.items() if not of_split]
    lacking = f" No cluster was drawn for {' and '.join(empty)}." if empty else ""
    text = (
        f"Rows of {found.shards.seq_len:,} + 1 tokens of {found.shards.token_dtype}, as Arrow and as TFRecord. Splits "
        f"are drawn by cluster of duplicates, so copies never sit on both sides.{lacking}"
    )
    return join(
        tag("p", {}, text),
        table(caption="Shards by split and source", head=head, rows=rows, numbers=range(2, 7)),
        _shard_list(listed[:SHARDS]), *note,
    )


def signals() -> Html:
    """What each signal measures."""
    rows: list[list[Node]] = [[code(s.name), str(s.type), s.meaning] for s in SIGNALS]
    caption = "Signals: columns of documents/ and clean/, and the names that rules use"
    return table(caption=caption, head=["signal", "type", "meaning"], rows=rows)


def settings(found: Found) -> Html:
    """The rest of the recipe, and the libraries whose versions the bytes depend on."""
    recipe = found.settings.recipe
    rows: list[list[Node]] = [
        [f"{group}.{field}", str(setting)]
        for group, part in (("extract", recipe.extract), ("dedupe", recipe.dedupe), ("tokenizer", recipe.tokenizer),
                            ("encode", recipe.encode))
        for field, setting in dataclasses.asdict(part).items()
    ]
    libraries = {name: version for manifest in found.stages for name, version in manifest.libraries.items()}
    versions: list[list[Node]] = [[name, libraries[name]] for name in sorted(libraries, key=str.lower)]
    return tag(
        "div", {"class": "pair"},
        table(caption=join("Recipe ", foreign(recipe.name)), head=["setting", "value"], rows=rows),
        table(caption="Libraries that made the bytes", head=["library", "version"], rows=versions),
    )


def _took(reason: str, found: Found, total: int) -> tuple[str, str]:
    n = found.sieve.counts.dropped.get(reason, 0)
    return count(n), percent(n, total)


def _text_bytes(found: Found) -> int:
    return sum(t.bytes for split in found.shards.totals.values() for t in split.values())


def _merges(title: str, merges: Sequence[tuple[str, str, str]]) -> Html:
    items = [tag("li", {}, _piece(left), " + ", _piece(right), " → ", _piece(both)) for left, right, both in merges]
    return tag("div", {}, tag("h3", {}, title), tag("ol", {}, *items) if items else tag("p", {}, "none"))


def _piece(token: str) -> Html:
    return tag("code", {}, foreign(token, limit=40))


def _shard_list(listed: Sequence[tuple[str, Shard]]) -> Html:
    rows: list[list[Node]] = [
        [foreign(s.path), split, count(s.rows), count(s.tokens), size(s.bytes), count(s.documents), code(s.xxh3[:12])]
        for split, s in listed
    ]
    head = ["shard", "split", "rows", "tokens", "text", "documents", "xxh3, first 12"]
    return table(caption="Shards", head=head, rows=rows, numbers=range(2, 6))
