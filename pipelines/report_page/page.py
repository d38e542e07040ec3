"""The page: its sections in order, in one document that asks for nothing from outside."""

from __future__ import annotations

from pipelines.report_page import (
    compression,
    costs,
    differences,
    examples,
    overview,
    planned,
    reference,
    spread,
    yields,
)
from pipelines.report_page.gather import Found
from pipelines.report_page.markup import Html, join, tag
from pipelines.report_page.style import STYLE

POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
"""Nothing may be fetched or run, whatever a crawled text were to smuggle in."""


def page(found: Found) -> bytes:
    """The page in UTF-8. It depends on `found` alone. Its only times are those that the run left in metrics/."""
    sections = [
        ("fate", "Where it all went", overview.where_it_went(found)),
        ("funnel", "Step by step", overview.funnel(found)),
        ("account", "The account adds up", overview.account(found)),
        ("sources", "Sources", overview.sources(found)),
        ("languages", "Languages", yields.languages(found.yields, found.rule_sets)),
        ("signals-spread", "What the rules cut", spread.section(found.spreads)),
        ("kept", "Kept: what a trainer will read", examples.kept(found)),
        ("dropped", "Dropped: what it will not", examples.dropped(found)),
        ("clusters", "Duplicates", differences.section(
            found.clusters, searched=found.cluster_parts, with_duplicates=found.duplicate_parts
        )),
        ("dead", "Dead letters", examples.dead_letters(found)),
        ("rules", "Rules", reference.rules(found)),
        ("tokenizer", "Tokenizer", join(reference.tokenizer(found), compression.section(found.densities))),
        ("shards", "Shards", reference.shards(found)),
        ("signals", "What the signals mean", reference.signals()),
        ("cost", "Where the time went", join(costs.section(found.costs), planned.section(found.plan, found.costs))),
        ("settings", "Settings and libraries", reference.settings(found)),
    ]
    links = [tag("a", {"href": f"#{name}"}, title.split(":")[0]) for name, title, _ in sections]
    body = tag(
        "main", {}, overview.header(found), yields.notice(found.alarms), tag("nav", {"aria-label": "Sections"}, *links),
        *(tag("section", {"id": name}, tag("h2", {}, title), content) for name, title, content in sections),
    )
    whole = tag("html", {"lang": "en"}, _head(found), tag("body", {}, body))
    return f"<!DOCTYPE html>\n{whole.text}\n".encode()


def _head(found: Found) -> Html:
    kept = found.sieve.counts
    return tag(
        "head", {},
        join(
            tag("meta", {"charset": "utf-8"}),
            tag("meta", {"http-equiv": "Content-Security-Policy", "content": POLICY}),
            tag("meta", {"name": "viewport", "content": "width=device-width, initial-scale=1"}),
            tag("meta", {"name": "color-scheme", "content": "light dark"}),
            tag("title", {}, f"winnow: {kept.went_out:,} of {kept.came_in:,} documents kept"),
            tag("style", {}, Html(STYLE)),
        ),
    )
