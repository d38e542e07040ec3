"""A page of a MediaWiki dump: whether it is an article, its address, and its wikitext as readable text.

A disambiguation page is an article like any other: nothing in the XML tells it apart, and its short list is for a
recipe's rules to judge.
"""

from __future__ import annotations

import re
from urllib.parse import quote, urlsplit

from schemas.recipes import Extract
from transforms.dump_xml import RawPage, Site
from transforms.extraction import Question, Text, Waiting
from transforms.extractors import named
from transforms.outcomes import RECORD_SAMPLE, Page, Skipped, parse_date
from transforms.wikitext import readable

_MEDIA_TYPE = "text/x-wiki"
_REDIRECT = re.compile(r"\s*#redirect\b", re.IGNORECASE)
"""The magic word on every wiki. Schemas before 0.4 have no redirect element."""
_CANONICAL = {
    "media": -2, "special": -1, "talk": 1, "user": 2, "user talk": 3, "project": 4, "project talk": 5, "file": 6,
    "image": 6, "file talk": 7, "mediawiki": 8, "mediawiki talk": 9, "template": 10, "template talk": 11, "help": 12,
    "help talk": 13, "category": 14, "category talk": 15, "portal": 100, "module": 828,
}
"""Names every wiki understands beside its own: MediaWiki, Manual:Namespace."""


def outcome_of(
    page: RawPage, site: Site, charset: str, offset: int, inner_offset: int, *, extract: Extract
) -> Waiting | Skipped:
    fields = page.fields
    if page.length > extract.max_record_bytes:
        return Skipped("too_long")
    if _namespace(fields, site) != 0:
        return Skipped("wiki_namespace")
    source = fields.get("text", "")
    if page.redirect or _REDIRECT.match(source):
        return Skipped("wiki_redirect")
    if fields.get("model", "wikitext") != "wikitext":
        return Skipped("wiki_model")
    body = source.encode("utf-8", "surrogatepass")
    known = Page(
        offset=offset, inner_offset=inner_offset, text="",
        record_id="/".join(filter(None, (fields.get("page_id"), fields.get("revision_id")))) or None,
        url=page_url(site.base, fields.get("title", "")), date=parse_date(fields.get("timestamp")),
    )
    question = Question(
        kind="wikitext", body=body, extract=extract, charset=charset, media_type=_MEDIA_TYPE,
        namespaces=dict(site.namespaces),  # siteinfo may come again
    )
    return Waiting(
        question=question, answer=text_of, page=known, length=page.length, record=body[:RECORD_SAMPLE]
    )


def text_of(question: Question) -> Text:
    """The readable text of a page's wikitext."""
    source = question.body.decode("utf-8", "surrogatepass")
    text = readable(source, namespaces=question.namespaces)
    return Text(text=text, charset=question.charset or "", media_type=_MEDIA_TYPE, extractor=named("mwparserfromhell"))


def _namespace(fields: dict[str, str], site: Site) -> int:
    """The page's ns; before schema 0.6 there is none, and the title's prefix tells."""
    if "namespace" in fields:
        return 0 if fields["namespace"].strip() == "0" else 1
    prefix, colon, _ = fields.get("title", "").partition(":")
    prefix = prefix.replace("_", " ").lower()
    return site.namespaces.get(prefix, _CANONICAL.get(prefix, 0)) if colon else 0


def page_url(base: str, title: str) -> str | None:
    """The page's address: the main page's, which siteinfo gives, with this title in its place. None without a title, or
    if that address is no http address of a host."""
    try:
        parts = urlsplit(base)
        good = parts.scheme in ("http", "https") and parts.hostname and re.fullmatch(r"[A-Za-z0-9.:-]+", parts.netloc)
    except ValueError:
        return None
    if not good or not title or not re.fullmatch(r"[!-~]+", base):
        return None
    cut = base.rfind("=") if parts.query else max(base.rfind("/"), 0)
    if "/wiki/" in parts.path:
        cut = base.index("/wiki/", len(parts.scheme) + 3) + len("/wiki")
    if cut <= len(parts.scheme) + 2:
        return None
    return base[: cut + 1] + quote(title.replace(" ", "_"), safe=";@$!*(),/~:")
