"""Members of a cluster side by side, with the words in which they differ."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence

from pipelines.report_page.clusters import CELL_CHARACTERS, Cluster, Member, Shown, why_it_survived
from pipelines.report_page.markup import Html, Node, clip, code, count, foreign, join, percent, plural, tag

WORDS = 1_000
"""Words of each text that are compared: the comparison takes up to the square of that."""
CONTEXT = 10
"""Equal words shown on each side of a difference."""
SHOWN_CHARACTERS = 1_500
_WORD = re.compile(r"\S+\s*|\s+")


def section(shown: Shown, *, searched: int, with_duplicates: int) -> Html:
    """The clusters, each with its survivor first."""
    if not shown.largest:
        return tag("p", {}, "No two documents that were compared are duplicates.")
    where = (
        "all parts" if searched == with_duplicates
        else f"the first {count(searched)} of {count(with_duplicates)} parts that have duplicates"
    )
    text = (
        "The longest text survives; of those the earliest, then the smallest id. Marked are the words in which a text "
        f"and the survivor differ, in their first {count(WORDS)} words; long equal stretches are left out. Likeness is "
        "estimated: the share of places in which the MinHash signatures agree."
    )
    drawn = [tag("h3", {}, "Near duplicates drawn by a hash"), *map(_cluster, shown.drawn)] if shown.drawn else []
    return join(
        tag("p", {}, text), tag("h3", {}, f"The largest in {where}"), *map(_cluster, shown.largest), *drawn
    )


def differences(one: str, other: str) -> tuple[list[tuple[str, bool]], list[tuple[str, bool]]]:
    """Both texts as (piece, whether it differs), in order, equal stretches but for CONTEXT words elided as ` … `."""
    left, right = _words(one), _words(other)
    matcher = difflib.SequenceMatcher(None, [w.strip() for w in left], [w.strip() for w in right], autojunk=False)
    ours: list[tuple[str, bool]] = []
    theirs: list[tuple[str, bool]] = []
    codes = matcher.get_opcodes()
    for k, (what, a, b, c, d) in enumerate(codes):
        differs = what != "equal"
        for side, words in ((ours, left[a:b]), (theirs, right[c:d])):
            shown = "".join(words) if differs else _elided(words, last=k == len(codes) - 1)
            if shown:
                side.append((shown, differs))
    return ours, theirs


def _words(text: str) -> list[str]:
    return _WORD.findall(text)[:WORDS]


def _elided(words: Sequence[str], *, last: bool) -> str:
    after = 0 if last else CONTEXT
    if len(words) <= CONTEXT + after + CONTEXT // 2:
        return "".join(words)
    return "".join(words[:CONTEXT]) + " … " + "".join(words[len(words) - after :])


def _cluster(cluster: Cluster) -> Html:
    name = tag("span", {"class": "why"}, " cluster ", code(_hex(cluster.id)))
    title = tag("h4", {}, plural(cluster.size, "document"), name)
    if not cluster.members:
        return title
    survivor, *others = cluster.members
    marked = next((m for m in others if not m.exact), None)
    pieces = differences(_text(survivor), _text(marked))[0] if marked else [(clip(_text(survivor), 400), False)]
    why = why_it_survived(cluster)
    cards = [_card(survivor, pieces, why)]
    cards += [_card(m, differences(_text(survivor), _text(m))[1], "") for m in others]
    more = cluster.size - len(cluster.members)
    note = [] if survivor.survivor else [tag("p", {"class": "why"}, f"Here {why}.")]
    note += [tag("p", {"class": "why"}, f"And {count(more)} more, not shown.")] if more > 0 else []
    return tag("div", {"class": "cluster"}, title, tag("div", {"class": "beside"}, *cards), *note)


def _card(member: Member, pieces: Sequence[tuple[str, bool]], why: str) -> Html:
    if member.survivor:
        verdict = tag("p", {"class": "survives"}, tag("b", {}, "survives"), ": ", why)
    else:
        kind = "exact duplicate: the same text" if member.exact else "near duplicate"
        like = f", about {percent(member.agrees, member.places)} alike" if member.places and not member.exact else ""
        verdict = tag("p", {"class": "verdict"}, f"{kind}{like}")
    if member.exact and not member.survivor:
        pieces = [(clip(_text(member), 200), False)]
    row = member.row
    text = tag("blockquote", {"dir": "auto"}, *_shown(pieces))
    address = [foreign(str(row["url"])), tag("br", {})] if row["url"] else []
    place = tag(
        "p", {"class": "place"}, *address, foreign(str(row["file"])), f" @ {row['offset']}", tag("br", {}),
        code(_hex(row["id"])),
    )
    return tag("article", {"class": "card survivor" if member.survivor else "card"}, verdict, text, place)


def _shown(pieces: Sequence[tuple[str, bool]]) -> list[Node]:
    """Up to SHOWN_CHARACTERS of the pieces."""
    nodes: list[Node] = []
    left = SHOWN_CHARACTERS
    for text, differs in pieces:
        cut = clip(text, left) if left > 0 else ""
        if cut:
            bare = cut.rstrip()
            one = tag("bdi", {}, bare if differs else cut)
            nodes += [tag("mark", {}, one), cut[len(bare) :]] if differs else [one]
        left -= len(text)
    return nodes if left >= 0 else [*nodes, " …"]


def _text(member: Member) -> str:
    return str(member.row["text"])[:CELL_CHARACTERS]


def _hex(value: object) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)
