"""The first sections: what went in, what came out, and where the rest went."""

from __future__ import annotations

from collections.abc import Sequence

from pipelines.report_page import charts, facts, reasons
from pipelines.report_page.gather import Found
from pipelines.report_page.markup import Html, Node, code, count, foreign, join, percent, plural, size, table, tag
from pipelines.report_page.yields import listed
from schemas.stages import BY_NAME


def header(found: Found) -> Html:
    """The run in one sentence and four numbers."""
    records, documents = found.ingest.counts.came_in, found.ingest.counts.went_out
    clean, tokens = found.sieve.counts.went_out, sum(facts.tokens_by_source(found.shards).values())
    input_bytes = sum(s.input_bytes for s in found.arrived.values())
    text_bytes = sum(s.text_bytes for s in found.kept.values())
    shards = sum(len(split) for split in found.shards.splits.values())
    tiles = [
        _tile("Records", records, f"{size(input_bytes)} in {plural(found.parts, 'part')}", ""),
        _tile("Documents", documents, f"{percent(documents, records)} of the records hold a page with text", ""),
        _tile("Kept", clean, f"{percent(clean, documents)} of the documents, {size(text_bytes)} of text", "good"),
        _tile("Tokens", tokens, f"in {plural(shards, 'shard')}, rows of {found.shards.seq_len:,}", "good"),
    ]
    recipes = sorted({r.name for r in found.settings.sources.values()} | {found.settings.recipe.name})
    return tag(
        "header", {},
        tag("p", {"class": "eyebrow"}, "winnow report"),
        tag("h1", {}, f"{plural(documents, 'document')} in, {count(clean)} kept, {plural(tokens, 'token')}"),
        tag("ol", {"class": "tiles"}, *tiles),
        tag(
            "p", {"class": "facts"}, "Recipe ", *listed(recipes), ". Data set ", code(found.shards.dataset_id), ". ",
            plural(len(found.arrived), "source"), ": ", *listed(list(found.arrived)[:12]),
            ", …" if len(found.arrived) > 12 else ".",
        ),
    )


def where_it_went(found: Found) -> Html:
    """Two bars: the records, and of them the documents."""
    ingest, sieve = found.ingest.counts, found.sieve.counts
    records = reasons.record_shares(ingest.went_out, ingest.dropped, ingest.dead_letters)
    documents = reasons.document_shares(sieve.went_out, sieve.dropped)
    return join(_bar("Of every record", records, ingest.came_in), _bar("Of every document", documents, sieve.came_in))


def funnel(found: Found) -> Html:
    """Every reason in the order it is asked, in two tables: records to documents, documents to clean text."""
    ingest, sieve = found.ingest.counts, found.sieve.counts
    tokens = sum(facts.tokens_by_source(found.shards).values())
    first, second = facts.ingest_steps(ingest), facts.filter_steps(sieve, found.rule_sets)
    about = (
        "A document is counted at the first rule it breaks. The pale bar is what is left, the strong one what the step "
        "took. Of a record that gave no document only the count is left; a dropped document stays in "
    )
    clean = plural(found.encode.counts.went_out, "clean document")
    return join(
        tag("p", {}, about, code("documents/"), ", and ", code("dropped/"), " says why."),
        _steps("Records to documents", first, ("records", "documents"), found),
        _steps("Documents to clean text", second, ("documents", "clean documents"), found),
        tag("p", {}, f"{clean} became {plural(tokens, 'token')}, end markers included."),
    )


def account(found: Found) -> Html:
    """For each stage the equation that its counts must satisfy, with the numbers."""
    rows: list[list[Node]] = []
    for manifest in found.stages:
        c = manifest.counts
        dropped, dead = sum(c.dropped.values()), sum(c.dead_letters.values())
        right = c.went_out + dropped + dead
        sum_of = f"{c.came_in:,} = {c.went_out:,} + {dropped:,} + {dead:,}"
        holds = right == c.came_in
        verdict = tag("span", {"class": "yes" if holds else "no"}, "adds up" if holds else "does not add up")
        folder = code(BY_NAME[manifest.stage].folder + "/")
        numbers = [count(n) for n in (c.came_in, c.went_out, dropped, dead)]
        rows.append([manifest.stage, folder, *numbers, sum_of, verdict])
    note = (
        f"What left ingest, {plural(found.ingest.counts.went_out, 'document')}, came into dedupe and into filter; what "
        f"left filter, {count(found.sieve.counts.went_out)}, came into tokenizer and into encode. Dedupe names "
        "duplicates; filter drops them, so they are counted there again."
    )
    equation = "came in = went out + dropped + dead"
    head = ["stage", "writes", "came in", "went out", "dropped", "dead letters", equation, "verdict"]
    whole = table(caption="The account of each stage", head=head, rows=rows, numbers=(2, 3, 4, 5))
    return join(whole, tag("p", {}, note))


def sources(found: Found) -> Html:
    """What each source gave, the component of a mixture that it becomes."""
    tokens = facts.tokens_by_source(found.shards)
    rows: list[list[Node]] = []
    for name, s in list(found.arrived.items())[:100]:
        kept = found.kept.get(name, facts.Sums())
        recipe = found.settings.sources[name].name if name in found.settings.sources else ""
        rows.append([
            foreign(name), foreign(recipe), count(s.parts), size(s.input_bytes), count(s.came_in), count(s.went_out),
            count(kept.went_out), percent(kept.went_out, s.went_out), size(kept.text_bytes), count(tokens.get(name, 0)),
        ])
    head = ["source", "recipe", "parts", "input", "records", "documents", "kept", "kept share", "clean text", "tokens"]
    more = len(found.arrived) - len(rows)
    note = [tag("p", {}, f"And {plural(more, 'more source')}.")] if more else []
    return join(table(caption="What each source gave", head=head, rows=rows, numbers=range(2, 10)), *note)


def _tile(name: str, number: int, about: str, style: str) -> Html:
    cells = (("name", name), ("number", count(number)), ("about", about))
    return tag("li", {"class": style}, *(tag("span", {"class": kind}, text) for kind, text in cells))


def _bar(title: str, shares: list[reasons.Share], whole: int) -> Html:
    heading = tag("h3", {}, f"{title} ", tag("span", {"class": "share"}, f"({count(whole)})"))
    if not whole:
        return join(heading, tag("p", {}, "There was none."))
    return tag("div", {"class": "fate"}, heading, charts.stacked(shares, title=title))


def _steps(caption: str, steps: Sequence[facts.Step], names: tuple[str, str], found: Found) -> Html:
    whole = steps[0].left + steps[0].lost if steps else found.ingest.counts.came_in
    left = steps[-1].left if steps else whole
    first: list[Node] = [tag("b", {}, names[0]), "", "", count(whole), _left(whole, 0, whole, "kept")]
    last: list[Node] = [tag("b", {}, names[1]), "", percent(left, whole), count(left), _left(left, 0, whole, "kept")]
    rows = [first, *(_step(s, whole, found) for s in steps), last]
    head = ["step", "lost", f"share of {names[0]}", "left", "left and lost"]
    return tag("div", {"class": "funnel"}, table(caption=caption, head=head, rows=rows, numbers=(1, 2, 3)))


def _step(s: facts.Step, whole: int, found: Found) -> list[Node]:
    asked = sorted({reasons.bounds(r) for rules in found.rule_sets for r in rules.rules if r.column == s.reason})
    why = reasons.meaning(s.reason) if not asked else f"{reasons.in_words(s.reason)} is not {' or '.join(asked)}"
    name = join(code(s.reason), tag("span", {"class": "why"}, "dead letter: " if s.dead else "", why))
    bar = _left(s.left, s.lost, whole, "dead" if s.dead else reasons.kind(s.reason))
    return [name, f"−{s.lost:,}" if s.lost else "0", percent(s.lost, whole), count(s.left), bar]


def _left(left: int, lost: int, whole: int, kind: str) -> Html:
    title = f"{left:,} left of {whole:,}, {lost:,} lost"
    return charts.remaining(left=left, lost=lost, whole=whole, kind=kind, title=title)
