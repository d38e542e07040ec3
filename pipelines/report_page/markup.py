"""HTML in which a plain string is always text: only `tag` makes elements, and it escapes every str it is given."""

from __future__ import annotations

import html
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

_VOID = ("meta", "br")
_UNFIT = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")
"""What HTML forbids as text or shows as nothing: controls other than tab and line breaks, surrogates, noncharacters."""


@dataclass(frozen=True, slots=True)
class Html:
    """Markup that is safe to put in a page."""

    text: str


Node = Html | str


def tag(name: str, attributes: Mapping[str, str], *children: Node) -> Html:
    """An element. Strings among `children`, and the values of `attributes`, are escaped; names are ours."""
    said = "".join(f' {key}="{_escape(value)}"' for key, value in attributes.items())
    if name in _VOID:
        return Html(f"<{name}{said}>")
    return Html(f"<{name}{said}>{join(*children).text}</{name}>")


def join(*children: Node) -> Html:
    """Children in a row, strings escaped."""
    return Html("".join(c.text if isinstance(c, Html) else _escape(c) for c in children))


def foreign(text: str, *, limit: int = 300) -> Html:
    """Text from the crawl, cut at `limit` code points, and isolated: its direction cannot turn what is around it."""
    return tag("bdi", {}, clip(text, limit))


def clip(text: str, limit: int) -> str:
    """`text`, or its first `limit` code points and an ellipsis."""
    return text if len(text) <= limit else text[:limit] + "…"


def code(text: str) -> Html:
    return tag("code", {}, text)


def table(*, caption: Node, head: Sequence[str], rows: Sequence[Sequence[Node]], numbers: Collection[int] = ()) -> Html:
    """A table with its caption and column headings; the first cell heads its row. Columns `numbers` are flush right."""
    kinds = [{"class": "n"} if i in numbers else {} for i in range(len(head))]
    top = [tag("th", {"scope": "col", **kinds[i]}, name) for i, name in enumerate(head)]
    body = [
        tag("tr", {}, tag("th", {"scope": "row"}, row[0]), *map(_cell, kinds[1:], row[1:]))
        for row in rows
    ]
    parts = [tag("caption", {}, caption), tag("thead", {}, tag("tr", {}, *top)), tag("tbody", {}, *body)]
    return tag("div", {"class": "wide"}, tag("table", {}, *parts))


def _cell(kind: Mapping[str, str], content: Node) -> Html:
    return tag("td", kind, content)


def count(n: int) -> str:
    return f"{n:,}"


def value(v: object) -> str:
    """A signal as people read it: six significant digits, so that what broke a bound never looks like the bound."""
    if isinstance(v, float) and not v.is_integer():
        return f"{v:.6g}"
    return f"{int(v):,}" if isinstance(v, int | float) else str(v)


def percent(part: int, whole: int) -> str:
    """A share to a tenth of a percent. Something is never shown as 0, nor a part as 100; nothing has no shares."""
    if not whole:
        return "–"
    share = f"{100 * part / whole:.1f}"
    if part and share == "0.0":
        return "< 0.1 %"
    return "> 99.9 %" if part < whole and share == "100.0" else f"{share} %"


def size(n: int) -> str:
    """Bytes in the largest binary unit of which there is one."""
    amount, unit = float(n), "bytes"
    for larger in ("KiB", "MiB", "GiB", "TiB", "PiB"):
        if amount < 1024:
            break
        amount, unit = amount / 1024, larger
    return f"{n:,} bytes" if unit == "bytes" else f"{amount:,.1f} {unit}"


def plural(n: int, one: str, many: str = "") -> str:
    """`1 file`, `2 files`."""
    return f"{n:,} {one if n == 1 else many or one + 's'}"


def _escape(text: str) -> str:
    return html.escape(_UNFIT.sub("\ufffd", text.replace("\r\n", "\n").replace("\r", "\n")))
