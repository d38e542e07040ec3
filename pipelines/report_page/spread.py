"""The histograms as pictures: bars, with the bounds of the rule drawn in, and the share on each side in words."""

from __future__ import annotations

from collections.abc import Sequence

from pipelines.report_page import reasons
from pipelines.report_page.histograms import ROWS, Histogram, Spread
from pipelines.report_page.markup import Html, code, count, foreign, join, percent, plural, tag, value

WIDE, HIGH, BASE = 320, 84, 70
"""Units of a picture: its size, and where the bars stand."""


def section(found: Sequence[Spread]) -> Html:
    """For each recipe, each of its rules."""
    if not found:
        return tag("p", {}, "No rule looks at a signal.")
    text = (
        "Each rule by itself, over all documents of its sources, whether or not an earlier rule dropped them. Green "
        "is what the rule keeps, red what it drops, the line is its bound. A bar's height is the square root of its "
        "count, so that a few documents can still be seen; counts stand at steps of about a quarter, ratios at even "
        "steps. The last bar holds all that is larger."
    )
    return join(tag("p", {}, text), *(_of_recipe(spread) for spread in found))


def _of_recipe(spread: Spread) -> Html:
    title = tag("h3", {}, "Rules for ", foreign(", ".join(spread.sources)))
    if spread.looked_at == spread.documents:
        how = f"All {plural(spread.documents, 'document')}."
    else:
        how = (
            f"A sample: {count(spread.looked_at)} of {plural(spread.documents, 'document')}, from "
            f"{count(spread.parts)} of {plural(spread.all_parts, 'part')}. Parts and row groups are chosen by a hash "
            f"of their names, until there are {count(ROWS)} documents, or reading has used up what it may."
        )
    pictures = [_picture(h, spread.looked_at) for h in spread.histograms]
    return join(title, tag("p", {"class": "why"}, how), tag("div", {"class": "spreads"}, *pictures))


def _picture(h: Histogram, documents: int) -> Html:
    rule = h.rule
    sides = [tag("b", {}, percent(h.within, documents)), " kept"]
    if rule.low is not None:
        sides += [" · ", tag("span", {"class": "lost"}, f"{percent(h.below, documents)} below {value(rule.low)}")]
    if rule.high is not None:
        sides += [" · ", tag("span", {"class": "lost"}, f"{percent(h.above, documents)} above {value(rule.high)}")]
    title = (
        f"{reasons.in_words(rule.column)} of {plural(documents, 'document')}: {h.below:,} below the low bound, "
        f"{h.within:,} kept, {h.above:,} above the high bound; from {value(h.least)} to {value(h.most)}"
    )
    name = tag("p", {"class": "name"}, code(rule.column), " ", tag("span", {"class": "why"}, reasons.bounds(rule)))
    about = {"class": "spread", "viewBox": f"0 0 {WIDE} {HIGH}", "role": "img", "aria-label": title}
    drawn = tag("svg", about, tag("title", {}, title), *_bars(h), *_lines(h), *_ends(h))
    return tag("div", {"class": "figure", "title": reasons.meaning(rule.column)}, name, drawn, tag("p", {}, *sides))


def _bars(h: Histogram) -> list[Html]:
    """Two paths, of what is kept and of what is not: one a bar would make the page large."""
    most = max(h.counts)
    paths: dict[bool, list[str]] = {True: [], False: []}
    for i, (n, kept) in enumerate(zip(h.counts, h.kept, strict=True)):
        if n:
            left, right = _x(h, i), _x(h, i + 1)
            height = max(1.5, (BASE - 14) * (n / most) ** 0.5)
            width = max(right - left - 0.6, 0.8)
            paths[kept].append(f"M{left:.1f} {BASE}v{-height:.1f}h{width:.1f}V{BASE}z")
    return [
        tag("path", {"class": f"fill-{'kept' if kept else 'lost'}", "d": "".join(d)}) for kept, d in paths.items() if d
    ]


def _lines(h: Histogram) -> list[Html]:
    drawn = []
    for bound, low in ((h.rule.low, True), (h.rule.high, False)):
        if bound is None:
            continue
        edge = next((i for i, e in enumerate(h.edges) if (e >= bound if low else e > bound)), len(h.edges) - 1)
        x = _x(h, edge)
        on_left = x > WIDE / 2
        place = {"x": f"{x + (-3 if on_left else 3):.1f}", "y": "9", "text-anchor": "end" if on_left else "start"}
        word = f"{'low' if low else 'high'} {value(bound)}"
        drawn += [tag("path", {"class": "bound", "d": f"M{x:.1f} 0V{BASE + 3}"}), tag("text", place, word)]
    return drawn


def _ends(h: Histogram) -> list[Html]:
    """The axis: where it begins, its middle and where it ends."""
    middle = len(h.edges) // 2
    ends = ((0, "start", ""), (middle, "middle", ""), (len(h.edges) - 1, "end", " and more" if _over(h) else ""))
    axis = tag("path", {"class": "axis", "d": f"M0 {BASE}H{WIDE}"})
    return [axis] + [
        tag("text", {"x": f"{_x(h, i):.1f}", "y": str(HIGH - 3), "text-anchor": anchor}, f"{_axis(h.edges[i])}{more}")
        for i, anchor, more in ends
    ]


def _over(h: Histogram) -> bool:
    return h.most > h.edges[-1]


def _axis(edge: float) -> str:
    return f"{edge:,.4g}" if edge < 10_000 else value(edge)


def _x(h: Histogram, edge: int) -> float:
    """Where an edge is drawn: bars of equal width if they are steps, else to scale."""
    if h.scale == "steps":
        return WIDE * edge / (len(h.edges) - 1)
    return WIDE * (h.edges[edge] - h.edges[0]) / (h.edges[-1] - h.edges[0])
