"""Bytes of a page to its main text: the charset first, then resiliparse."""

from __future__ import annotations

import codecs

from resiliparse.extract.html2text import extract_plain_text
from resiliparse.parse.encoding import bytes_to_str, detect_encoding, detect_mime, map_encoding_to_html5

from schemas.recipes import Extract

HTML_TYPES = frozenset({"text/html", "application/xhtml+xml"})
TEXT_TYPES = HTML_TYPES | {"text/plain"}


def media_type_of(declared: str | None, body: bytes) -> str | None:
    """The declared media type, or what the body's first bytes look like when none was declared."""
    return declared or (detect_mime(body[:2048]) if body else None)


def decode(body: bytes, *, declared: str | None) -> tuple[str, str]:
    """(text, charset used). Tried in turn: byte order mark, declared charset if it fits, UTF-8 if it fits, the page's
    meta tag or uchardet's guess. Labels are read as browsers read them (WHATWG: latin-1 means windows-1252)."""
    for mark, charset in ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be")):
        if body.startswith(mark):
            return _sane(body[len(mark) :].decode(charset, "replace")), charset
    if declared:
        mapped = map_encoding_to_html5(declared, fallback_utf8=False)
        # single-byte charsets fit any bytes: one that is declared over valid UTF-8 with multi-byte characters is wrong
        if mapped and mapped != "utf-8" and not _is_multibyte_utf8(body):
            try:
                return _sane(body.decode(mapped)), mapped
            except (UnicodeDecodeError, LookupError):
                pass
    try:
        return _sane(body.decode("utf-8")), "utf-8"
    except UnicodeDecodeError:
        guess = detect_encoding(body, html5_compatible=True, from_html_meta=True)
        return _sane(bytes_to_str(body, guess)), guess


def page_text(body: bytes, *, media_type: str, declared: str | None, extract: Extract) -> tuple[str, str]:
    """(main text, charset): the text of a page, without link targets, alt texts, forms; lines ended by `\\n`, trimmed."""
    page, charset = decode(body, declared=declared)
    if media_type in HTML_TYPES:
        page = extract_plain_text(
            page, preserve_formatting=True, main_content=extract.main_content, list_bullets=True, alt_texts=False,
            links=False, form_fields=False, noscript=False, comments=False,
        )
    return tidy(page), charset


def tidy(text: str) -> str:
    """Line ends as `\\n`, white space trimmed at both ends."""
    return text.replace("\r\n", "\n").replace("\r", "\n").strip()


def _is_multibyte_utf8(body: bytes) -> bool:
    if body.isascii():
        return False
    try:
        body.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _sane(text: str) -> str:
    """Without lone surrogates, which some decoders let through and no UTF-8 can hold."""
    return text.encode("utf-8", "replace").decode("utf-8")
