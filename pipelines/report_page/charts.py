"""Bars, as inline SVG. Numbers are written with fixed decimals, so the same counts give the same bytes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pipelines.report_page.markup import Html, count, join, percent, tag
from pipelines.report_page.reasons import Share

_WIDE = 1000
"""Units across a bar; it is stretched to the width there is."""
_LEAST = 3.0
"""Units of a piece that would be too small to see."""


def stacked(shares: Sequence[Share], *, title: str, shown: Callable[[int], str] = count) -> Html:
    """One bar of all the shares and, below it, what each colour is; `shown` writes an amount."""
    whole = sum(s.count for s in shares)
    widths = _widths([s.count for s in shares])
    pieces, x = [], 0.0
    for share, width in zip(shares, widths, strict=True):
        label = f"{share.label}: {shown(share.count)} ({percent(share.count, whole)})"
        pieces.append(_rect(x, width, f"fill-{share.kind}", label))
        x += width
    key = [
        tag(
            "li", {}, tag("span", {"class": f"swatch back-{s.kind}"}), tag("b", {}, shown(s.count)), " ",
            tag("span", {"class": "share"}, percent(s.count, whole)), " ", s.label,
        )
        for s in shares
    ]
    return join(_svg(title, pieces, "stacked"), tag("ul", {"class": "key"}, *key))


def remaining(*, left: int, lost: int, whole: int, kind: str, title: str) -> Html:
    """What is left of `whole` after a step and, beside it, what the step took."""
    if not whole:
        return _svg(title, [], "bar")
    x = _WIDE * left / whole
    width = max(_LEAST, _WIDE * lost / whole) if lost else 0.0
    x = min(x, _WIDE - width)
    pieces = [_rect(0, x, "fill-kept", f"{count(left)} left")] if left else []
    pieces += [_rect(x, width, f"fill-{kind}", f"{count(lost)} lost")] if lost else []
    return _svg(title, pieces, "bar")


def _widths(counts: Sequence[int]) -> list[float]:
    """Proportional, but none too small to see."""
    total = sum(counts)
    raw = [max(_LEAST, _WIDE * n / total) for n in counts]
    return [_WIDE * w / sum(raw) for w in raw]


def _rect(x: float, width: float, style: str, title: str) -> Html:
    place = {"x": f"{x:.2f}", "y": "0", "width": f"{width:.2f}", "height": "10", "class": style}
    return tag("rect", place, tag("title", {}, title))


def _svg(title: str, pieces: Sequence[Html], style: str) -> Html:
    about = {"class": style, "viewBox": f"0 0 {_WIDE} 10", "preserveAspectRatio": "none", "role": "img"}
    return tag("svg", {**about, "aria-label": title}, tag("title", {}, title), *pieces)
