"""What each language and each source came to, and an alarm where one arrives and yields nothing. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from pipelines.report_page import charts, reasons
from pipelines.report_page.facts import RuleSet, Sums
from pipelines.report_page.markup import Html, Node, code, count, foreign, join, percent, plural, table, tag
from schemas.records import PartRecord
from transforms.beam.filter import lost_by

EXPECTED = 5
"""An alarm needs a language of which, kept as often as the others are, this many documents would have been kept. Were
documents kept by chance, none of them would be with probability exp(-5), below 1 %: Poisson."""
SHOWN = 20
"""Alarms that are spelt out."""
BySource = Mapping[str, Mapping[str, int]]


@dataclass(frozen=True, kw_only=True)
class Yield:
    """Documents of a language. `wanted` are those of sources whose recipe keeps it; `lost` is by reason."""

    name: str
    arrived: int
    kept: int
    wanted: int
    lost: Mapping[str, int] = field(default_factory=dict)

    @property
    def unexplained(self) -> int:
        """Documents that were neither kept nor dropped for a reason: a fault, if not 0."""
        return self.arrived - self.kept - sum(self.lost.values())


def by_source(parts: Iterable[PartRecord], tally: str = "language") -> dict[str, dict[str, int]]:
    """A tally of the parts, added up by source."""
    found: dict[str, dict[str, int]] = {}
    for part in parts:
        of = found.setdefault(part.source, {})
        for key, n in part.tallies.get(tally, {}).items():
            of[key] = of.get(key, 0) + n
    return found


def yields(
    *, arrived: BySource, kept: Mapping[str, int], tallies: Mapping[str, Mapping[str, int]], reasons: Iterable[str],
    rule_sets: Sequence[RuleSet],
) -> tuple[Yield, ...]:
    """Most documents first, then by name. `arrived` is by source; `kept` and the filter's `tallies` are over all."""
    names = {name for of in arrived.values() for name in of} | kept.keys()
    lost = {reason: tallies.get(lost_by(reason), {}) for reason in reasons}
    wants = {source: s.languages for s in rule_sets for source in s.sources}
    found = [
        Yield(
            name=name, arrived=sum(of.get(name, 0) for of in arrived.values()), kept=kept.get(name, 0),
            wanted=sum(of.get(name, 0) for source, of in arrived.items() if _wanted(name, wants.get(source, ()))),
            lost={reason: of[name] for reason, of in lost.items() if of.get(name)},
        )
        for name in names
    ]
    return tuple(sorted(found, key=lambda y: (-y.arrived, y.name)))


def alarms(found: Sequence[Yield], *, arrived: Mapping[str, Sums], kept: Mapping[str, Sums]) -> list[str]:
    """A line for each language that a recipe keeps, or source, that arrives and yields nothing, and for each language
    whose documents no reason explains. A language must be one of which EXPECTED documents were to be expected."""
    lines = [
        f"source {name}: {plural(s.came_in, 'record')} arrived ({plural(s.went_out, 'document')}), and none was kept"
        for name, s in arrived.items() if not kept.get(name, Sums()).went_out
    ]
    wanted, left = sum(y.wanted for y in found), sum(y.kept for y in found)
    for y in found:
        if y.unexplained:
            lines.append(f"language {y.name}: {plural(abs(y.unexplained), 'document')} that no rule explains")
        others = wanted - y.wanted
        if y.wanted and not y.kept and y.wanted * left >= EXPECTED * others:
            lines.append(
                f"language {y.name}: {plural(y.wanted, 'document')} arrived that the recipe would keep, and none was "
                f"kept; most were dropped by {_top(y)[0]}"
            )
    return lines


def notice(lines: Sequence[str]) -> Html:
    """The alarms, for the top of the page; nothing without any."""
    if not lines:
        return join()
    more = len(lines) - SHOWN
    items = [tag("li", {}, foreign(line)) for line in lines[:SHOWN]]
    items += [tag("li", {}, f"and {count(more)} more")] if more > 0 else []
    why = (
        f"A language is named here if a recipe keeps it, no document of it was kept, and {EXPECTED} or more would have "
        "been, had it been kept as often as the other languages: by chance that happens less than once in a hundred "
        "times. A source is named if it gave nothing at all."
    )
    title = tag("h2", {}, f"Look at this: {plural(len(lines), 'alarm')}")
    about = {"class": "alarm", "role": "alert"}
    return tag("div", about, title, tag("ul", {}, *items), tag("p", {"class": "why"}, why))


def languages(found: Sequence[Yield], rule_sets: Sequence[RuleSet]) -> Html:
    """Documents in and out by language, and what took most of the rest."""
    total, most = sum(y.arrived for y in found), max((y.arrived for y in found), default=0)
    rows: list[list[Node]] = [
        [foreign(y.name), count(y.arrived), percent(y.arrived, total), count(y.kept), percent(y.kept, y.arrived),
         _reason(y), charts.remaining(left=y.kept, lost=y.arrived - y.kept, whole=most, kind="apart",
                                      title=f"{y.name}: {y.kept:,} of {y.arrived:,} kept")]
        for y in found
    ]
    head = ["language", "in", "share", "out", "out of in", "dropped most by", "kept and dropped"]
    return join(
        *_barren(found, rule_sets, total),
        tag("div", {"class": "yields"}, table(
            caption="Documents by language, as lid.176 tells it", head=head, rows=rows, numbers=(1, 2, 3, 4)
        )),
    )


def _wanted(name: str, languages: Sequence[str]) -> bool:
    return not languages or name in languages


def _top(y: Yield) -> tuple[str, int]:
    return min(y.lost.items(), key=lambda item: (-item[1], item[0]), default=("nothing", 0))


def _reason(y: Yield) -> Html:
    reason, n = _top(y)
    if not n:
        return join("–")
    return join(code(reason), " ", tag("span", {"class": "why", "title": reasons.meaning(reason)}, count(n)))


def _barren(found: Sequence[Yield], rule_sets: Sequence[RuleSet], total: int) -> list[Html]:
    """A note on languages of which documents arrived and none was kept: by the recipe, or in spite of it."""
    barren = [y for y in found if y.arrived and not y.kept]
    if not barren:
        return [_note(["Every language that arrived gave at least one document that was kept."])] if found else []
    wanted = sorted({name for s in rule_sets for name in s.languages})
    notes = []
    if expected := [y for y in barren if not y.wanted]:
        text = f"{plural(len(expected), 'language')} arrived and yield nothing, as the recipe wants only "
        notes.append(_note([text, *listed(wanted), ": ", *_named(expected, total)]))
    if surprising := [y for y in barren if y.wanted]:
        text = f"{plural(len(surprising), 'language')} that the recipe keeps arrived and yet yield nothing: "
        notes.append(_note([text, *_named(surprising, total)], style="note warn"))
    return notes


def _note(text: Sequence[Node], *, style: str = "note") -> Html:
    return tag("p", {"class": style}, *text)


def _named(which: Sequence[Yield], total: int) -> list[Node]:
    documents = sum(y.arrived for y in which)
    end = f". These are {plural(documents, 'document')}, {percent(documents, total)} of all."
    return [*listed([f"{y.name} ({y.arrived:,})" for y in which]), end]


def listed(names: Sequence[str]) -> list[Node]:
    """Names with commas between."""
    nodes: list[Node] = []
    for name in names:
        nodes += [", "] * bool(nodes) + [foreign(name, limit=60)]
    return nodes
