"""The texts of the sample, read from texts/*.txt.

A text starts with a line `# name: Title`. Its paragraphs are separated by blank lines; the lines of a paragraph are
joined by a space, so prose can be wrapped in the file, except lines that start with `| `, which stay lines of their
own, as in a poem or a list.
"""

from __future__ import annotations

import html
from dataclasses import dataclass
from importlib.resources import files


@dataclass(frozen=True)
class Prose:
    """A titled text. Each paragraph is its lines; ordinary prose has one line a paragraph."""

    name: str
    title: str
    paragraphs: tuple[tuple[str, ...], ...]

    def swapped(self, swaps: tuple[tuple[str, str], ...]) -> Prose:
        """This text with each old string replaced by the new one; raises ValueError if an old one is not in it."""
        paragraphs = self.paragraphs
        for old, new in swaps:
            if not any(old in line for lines in paragraphs for line in lines):
                raise ValueError(f"{self.name}: {old!r} is not in the text")
            paragraphs = tuple(tuple(line.replace(old, new) for line in lines) for lines in paragraphs)
        return Prose(self.name, self.title, paragraphs)

    def ending_with(self, sentence: str) -> Prose:
        """This text with one more paragraph."""
        return Prose(self.name, self.title, (*self.paragraphs, (sentence,)))

    def text(self) -> str:
        """Plain text, as main-content extraction gives it for `markup()`: a blank line between paragraphs."""
        return "\n\n".join([self.title, *("\n".join(lines) for lines in self.paragraphs)])

    def markup(self) -> str:
        """HTML: a heading and paragraphs, with <br> between the lines of one."""
        blocks = [f"<h1>{html.escape(self.title, quote=False)}</h1>"]
        for lines in self.paragraphs:
            blocks.append("<p>" + "<br>\n".join(html.escape(line, quote=False) for line in lines) + "</p>")
        return "\n".join(blocks)


def read_prose() -> dict[str, Prose]:
    """All texts by name. Raises ValueError if two have the same name."""
    found: dict[str, Prose] = {}
    folder = files("pipelines.sample") / "texts"
    for file in sorted((f for f in folder.iterdir() if f.name.endswith(".txt")), key=lambda f: f.name):
        for section in _sections(file.read_text(encoding="utf-8")):
            prose = _parse(section)
            if prose.name in found:
                raise ValueError(f"texts/{file.name}: there are two texts named {prose.name}")
            found[prose.name] = prose
    return found


def _sections(text: str) -> list[str]:
    return [section for section in ("\n" + text).split("\n# ") if section.strip()]


def _parse(section: str) -> Prose:
    head, _, body = section.partition("\n")
    name, _, title = head.partition(": ")
    return Prose(name, title.strip(), tuple(_lines(p) for p in body.strip().split("\n\n")))


def _lines(paragraph: str) -> tuple[str, ...]:
    lines = paragraph.split("\n")
    if all(line.startswith("| ") for line in lines):
        return tuple(line[2:] for line in lines)
    return (" ".join(lines),)
