"""The marks of wikitext that count by line: headings, lists, apostrophes; and the white space that is left."""

from __future__ import annotations

import re

_HEADING = re.compile(r"(={1,6})[ \t]*(.+?)[ \t]*\1[ \t]*")
_LIST = re.compile(r"([*#:;]+)[ \t]*")
_TABLE_LINE = re.compile(r"\{\||\|\}|\|-|\|\+|\|")
_QUOTES = re.compile(r"'{2,}")
_SWITCH = re.compile(r"__[^\W\d_]{3,40}__")
_EMPTY_BRACKETS = re.compile(r"[ \t]*(?:\([\s,;:/–—-]{0,20}\)|（[\s、，,;；:：/–—-]{0,20}）)")
_OPENING = re.compile(r"([(（])[ \t]*[,;:、，；][ \t,;、，；]{0,20}")
_CLOSING = re.compile(r"[ \t,;、，；]{0,20}[,;、，；][ \t]*([)）])")
_SPACES = re.compile(r"[ \t\u00a0\u2009\u202f\u3000]+")
_BREAKS = re.compile(r"\n{3,}")
GONE = "\0"
"""Stands where a template or the like was left out until the line is finished: what it leaves of brackets, commas and
spaces goes with it. No page has this character, since XML cannot."""
_GONE_AFTER_COMMA = re.compile(r"[ \t]{0,9}[,;、，；][ \t]{0,9}\0[\0 \t]{0,99}(?=[,;.)、，；。）])")
_GONE_BEFORE_STOP = re.compile(r"[ \t]{0,9}\0[\0 \t]{0,99}(?=[.,;:!?)\]»”…。、，；：）」』]|$)")
_GONE_AT_OPENING = re.compile(r"(?<=[(（\[«“「『])[ \t]*\0[\0 \t]*")
_GONE_IN_QUOTES = re.compile(r"[ \t]{0,9}(?:«\0+»|“\0+”|„\0+“|「\0+」|『\0+』|〈\0+〉|《\0+》)")
_NO_WORD = re.compile(r"[^\w&]*")
_CELL = re.compile(r"[|!]+(?:[^|\n=]{0,200}=[^|\n]{0,200}\|)?[ \t]*")
_TABLE_PROSE = 150
"""Characters of a line in a table from which on it is prose: tables are also used to lay a page out in columns."""


def finish_lines(text: str) -> str:
    """Headings as lines of their own, those with nothing below them left out; lists with `- `; no bold or italics."""
    lines: list[str] = []
    levels: list[int] = []  # 0 of what is no heading
    for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n"):
        level, shown = _line(line.strip())
        lines += ["", shown, ""] if level else [shown]
        levels += [0, level, 0] if level else [0]
    kept: list[str] = []
    below = 7  # the level of the next heading, 0 once there is text, 7 at the end
    for shown, level in zip(reversed(lines), reversed(levels), strict=True):
        if level and (below == 7 or (below and below <= level)):
            continue
        below = level or (0 if shown else below)
        kept.append(shown)
    return "\n".join(reversed(kept))


def prose_of_table(text: str) -> str:
    """The long lines of a table, as paragraphs."""
    lines = (line[cell.end() if (cell := _CELL.match(line)) else 0 :].strip() for line in text.split("\n"))
    kept = (f"\n\n{line}\n\n" for line in lines if len(line) >= _TABLE_PROSE and "|" not in line)
    return "".join(kept) or GONE


def tidy_spaces(text: str) -> str:
    """Runs of spaces as one, no-break and wide ones too; lines trimmed; at most one blank line in a row."""
    lines = _SPACES.sub(" ", text).split("\n")
    return _BREAKS.sub("\n\n", "\n".join(line.strip() for line in lines)).strip()


def _line(line: str) -> tuple[int, str]:
    """(level of a heading or 0, the line as text)."""
    line = _without_gone(line)
    heading = _HEADING.fullmatch(line)
    if heading:
        return len(heading[1]), _inline(heading[2])
    if _TABLE_LINE.match(line) or _NO_WORD.fullmatch(line):
        return 0, ""
    mark = _LIST.match(line)
    shown = _inline(line[mark.end() :] if mark else line)
    return 0, f"- {shown}" if shown and mark and ("*" in mark[1] or "#" in mark[1]) else shown


def _without_gone(line: str) -> str:
    if GONE not in line:
        return line
    line = _GONE_AFTER_COMMA.sub("", _GONE_IN_QUOTES.sub("", line))
    line = _GONE_AT_OPENING.sub("", _GONE_BEFORE_STOP.sub("", line))
    return line.replace(GONE, "").strip()


def _inline(line: str) -> str:
    line = _SWITCH.sub("", without_quotes(line))
    line = _CLOSING.sub(r"\1", _OPENING.sub(r"\1", _EMPTY_BRACKETS.sub("", line)))
    return _SPACES.sub(" ", line).strip()


def without_quotes(line: str) -> str:
    """A line without '' and '''. As MediaWiki reads them: of four one is an apostrophe, of more than five those beyond
    five are; where both bold and italics would stay open, one ''' is an apostrophe before '', the first after a word of
    one letter, else the first after a longer word, else the first."""
    runs = [(m.start(), m.end()) for m in _QUOTES.finditer(line)]
    if not runs:
        return line
    sizes = [{4: 3}.get(b - a, min(b - a, 5)) for a, b in runs]
    bold, italic = sum(s in (3, 5) for s in sizes), sum(s in (2, 5) for s in sizes)
    if bold % 2 and italic % 2:
        k = min((k for k, s in enumerate(sizes) if s == 3), key=lambda k: _after(line[: runs[k][0]]), default=None)
        if k is not None:
            sizes[k] = 2
    pieces, place = [], 0
    for (start, end), size in zip(runs, sizes, strict=True):
        pieces += [line[place:start], "'" * (end - start - size)]
        place = end
    return "".join([*pieces, line[place:]])


def _after(before: str) -> int:
    """0 after a word of one letter, 1 after a longer one, 2 after a space."""
    if not before or before[-1] == " ":
        return 2
    return 0 if before[-2:-1] in ("", " ") else 1
