"""Documents to look at: kept, dropped by reason, clusters of duplicates, and dead letters."""

from __future__ import annotations

import re

from pipelines.report_page import reasons, samples
from pipelines.report_page.gather import Found
from pipelines.report_page.markup import (
    Html,
    Node,
    clip,
    code,
    count,
    foreign,
    join,
    percent,
    plural,
    table,
    tag,
    value,
)
from pipelines.report_page.reading import BUDGET_BYTES
from schemas.recipes import Rule
from transforms.filtering import EXACT, NEAR

TEXT_CHARACTERS = 400
TEXT_LINES = 10


def kept(found: Found) -> Html:
    """A few documents of each source, with the signals that the rules looked at."""
    cards = [
        _card(row, [_chip("words", row["word_count"]), *_in_cluster(row)], [_looked_at(row, found)])
        for rows in found.kept_samples.values() for row in rows
    ]
    if not cards:
        return tag("p", {}, "Nothing was kept.")
    return join(_stopped(found), tag("div", {"class": "cards"}, *cards))


def dropped(found: Found) -> Html:
    """For every reason up to three documents, with the value that broke the rule and the bound it broke."""
    total, sections = found.sieve.counts.came_in, []
    for i, (reason, n) in enumerate(sorted(found.sieve.counts.dropped.items(), key=lambda item: (-item[1], item[0]))):
        examples = found.dropped_samples.get(reason, [])
        cards = [_card(d.row, [], [_verdict(reason, d, found)]) for d in examples]
        few = "all" if len(cards) == n else f"{len(cards)} of them"
        title = tag("summary", {}, code(reason), f" {plural(n, 'document')}, {percent(n, total)} ", _why(reason))
        shown = tag("p", {"class": "why"}, f"Shown: {few}.")
        opened = {"open": ""} if i < 3 else {}
        sections.append(tag("details", opened, title, shown, tag("div", {"class": "cards"}, *cards)))
    if not sections:
        return tag("p", {}, "No document was dropped.")
    return join(_stopped(found), *sections)


def dead_letters(found: Found) -> Html:
    """For every reason up to three records that no parser took."""
    rows: list[list[Node]] = [
        [code(reason), foreign(str(row["file"])), _offset(row), value(row["length"]),
         foreign(str(row["detail"]), limit=TEXT_CHARACTERS)]
        for reason, found_rows in sorted(found.dead_samples.items()) for row in found_rows
    ]
    if not rows:
        return tag("p", {}, "Every record could be read.")
    n, lost = sum(found.ingest.counts.dead_letters.values()), found.ingest.tallies.get("bytes lost", {})
    by_reason: list[list[Node]] = [
        [code(reason), count(number), count(lost.get(reason, 0)), foreign(reasons.meaning(reason))]
        for reason, number in sorted(found.ingest.counts.dead_letters.items())
    ]
    head = ["reason", "file", "offset", "bytes lost", "the parser's words"]
    return join(
        tag("p", {}, f"{plural(n, 'record')} could not be read. What there is of them is in ", code("dead_letters/")),
        table(
            caption="Dead letters, and bytes lost with them", head=["reason", "number", "bytes lost", "meaning"],
            rows=by_reason, numbers=(1, 2),
        ),
        table(caption="Dead letters, up to three a reason", head=head, rows=rows, numbers=(2, 3)),
    )


def excerpt(text: str) -> str:
    """The first 400 code points, in no more than ten lines."""
    cut = clip(text, TEXT_CHARACTERS)
    lines = cut.split("\n")
    return cut if len(lines) <= TEXT_LINES else "\n".join(lines[:TEXT_LINES]).rstrip() + "…"


def _card(row: samples.Row, chips: list[Html], extra: list[Html]) -> Html:
    confidence = f"{int(str(row['language_confidence'])) / 10_000:.2f}"
    chips = [_chip(str(row["language"]), confidence), *chips]
    text = tag("blockquote", {"dir": "auto", **_lang(str(row["language"]))}, excerpt(str(row["text"])))
    return tag("article", {"class": "card"}, tag("p", {"class": "chips"}, *chips), text, *extra, _place(row))


def _place(row: samples.Row) -> Html:
    """Where a document is from: enough to find it in the archive."""
    address = [tag("br", {}), foreign(str(row["url"]))] if row["url"] else []
    return tag(
        "p", {"class": "place"}, foreign(str(row["source"])), " · ", foreign(str(row["file"])), f" @ {_offset(row)}",
        *address, tag("br", {}), code(_hex(row["id"])),
    )


def _offset(row: samples.Row) -> str:
    """Plain digits, to be copied: the byte in the file and, inside one long gzip member, the byte in that."""
    return f"{row['offset']} + {row['inner_offset']}" if row["inner_offset"] else str(row["offset"])


def _chip(name: str, what: object) -> Html:
    return tag("span", {"class": "chip"}, foreign(name), " ", tag("b", {}, value(what)))


def _in_cluster(row: samples.Row) -> list[Html]:
    size = int(str(row["cluster_size"]))
    return [_chip("of duplicates", size)] if size > 1 else []


def _looked_at(row: samples.Row, found: Found) -> Html:
    """The signals that the source's rules name, with their bounds."""
    items = [
        tag("div", {}, tag("dt", {}, reasons.in_words(r.column)), tag("dd", {}, tag("b", {}, value(row[r.column])), " ",
            tag("span", {"class": "why"}, reasons.bounds(r))))
        for r in _rules(found, str(row["source"]))
    ]
    return tag("details", {}, tag("summary", {}, "what the rules saw"), tag("dl", {"class": "signals"}, *items))


def _verdict(reason: str, dropped: samples.Dropped, found: Found) -> Html:
    """Why this document: the value, and what it should have been."""
    row, source = dropped.row, str(dropped.row["source"])
    parts: list[Node]
    if reason == "language":
        wanted = next((", ".join(s.languages) for s in found.rule_sets if source in s.sources), "")
        parts = ["language is ", tag("b", {}, foreign(str(row["language"]))), ", wanted is ", foreign(wanted)]
    elif reason in (EXACT, NEAR):
        parts = ["one of ", tag("b", {}, plural(dropped.cluster_size, "document")), " with ",
                 "the same text" if reason == EXACT else "nearly the same text"]
    else:
        rule = next((r for r in _rules(found, source) if r.column == reason), None)
        asked = reasons.bounds(rule) if rule else "otherwise"
        parts = [f"{reasons.in_words(reason)} is ", tag("b", {}, value(row[reason])), ", must be ", asked]
    return tag("p", {"class": "verdict"}, *parts)


def _rules(found: Found, source: str) -> tuple[Rule, ...]:
    return next((s.rules for s in found.rule_sets if source in s.sources), ())


def _why(reason: str) -> Html:
    return tag("span", {"class": "why"}, reasons.meaning(reason))


def _lang(language: str) -> dict[str, str]:
    return {"lang": language} if re.fullmatch("[a-z]{2,3}", language) else {}


def _hex(value: object) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)


def _stopped(found: Found) -> Html:
    if not found.stopped:
        return join()
    text = f"Reading stopped at {BUDGET_BYTES >> 20} MiB, so some samples are missing."
    return tag("p", {"class": "note warn"}, text)
