"""The pages of a MediaWiki export (schemas 0.3 to 0.11), parsed as a stream by expat, within bounded memory.

A dump is untrusted: a document type, and with it every entity of its own, is refused; depth, names and the length of
one tag are bounded. Expat reads UTF-8, UTF-16, and what single-byte encodings Python knows.
"""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass, field
from xml.parsers import expat

_MAX_TAG = 1 << 20
"""Bytes of one tag, comment or instruction, which expat keeps whole; text it hands out in pieces."""
_MAX_DEPTH = 32
"""Elements inside each other; the schema has 5."""
_MAX_NAMES = 10_000
"""Different names of elements and attributes, which expat keeps for ever; the schema has about 60."""
_MAX_SITE = 1 << 20
"""Bytes of siteinfo that are looked at; real ones have 3 KiB."""
_MAX_BASE = 2000

_SITE = "mediawiki/siteinfo/"
_PAGE = "mediawiki/page"
_FIELDS = {
    f"{_PAGE}/title": "title", f"{_PAGE}/ns": "namespace", f"{_PAGE}/id": "page_id",
    f"{_PAGE}/revision/id": "revision_id", f"{_PAGE}/revision/timestamp": "timestamp",
    f"{_PAGE}/revision/model": "model", f"{_PAGE}/revision/text": "text",
}

_OF_REVISION = tuple(name for path, name in _FIELDS.items() if "/revision/" in path)


class DumpError(Exception):
    """XML that is broken or beyond a bound; `at` is the byte of the stream where."""

    def __init__(self, detail: str, at: int) -> None:
        super().__init__(detail)
        self.at = at


@dataclass(kw_only=True)
class Site:
    """What siteinfo says: the main page's address, and names of namespaces by number."""

    base: str = ""
    namespaces: dict[str, int] = field(default_factory=dict)


@dataclass(kw_only=True)
class RawPage:
    """One page element. `start` is the byte of its tag, `length` its bytes; of several revisions, the last."""

    start: int
    length: int = 0
    redirect: bool = False
    fields: dict[str, str] = field(default_factory=dict)


class DumpParser:
    """Feed it bytes; take the pages that ended from `pages`. `origin` is the position of the first byte that will be
    fed. With `inside`, the bytes start within a dump, at a page."""

    def __init__(self, *, site: Site, origin: int, codec: str | None, inside: bool, max_bytes: int) -> None:
        self.site, self.pages = site, list[RawPage]()
        self.page: RawPage | None = None
        """The page that is open."""
        self.origin = self.end = origin
        """Where the last page ended."""
        self.closed = False
        """Whether the dump's own end was seen."""
        self.encoding = codec
        self._max_bytes, self._path, self._kept = max_bytes, list[str](), list[str]()
        self._width = 2 if codec in ("utf-16le", "utf-16be") else 1
        self._namespace = 0
        self._site_start = origin
        self._field: str | None = None
        self._parser = expat.ParserCreate(codec)
        self._parser.buffer_text, self._parser.buffer_size = True, 1 << 18
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.XmlDeclHandler = self._declared
        self._parser.StartDoctypeDeclHandler = self._doctype
        opening = "<mediawiki>".encode(codecs.lookup(codec or "utf-8").name) if inside else b""
        self._origin, self._fed = origin - len(opening), origin - len(opening)
        self.feed(opening)

    def feed(self, data: bytes, *, last: bool = False) -> None:
        """Raises DumpError. Pages that ended before the error are in `pages`."""
        self._fed += len(data)
        try:
            self._parser.Parse(data, last)
        except expat.ExpatError as error:
            raise DumpError(expat.ErrorString(error.code), self._origin + self._parser.ErrorByteIndex) from error
        if self._fed - self._position() > _MAX_TAG:
            raise DumpError(f"a tag or comment is longer than {_MAX_TAG} bytes", self._position())
        if len(self._parser.intern) > _MAX_NAMES:
            raise DumpError(f"more than {_MAX_NAMES} names of elements and attributes", self._position())

    def _position(self) -> int:
        return self._origin + max(0, self._parser.CurrentByteIndex)

    def _declared(self, version: str, encoding: str | None, standalone: int) -> None:
        self.encoding = self.encoding or (encoding and encoding.lower())

    def _doctype(self, *declared: object) -> None:
        raise DumpError("a document type declaration, which no dump has, is refused", self._position())

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._path.append(name)
        if len(self._path) > _MAX_DEPTH:
            raise DumpError(f"more than {_MAX_DEPTH} elements inside each other", self._position())
        path = "/".join(self._path)
        if path == _PAGE:
            self.page = RawPage(start=self._position())
        elif self.page is not None:
            if path == f"{_PAGE}/redirect":
                self.page.redirect = True
            elif path == f"{_PAGE}/revision":
                for name_of_field in _OF_REVISION:
                    self.page.fields.pop(name_of_field, None)
            self._keep(_FIELDS.get(path))
        elif path == f"{_SITE}base":
            self._keep("base")
        elif path == f"{_SITE}namespaces/namespace":
            key = attributes.get("key", "")
            self._namespace = int(key) if re.fullmatch(r"-?[0-9]{1,6}", key) else 0
            self._keep("namespace_name")

    def _keep(self, field_name: str | None) -> None:
        if field_name:
            self._field, self._kept = field_name, []
            self._parser.CharacterDataHandler = self._characters

    def _characters(self, text: str) -> None:
        start = self._site_start if self.page is None else self.page.start
        limit = _MAX_SITE if self.page is None else self._max_bytes
        if self._position() - start <= limit:
            self._kept.append(text)

    def _end(self, name: str) -> None:
        path = "/".join(self._path)
        self._path.pop()
        if self._field:
            self._take(self._field, "".join(self._kept))
            self._field, self._kept = None, []
            self._parser.CharacterDataHandler = None
        if path == _PAGE and self.page is not None:
            self.end = self._position() + len("</page>") * self._width
            self.page.length = self.end - self.page.start
            self.pages.append(self.page)
            self.page = None
        elif path == "mediawiki":
            self.closed = True

    def _take(self, field_name: str, value: str) -> None:
        if self.page is not None:
            self.page.fields[field_name] = value
        elif field_name == "base":
            self.site.base = value.strip()[:_MAX_BASE]
        elif value:
            self.site.namespaces[value.lower()] = self._namespace
