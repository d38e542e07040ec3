"""Wikitext to text in one pass whose time grows with the text alone: for what the parser left, and for pages that it
would take too long over.

Brackets are matched with a stack. One that closes nothing is dropped, but for a single ], as is one that nothing
closes, with what it holds kept: losing a bracket is better than losing a page.
"""

from __future__ import annotations

import html
import re
from collections.abc import Mapping

from transforms.wikitext_lines import GONE, prose_of_table
from transforms.wikitext_names import BREAKING_TAGS, DROPPED_TAGS, OTHER_TAGS, VERBATIM_TAGS, shown_link

_MAX_OPEN = 100
"""Brackets inside each other; deeper ones are dropped. It bounds how often a character can be copied."""
_TAGS = "|".join(sorted(DROPPED_TAGS | VERBATIM_TAGS | BREAKING_TAGS | OTHER_TAGS, key=len, reverse=True))
_TOKEN = re.compile(
    r"<!--|-->|\{\{|\}\}|\[\[|\]\]|(?m:^[ \t:*#;]*\{\|)|(?m:^[ \t]*\|\}(?!\}))"
    r"|\[(?=(?:https?:|ftp:|mailto:|news:|irc:)?//|mailto:)[^\s\[\]]+[ \t]*|\]"
    rf"|<(?P<close>/?)[ \t]*(?P<tag>{_TAGS})(?=[\s/>])[^<>]{{0,2000}}>",
    re.IGNORECASE,
)
_CLOSERS = {"-->": "<!--", "}}": "{{", "]]": "[[", "|}": "{|", "]": "["}
_ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")


def strip_markup(text: str, *, namespaces: Mapping[str, int]) -> str:
    """Text without templates, links' brackets, tables, comments and tags. Marks of lines and apostrophes stay."""
    out: list[str] = []
    stack: list[tuple[str, int]] = []
    place = 0
    for token in _TOKEN.finditer(text):
        out.append(text[place : token.start()])
        place = token.end()
        tag = (token["tag"] or "").lower()
        mark = tag if tag else _kind(token[0].strip(" \t:*#;"))
        if tag and (tag not in DROPPED_TAGS or token[0].endswith("/>")):
            out.append("\n" if tag in BREAKING_TAGS else "")
        elif (opener := tag if token["close"] else _CLOSERS.get(mark)) is not None:
            if not _close(opener, out, stack, namespaces) and mark == "]":
                out.append("]")
        elif len(stack) < _MAX_OPEN:
            stack.append((mark, len(out)))
    out.append(text[place:])
    return "".join(out)


def _kind(mark: str) -> str:
    return "[" if mark.startswith("[") and not mark.startswith("[[") else mark


def _close(opener: str, out: list[str], stack: list[tuple[str, int]], namespaces: Mapping[str, int]) -> bool:
    """Ends the innermost `opener`; those opened inside it and never closed are forgotten. False if there is none."""
    at = next((k for k in range(len(stack) - 1, -1, -1) if stack[k][0] == opener), None)
    if at is None:
        return False
    start = stack[at][1]
    del stack[at:]
    inner = "".join(out[start:])
    del out[start:]
    if opener == "[[":
        title, pipe, label = inner.partition("|")
        out.append(shown_link(title, label if pipe else None, namespaces))
    elif opener == "[":
        out.append(inner)
    elif opener in ("{|", "table"):
        out.append(prose_of_table(inner))
    elif opener != "<!--":
        out.append(GONE)
    return True


def decode_entities(text: str) -> str:
    """&nbsp; and its like as the characters they name, once; what is no entity stays."""
    return _ENTITY.sub(lambda found: html.unescape(found[0]), text)
