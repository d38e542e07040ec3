"""Bytes of a page to its main text: the charset first, then the recipe's extractor."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator

from resiliparse.extract.html2text import extract_plain_text
from resiliparse.parse.encoding import detect_encoding, detect_mime, map_encoding_to_html5
from resiliparse.parse.html import HTMLTree

from schemas.recipes import Extract
from transforms.outcomes import RecordError
from transforms.precision import precise_text
from transforms.robots import of_page

HTML_TYPES = frozenset({"text/html", "application/xhtml+xml"})
TEXT_TYPES = HTML_TYPES | {"text/plain"}

_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_SUPERSETS = {
    "shift_jis": "cp932", "euc_kr": "cp949", "gbk": "gb18030", "big5": "big5hkscs",
    "iso8859-11": "cp874", "windows-874": "cp874",
}
"""Where WHATWG's charset holds more characters than Python's of that name: the Python name of what it means."""
_SHIFT = b"\x1b$"
"""Begins double-byte text in ISO-2022, which is all ASCII bytes."""
_BROKEN = 10
"""One broken character in so many beyond ASCII may be damage; more, and the charset is another."""

_HTML = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*(?:<\?xml[^>]{0,200}>\s*)?(?:<!--.{0,2000}?-->\s*)?<(?:!doctype\s+html|html|head|body)\b",
    re.IGNORECASE | re.DOTALL,
)
"""The library's guess misses pages without a doctype, whose markup would then pass for text."""
_CONTAINERS = re.compile(r"<(/?)(?:div|article)\b", re.IGNORECASE)
_MANY_TAGS = 4000
_MAX_NESTING = 40_000_000
"""About 50 ns each with resiliparse 2.0.1, so 2 s; 100,000 tags at a depth of 20 are 2,000,000."""

MAX_TAGS = 2_000_000
"""Each takes up to 0.5 KB of memory when parsed, so 1 GB, and a microsecond; a page of a whole encyclopedia's index has
100,000."""


def media_type_of(declared: str | None, body: bytes) -> str | None:
    """The declared media type, or what the body's first bytes look like when none was declared."""
    if declared or not body:
        return declared
    return "text/html" if _HTML.match(body) else detect_mime(body[:2048])


def decode(body: bytes, *, declared: str | None) -> tuple[str, str]:
    """(text, Python's name of the charset used). The first of these that fits: byte order mark, UTF-8 if the body is
    not all ASCII, the declared charset, ASCII, the page's meta tag, uchardet's guess; else UTF-8. UTF-8 comes before
    what is declared since single-byte charsets fit any bytes, while hardly any other text is UTF-8 by chance. Labels
    are read as browsers read them (WHATWG Encoding: latin1 means windows-1252). Broken bytes become U+FFFD,
    and none of these codecs gives lone surrogates."""
    for mark, charset in _MARKS:
        if body.startswith(mark):
            return body[len(mark) :].decode(charset, "replace"), charset
    for charset in _candidates(body, declared):
        text = _fitting(body, charset)
        if text is not None:
            return text, charset
    return body.decode("utf-8", "replace"), "utf-8"


def read_page(
    body: bytes, *, media_type: str, declared: str | None, extract: Extract
) -> tuple[str, str, str | None]:
    """(main text, charset, what it asks of robots, see `transforms.robots`): the text of a page, without link targets,
    alt texts, forms; lines ended by `\\n`, trimmed. A page nested beyond sense gives all its text, since resiliparse
    would take hours to find its main content; the extractor `precision` raises RecordError instead, see
    `transforms.precision`. Raises RecordError `extractor_limit` for HTML of more than MAX_TAGS tags, counted as `<`."""
    page, charset = decode(body, declared=declared)
    robots = None
    if media_type in HTML_TYPES and extract.extractor == "precision":
        text = precise_text(page)  # which refuses what is too large first
        robots, page = of_page(HTMLTree.parse(page), page), text
    elif media_type in HTML_TYPES:
        if len(page) > MAX_TAGS and (tags := page.count("<")) > MAX_TAGS:  # counting takes 3 % of reading a page
            raise RecordError("extractor_limit", f"{tags} tags, more than {MAX_TAGS}")
        main_content = extract.main_content and _nesting(page) <= _MAX_NESTING
        tree = HTMLTree.parse(page)
        robots = of_page(tree, page)
        page = extract_plain_text(
            tree, preserve_formatting=True, main_content=main_content, list_bullets=True, alt_texts=False,
            links=False, form_fields=False, noscript=False, comments=False,
        )
    return tidy(page), charset, robots


def tidy(text: str) -> str:
    """Line ends as `\\n`, white space trimmed at both ends."""
    return text.replace("\r\n", "\n").replace("\r", "\n").strip()


def _candidates(body: bytes, declared: str | None) -> Iterator[str]:
    if not body.isascii():
        yield "utf-8"
    if declared and (mapped := map_encoding_to_html5(declared, fallback_utf8=False)):
        yield _SUPERSETS.get(mapped, mapped)
    if body.isascii() and _SHIFT not in body:
        yield "utf-8"
    for from_meta in (True, False):
        guess = detect_encoding(body, html5_compatible=True, from_html_meta=from_meta) or "utf-8"
        yield _SUPERSETS.get(guess, guess)


def _fitting(body: bytes, charset: str) -> str | None:
    """The body in that charset; None if more than one in ten of its characters beyond ASCII is broken, or Python lacks
    the charset. A page cut inside a character, or with a stray byte, is still what it was."""
    if charset.startswith("utf-16") and b"\0" not in body:
        return None  # any bytes are UTF-16, but markup and line ends give zero bytes in it
    try:
        return body.decode(charset)
    except LookupError:
        return None
    except UnicodeDecodeError:
        text = body.decode(charset, "replace")
    beyond = len(text) - len(text.encode("ascii", "ignore"))
    return text if text.count("\ufffd") * _BROKEN <= beyond else None


def _nesting(page: str) -> int:
    """The depths of all its div and article tags, summed: the steps that finding the main content takes."""
    if page.count("<") < _MANY_TAGS:
        return 0
    depth = total = 0
    for closing in _CONTAINERS.findall(page):
        depth = max(0, depth - 1) if closing else depth + 1
        total += depth
    return total
