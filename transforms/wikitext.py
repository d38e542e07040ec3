"""Wikitext to readable text: what a reader of the page sees of its prose.

Templates go, but for some that are text; so do tables but for long paragraphs in them, references, galleries, formulas
that cannot be written in a line, comments, and links to files, categories and other languages' versions. Headings
are lines, list items start with `- `.

mwparserfromhell parses what it can do in bounded time. An opening bracket that nothing closes makes it read to the end
and start again, so that its time is at most about the openers times the characters of what it is given: a page is cut
into pieces between which no bracket is open, and a piece for which that product is beyond what is left of the page's
budget is stripped without parsing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import mwparserfromhell
from mwparserfromhell.nodes import Argument, Comment, ExternalLink, Heading, HTMLEntity, Tag, Template, Text, Wikilink
from mwparserfromhell.parser import ParserError
from mwparserfromhell.wikicode import Wikicode

from transforms.wikitext_formulas import shown_formula
from transforms.wikitext_lines import GONE, finish_lines, prose_of_table, tidy_spaces
from transforms.wikitext_names import (
    BREAKING_TAGS,
    DROPPED_TAGS,
    VERBATIM_TAGS,
    shown_link,
    shown_template,
)
from transforms.wikitext_plain import decode_entities, strip_markup

_MAX_BYTES = 2 << 20
"""MediaWiki's default $wgMaxArticleSize: longer pages are stripped without parsing."""
_BUDGET = 32_000_000
"""Openers times characters of all pieces that are parsed. The worst texts found took 160 ns each: 5 s a page."""
_MAX_OPENERS = 50_000
"""Openers and list marks of a page: each that is a node takes about 20 µs."""
_MAX_DEPTH = 30
"""Brackets inside each other; mwparserfromhell 0.7 reads on as text below 40."""
_DEEP_HEADING = re.compile(r"^=(?:[^=\n]*=){50}", re.MULTILINE)
"""mwparserfromhell 0.7 calls itself at each = of a line that starts with one, until the stack is full."""
_PIECE = 4000
"""Characters, at least, of a piece."""
_WHOLE = "|".join(sorted(DROPPED_TAGS | VERBATIM_TAGS))
_EVENT = re.compile(
    r"\{\{|\}\}|\[\[|\]\]|(?m:^[ \t:]*\{\|)|(?m:^[ \t]*\|\}(?!\}))|<!--|-->|\[|\n(?=\n|=)|(?m:^[*#:;]+)"
    rf"|<(?:/?(?P<tag>{_WHOLE})\b[^<>]{{0,2000}}>)?",
    re.IGNORECASE,
)
"""Of tags only those matter to where a page may be cut whose content is dropped or kept as a whole."""
_OPEN = {"{{": "}}", "[[": "]]", "{|": "|}", "<!--": "-->"}
_MARKUP = re.compile(r"['\[\]{}|<>=*:_\n-]|(?<!&)#|^;")


def readable(source: str, *, namespaces: Mapping[str, int]) -> str:
    """The text of a page. `namespaces` are the wiki's names, lower case, and numbers. Empty if nothing is left."""
    source = source.translate({0: None}).replace("\r\n", "\n")
    pieces = []
    budget, openers = _BUDGET, _MAX_OPENERS
    if len(source.encode("utf-8", "replace")) > _MAX_BYTES:
        budget = 0
    for piece, opened, depth in cut(source):
        cost = opened * len(piece)
        if depth <= _MAX_DEPTH and cost <= budget and opened <= openers and not _DEEP_HEADING.search(piece):
            budget, openers = budget - cost, openers - opened
            pieces.append(strip_markup(_parsed(piece, namespaces), namespaces=namespaces))
        else:
            pieces.append(strip_markup(piece, namespaces=namespaces))
    return tidy_spaces(decode_entities(finish_lines("".join(pieces))))


def cut(source: str) -> Iterator[tuple[str, int, int]]:
    """(piece, openers in it, how deep they go), cut at line breaks where no bracket is open."""
    start = openers = deepest = 0
    stack: list[str] = []
    for event in _EVENT.finditer(source):
        mark = event["tag"] or event[0].strip(" \t:") or ":"
        if event["tag"]:
            openers += 1
            if event[0].startswith("</"):
                _leave(stack, mark.lower())
            elif not event[0].endswith("/>"):
                stack.append(mark.lower())
        elif mark in _OPEN:
            openers += 1
            stack.append(_OPEN[mark])
        elif mark == "\n":
            if not stack and event.start() - start >= _PIECE:
                yield source[start : event.start()], openers, deepest
                start, openers, deepest = event.start(), 0, 0
        elif mark[0] in "[<*#:;":
            openers += len(event[0])
        else:
            _leave(stack, mark)
        deepest = max(deepest, len(stack))
    yield source[start:], openers, deepest


def _leave(stack: list[str], closer: str) -> None:
    """Ends the innermost bracket that `closer` ends, with those inside it that nothing closed."""
    if closer in stack[-_MAX_DEPTH:]:
        while stack.pop() != closer:
            pass


def _parsed(source: str, namespaces: Mapping[str, int]) -> str:
    try:
        return _Shown(namespaces).all(mwparserfromhell.parse(source, skip_style_tags=True))
    except ParserError:  # the parser's own word for a state it should not be in
        return source


class _Shown:
    """What nodes show, with the marks of lines, apostrophes and entities as they were."""

    def __init__(self, namespaces: Mapping[str, int]) -> None:
        self._namespaces = namespaces

    def all(self, code: Wikicode | None) -> str:
        return "".join(map(self.one, code.nodes)) if code is not None else ""

    def one(self, node: object) -> str:
        match node:
            case Text():
                return str(node.value)
            case Wikilink():
                label = None if node.text is None else self.all(node.text)
                return shown_link(self.all(node.title), label, self._namespaces)
            case ExternalLink():
                return self._external(node)
            case Template():
                return self._template(node)
            case Tag():
                return self._tag(node)
            case Heading():
                marks = "=" * node.level
                return f"{marks} {self.all(node.title).strip()} {marks}"
            case HTMLEntity():
                return str(node)
            case Argument():
                return self.all(node.default)
            case Comment():
                return ""
            case _:
                return ""

    def _external(self, node: ExternalLink) -> str:
        return (self.all(node.title) if node.title is not None else "") if node.brackets else self.all(node.url)

    def _template(self, node: Template) -> str:
        numbered = {int(n): p for p in node.params if re.fullmatch("[1-9]", n := str(p.name).strip())}
        shown = {number: self.all(parameter.value) for number, parameter in numbered.items()}
        arguments = [shown.get(number, "") for number in range(1, max(shown, default=0) + 1)]
        return shown_template(str(node.name), arguments) or GONE

    def _tag(self, node: Tag) -> str:
        name = str(node.tag).strip().lower()
        if any("display:none" in str(a).replace(" ", "") for a in node.attributes):
            return GONE
        if name == "table":
            return prose_of_table(self.all(node.contents))
        if name in ("math", "chem"):
            return _as_it_stands(shown_formula(str(node.contents or ""))) or GONE
        if name in DROPPED_TAGS:
            return GONE
        if node.wiki_markup and name in ("li", "dd", "dt", "hr"):
            return str(node.wiki_markup)
        if node.self_closing:
            return "\n" if name in BREAKING_TAGS else ""
        shown = _as_it_stands(str(node.contents or "")) if name in VERBATIM_TAGS else self.all(node.contents)
        return f"\n{shown}\n" if name in BREAKING_TAGS else shown


def _as_it_stands(text: str) -> str:
    return _MARKUP.sub(lambda mark: f"&#{ord(mark[0])};", text)
