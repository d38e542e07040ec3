"""The extractor `precision`: trafilatura, set to leave out what it doubts. Optional, and loaded only where it is used.

Its answer depends on the page alone: nothing is remembered from page to page, no clock and no language is asked. Since
it takes its time with monstrous pages, and answers by how much stack is left where one nests too deeply, such pages are
refused before it sees them. They are counted by the parser that it stands on, as that parser reads them.
"""

from __future__ import annotations

import logging
import re
from functools import cache
from typing import Any

from schemas.errors import RunError
from transforms.outcomes import RecordError

MAX_BYTES = 8 << 20
"""Of UTF-8. libxml2 ends a text, and with it the page, at 10,000,000 bytes."""
MAX_ELEMENTS = 50_000
"""Of 611 real pages none has more than 3,300. At this limit and that of depth, the slowest page tried took 11 s."""
MAX_DEPTH = 128
"""Real pages: 51. libxml2 ends a page at 256; trafilatura takes two frames of Python's 1,000 for a level."""
MAX_ATTRIBUTES = 1_000
"""Of one element; real pages: 37. Time grows with their square: 100,000 take 14 s to parse."""

_STEP = 64 << 10
_CLOSED_HTML = re.compile(r"(<html\b[^<>]*)/>", re.IGNORECASE)
"""To browsers the same as <html>, to libxml2 the end of the page."""
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
"""Characters that no XML text can hold, so that trafilatura would discard the page for one of them."""
_REFERENCE = re.compile(r"&#(?:[xX]([0-9a-fA-F]+)|([0-9]+));?")


def precise_text(page: str) -> str:
    """The main text of an HTML page, a line a paragraph, list item or table row; empty if trafilatura finds none.
    Comments of readers are left out. Characters are composed (NFC). Raises RecordError `extractor_limit` for a page
    beyond the limits above, `extractor_failed` where the library fails; RunError if it is not installed."""
    trafilatura, etree, html = _libraries()
    page = _CLOSED_HTML.sub(r"\1>", _FORBIDDEN.sub("", page.replace("\f", " ")), count=1)
    data = _REFERENCE.sub(_allowed, page).encode()
    if len(data) > MAX_BYTES:
        raise RecordError("extractor_limit", f"{len(data)} bytes of HTML, more than {MAX_BYTES}")
    if not data.strip():
        return ""
    try:
        counting = etree.HTMLParser(target=_Bounds(), encoding="utf-8")
        for k in range(0, len(data), _STEP):  # what goes too far is noticed between two steps only
            counting.feed(data[k : k + _STEP])
        counting.close()
        parser = html.HTMLParser(encoding="utf-8", remove_comments=True, remove_pis=True, collect_ids=False)
        tree = etree.fromstring(data, parser=parser)
        if limits := [entry for entry in parser.error_log if entry.type == etree.ErrorTypes.ERR_RESOURCE_LIMIT]:
            raise RecordError("extractor_limit", f"libxml2: {limits[0].message}")
        text: str | None = trafilatura.extract(
            tree, favor_precision=True, include_comments=False, include_tables=True, include_formatting=False,
            include_links=False, include_images=False, deduplicate=False, with_metadata=False, target_language=None,
            output_format="txt",
        )
    except (RecordError, MemoryError):
        raise
    except etree.ParserError:  # a page of comments alone has no element
        return ""
    except Exception as error:  # whatever a library does to a hostile page, it is one page
        raise RecordError("extractor_failed", f"{type(error).__name__}: {error}") from error
    return text or ""


class _Bounds:
    """What the parser tells of a page is counted; nothing is built. Raises RecordError `extractor_limit`."""

    def __init__(self) -> None:
        self._elements = self._depth = 0

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        self._elements += 1
        self._depth += 1
        if self._elements > MAX_ELEMENTS:
            raise RecordError("extractor_limit", f"more than {MAX_ELEMENTS} elements")
        if self._depth > MAX_DEPTH:
            raise RecordError("extractor_limit", f"elements nested more than {MAX_DEPTH} deep")
        if len(attributes) > MAX_ATTRIBUTES:
            raise RecordError("extractor_limit", f"an element with more than {MAX_ATTRIBUTES} attributes")

    def end(self, tag: str) -> None:
        self._depth -= 1

    def close(self) -> None:
        """The parser asks for it."""


def _allowed(reference: re.Match[str]) -> str:
    """U+FFFD for a reference to a forbidden character, as browsers do for the first of them."""
    digits = reference[1] or reference[2]
    number = int(digits[-8:], 16 if reference[1] else 10)  # no number is that long, and int() refuses the longest
    return "\ufffd" if number < 0x110000 and _FORBIDDEN.match(chr(number)) else reference[0]


@cache
def _libraries() -> tuple[Any, Any, Any]:
    """(trafilatura, lxml.etree, lxml.html). Raises RunError if they are not there."""
    try:
        import trafilatura
        from lxml import etree, html
    except ModuleNotFoundError as error:
        raise RunError(
            f"a worker lacks {error.name}, which the extractor 'precision' needs. Bring it to where the workers run: "
            "python -m pip install 'winnow-data[precision]'"
        ) from error
    for name in ("trafilatura", "justext", "readability"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)  # it tells of every page without text
    return trafilatura, etree, html
