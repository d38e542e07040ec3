"""What a page and its server ask of robots, as one short string: the directives that are known, sorted, with commas.

They stand in meta elements named `robots`, in X-Robots-Tag headers, and as TDM-Reservation in either (W3C Community
Group report TDMRep, 2024). `none` means noindex and nofollow. What is asked of Common Crawl's robot alone has its name
before it, `ccbot:noai`; what is asked of other robots is not kept, nor what no one has agreed on.
"""

from __future__ import annotations

from collections.abc import Iterable

from resiliparse.parse.html import HTMLTree

RESERVED = "tdm-reservation"
"""Rights to text and data mining are reserved: the value is 1."""
DIRECTIVES = frozenset(
    {"noindex", "nofollow", "noarchive", "nocache", "nosnippet", "noimageindex", "notranslate", "noai", "noimageai",
     "noml"}
)
"""Google's and Bing's for robots meta tags, and those of DeviantArt (2022) and Mojeek against training."""
_ROBOT = "ccbot"
_EVERYONE = frozenset({"robots", "*"})
_VALUED = frozenset({"unavailable_after", "max-snippet", "max-image-preview", "max-video-preview"})
"""Directives with a value after a colon, which are no robots' names."""
KNOWN: tuple[str, ...] = (*sorted(DIRECTIVES), RESERVED, *(f"{_ROBOT}:{d}" for d in sorted(DIRECTIVES)))
"""All that the column `robots` can hold."""

_SELECTOR = 'meta[name="robots" i],meta[name="ccbot" i],meta[name="tdm-reservation" i]'
_MENTIONED = ("obots", "ROBOTS", "tdm-res")
_BEFORE = 1 << 16
"""A page without these in its first characters is not searched beyond its head: that took 4 % of reading it."""
_MANY_METAS = 2000
"""Far above any honest page; each match takes 300 bytes."""
_MAX_VALUE = 4096
_MAX_VALUES = 64
"""Bounds on work, far above any honest page."""


def of_headers(values: Iterable[str], reservations: Iterable[str]) -> str | None:
    """Of the values of X-Robots-Tag and of TDM-Reservation headers."""
    found: set[str] = set()
    for value, _ in zip(values, range(_MAX_VALUES), strict=False):
        found |= _directives(value)
    if any(value.strip() == "1" for value in reservations):
        found.add(RESERVED)
    return _joined(found)


def of_page(tree: HTMLTree, page: str) -> str | None:
    """Of the meta elements of `page`, parsed: of its head, and where that has none, of all of it, as an element that is
    not allowed in a head ends it; of all of it only if it begins with _BEFORE characters that mention them."""
    found = _metas(tree.head, page) if tree.head is not None else set()
    if not found and any(page.find(name, 0, _BEFORE) >= 0 for name in _MENTIONED):
        found = _metas(tree.document, page)
    return _joined(found)


def merged(one: str | None, other: str | None) -> str | None:
    """All that either asks."""
    return _joined({d for asked in (one, other) if asked for d in asked.split(",")})


def _metas(node, page: str) -> set[str]:  # type: ignore[no-untyped-def]
    first = node.query_selector(_SELECTOR)
    if first is None:
        return set()
    few = page.count("<meta") + page.count("<META") <= _MANY_METAS
    elements = node.query_selector_all(_SELECTOR) if few else [first]
    found: set[str] = set()
    for element, _ in zip(elements, range(_MAX_VALUES), strict=False):
        name, value = element.getattr("name", "").lower(), element.getattr("content", "")
        if name == RESERVED:
            found |= {RESERVED} if value.strip() == "1" else set()
        else:
            found |= _directives(value if name in _EVERYONE else f"{name}: {value}")
    return found


def _directives(value: str) -> set[str]:
    """Of one value: `noindex, ccbot: noai, nofollow` asks noindex of all robots, the others of one."""
    found: set[str] = set()
    robot: str | None = ""
    for part in value[:_MAX_VALUE].lower().split(","):
        name, colon, rest = part.partition(":")
        if colon and name.strip() not in _VALUED:
            robot = "" if name.strip() in _EVERYONE else f"{_ROBOT}:" if name.strip() == _ROBOT else None
        asked = (rest if colon else part).strip()
        for directive in ("noindex", "nofollow") if asked == "none" else (asked,):
            if robot is not None and directive in DIRECTIVES:
                found.add(robot + directive)
    return found


def _joined(found: set[str]) -> str | None:
    return ",".join(sorted(found)) or None
