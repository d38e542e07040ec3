"""What the table of the sample is made of."""

from __future__ import annotations

from dataclasses import dataclass, field

WARC = "web/sample-00000.warc.gz"
"""One gzip member a record, as crawlers write them."""
WARC_ONE_MEMBER = "web/sample-00001.warc.gz"
"""One gzip member around all records: nothing can seek in it."""
WARC_PLAIN = "web/sample-00002.warc"
"""Not compressed."""
WARC_CUT = "web/sample-00003.warc.gz"
"""One gzip member a record; the file ends in the middle of the last one, as after a broken transfer."""
WET = "wet/sample-00000.warc.wet.gz"
JSON = "json/sample-00000.jsonl"
JSON_GZ = "json/sample-00001.jsonl.gz"
FILES = (WARC, WARC_ONE_MEMBER, WARC_PLAIN, WARC_CUT, WET, JSON, JSON_GZ)


@dataclass(frozen=True, kw_only=True)
class Serving:
    """How a server sends a page, right or wrong."""

    status: str = "200 OK"
    media_type: str = "text/html"
    charset: str = "utf-8"
    """What Content-Type declares; empty: nothing."""
    meta: str = ""
    """What the page's own <meta charset> declares; empty: it has none."""
    encoding: str = "utf-8"
    """Python's name of the encoding that the bytes are really in."""
    bom: bool = False
    """Whether they start with a byte order mark."""
    content_encoding: str = ""
    """gzip, deflate or br; gzip-cut and gzip-garbled are sent as gzip and cannot be undone. undone: the header says
    gzip, but the crawler has already inflated the body and renamed the header, as Common Crawl does."""
    chunked: bool = False
    site: str = "article"
    """The page around the text: `article` has navigation and a footer, `bare` nothing, `shell` no text at all."""


@dataclass(frozen=True, kw_only=True)
class Page:
    """A text in a file. WARC files hold it as an HTTP response, WET files as a conversion, JSON files as a line."""

    name: str
    file: str
    fate: str = "clean"
    """`clean`, or the reason by which the record is dropped or made a dead letter."""
    why: str = "ordinary prose"
    prose: str = ""
    """The text's name, if it is not the page's."""
    swaps: tuple[tuple[str, str], ...] = ()
    closing: str = ""
    """A last paragraph, added to the text."""
    serving: Serving = field(default_factory=Serving)


@dataclass(frozen=True, kw_only=True)
class Block:
    """A WARC record that carries no text to keep: its type, Content-Type and bytes are given as they are."""

    name: str
    file: str
    fate: str
    why: str
    record_type: str
    content_type: str
    block: bytes


@dataclass(frozen=True, kw_only=True)
class Line:
    """A JSON line given as it is. `name` is its id, if it has one."""

    name: str
    file: str
    fate: str
    why: str
    line: bytes


Record = Page | Block | Line
