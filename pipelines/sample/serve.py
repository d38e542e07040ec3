"""A page as HTML and as an HTTP response."""

from __future__ import annotations

import html
import zlib

from pipelines.sample.archive import gzip_member, stored
from pipelines.sample.kinds import Page
from pipelines.sample.prose import Prose

_NAVIGATION = """<header><nav><ul>
<li><a href="/">Home</a></li><li><a href="/archive">Archive</a></li><li><a href="/about">About us</a></li>
</ul></nav></header>"""
_FOOTER = """<footer><p>Copyright 2026 {site}. All rights reserved.</p>
<ul><li><a href="/privacy">Privacy</a></li><li><a href="/imprint">Imprint</a></li></ul></footer>"""


def host(page: Page) -> str:
    """The page's host name. Copies of a text live on other hosts than the original."""
    return "harbour.example" if page.prose in ("", page.name) else f"{page.name}.example"


def url(page: Page) -> str:
    """The address the page claims to come from."""
    return f"https://{host(page)}/{page.name}"


def prose_of(page: Page, texts: dict[str, Prose]) -> Prose:
    """The text that the page carries, its changes made."""
    prose = texts[page.prose or page.name].swapped(page.swaps)
    return prose.ending_with(page.closing) if page.closing else prose


def response(page: Page, prose: Prose) -> bytes:
    """The HTTP response: status line, headers, body."""
    serving = page.serving
    document = prose.text() if serving.media_type == "text/plain" else _document(page, prose)
    mark = "\ufeff" if serving.bom else ""
    body = _encoded((mark + document).encode(serving.encoding), serving.content_encoding)
    content_type = serving.media_type + (f"; charset={serving.charset}" if serving.charset else "")
    headers = [f"HTTP/1.1 {serving.status}", "Server: sample", f"Content-Type: {content_type}"]
    if serving.content_encoding == "undone":
        headers.append("X-Crawl-Content-Encoding: gzip")
    elif serving.content_encoding:
        headers.append(f"Content-Encoding: {serving.content_encoding.partition('-')[0]}")
    if serving.status.startswith("3"):
        headers.append("Location: https://harbour.example/tides")
    if serving.chunked:
        headers.append("Transfer-Encoding: chunked")
        body = _chunked(body, size=700)
    else:
        headers.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*headers, "", ""]).encode("ascii") + body


def _document(page: Page, prose: Prose) -> str:
    serving = page.serving
    meta = f'<meta charset="{serving.meta}">' if serving.meta else ""
    head = f"<head>{meta}<title>{html.escape(prose.title)}</title><style>p {{ margin: 1em }}</style></head>"
    footer = _FOOTER.format(site=host(page))
    inner = {
        "article": f"{_NAVIGATION}\n<main><article>\n{prose.markup()}\n</article></main>\n{footer}",
        "bare": prose.markup(),
        "shell": f"{_NAVIGATION}\n<main><div id=\"app\"></div></main>\n<script>start({{}})</script>\n{footer}",
    }[serving.site]
    return f"<!DOCTYPE html>\n<html>{head}<body>\n{inner}\n</body></html>\n"


def _encoded(body: bytes, encoding: str) -> bytes:
    if encoding == "gzip":
        return gzip_member(body)
    if encoding == "gzip-cut":
        member = gzip_member(body)
        return member[: len(member) // 2]
    if encoding == "gzip-garbled":
        member = gzip_member(body)
        # The first block, after the header of 10 bytes, gets type 3, which deflate reserves as an error.
        return member[:10] + b"\x07" + member[11:]
    if encoding == "deflate":
        # RFC 9110 means the zlib format by this name (RFC 1950): 78 01, deflate, Adler-32.
        return b"\x78\x01" + stored(body) + zlib.adler32(body).to_bytes(4, "big")
    if encoding == "br":
        return _brotli(body)
    return body


def _brotli(body: bytes) -> bytes:
    """A brotli stream (RFC 7932) of one uncompressed meta-block, up to 64 KiB; the standard library has no encoder."""
    # From the lowest bit: window 16 (0), not last (0), length in 4 nibbles (00), length - 1, uncompressed (1).
    header = (len(body) - 1) << 4 | 1 << 20
    return header.to_bytes(3, "little") + body + b"\x03"  # an empty last meta-block


def _chunked(body: bytes, size: int) -> bytes:
    chunks = [body[i : i + size] for i in range(0, len(body), size)]
    return b"".join(f"{len(c):x}\r\n".encode() + c + b"\r\n" for c in chunks) + b"0\r\n\r\n"
