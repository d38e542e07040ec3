"""A dump read in ranges gives what it gives as a whole, whatever their size."""

from __future__ import annotations

import bz2
import io
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.recipes import Extract
from transforms.archive import read_archive
from transforms.inflate import Inflated
from transforms.outcomes import DeadLetter, Outcome, Page
from transforms.ranges import can_be_split, read_range

RANDOM = random.Random(17)
HEAD = """<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.10/" version="0.10" xml:lang="xx">
  <siteinfo><base>https://xx.example.org/wiki/Main_Page</base>
    <namespaces><namespace key="0" /><namespace key="14">Laatikko</namespace></namespaces></siteinfo>
"""
END = "</mediawiki>\n"
TRAPS = ["&lt;page&gt;", "&lt;/page&gt;\n  &lt;page&gt;", "BZh91AY&amp;SY", "[[Laatikko:A|b]]", "page>", "{{x}}"]


def page(number: int) -> str:
    words = " ".join(f"word{RANDOM.randrange(9999)}" for _ in range(5 + 61 * number % 300))
    namespace = "" if number % 7 else "<ns>4</ns>"  # where there is none, the title's prefix tells
    title = f"Laatikko:{number}" if number % 11 == 3 else f"Page {number}"
    return f"""  <page>
    <title>{title}</title>{namespace}<id>{number}</id>
    <revision><id>{number}7</id><timestamp>2024-05-06T07:08:09Z</timestamp>
      <text>{TRAPS[number % len(TRAPS)]} text of {number} {words} {TRAPS[(number + 2) % len(TRAPS)]}</text></revision>
  </page>
"""


PAGES = [page(k) for k in range(1, 90)]
XML = HEAD + "".join(PAGES) + END
GROUPS = ["".join(PAGES[k : k + 4]) for k in range(0, len(PAGES), 4)]


def packed(pieces: list[str]) -> bytes:
    return b"".join(bz2.compress(piece.encode()) for piece in pieces)


def every(size: int) -> bytes:
    """As parallel packers write: a stream for each `size` bytes, whatever they hold."""
    return packed([XML[k : k + size] for k in range(0, len(XML), size)])


SPLITTABLE: dict[str, bytes] = {
    "multistream": packed([HEAD, *GROUPS, END]),
    "multistream, a page a stream": packed([HEAD, *PAGES, END]),
    "multistream of unlike sizes": packed([HEAD, PAGES[0], "".join(PAGES[1:70]), PAGES[70], "".join(PAGES[71:]), END]),
    "streams of a multistream dump": packed(GROUPS),
    "uncompressed": XML.encode(),
    "uncompressed, on one line": XML.replace("\n", "").encode(),
    "uncompressed, another encoding": b'<?xml version="1.0" encoding="iso-8859-1"?>'
    + XML.replace("word", "w\u00f6rd").encode("latin-1"),
    "pages without their dump": "".join(PAGES).encode(),
}
WHOLE: dict[str, bytes] = {
    "one stream": bz2.compress(XML.encode()),
    "streams cut anywhere": every(5000),
    "streams padded with zeros": b"".join(bz2.compress(piece.encode()) + b"\0" for piece in [HEAD, *GROUPS, END]),
    "UTF-16": XML.encode("utf-16"),
}
CASES = {**SPLITTABLE, **WHOLE}


def whole(data: bytes) -> list[Outcome]:
    return list(read_archive(Inflated(io.BytesIO(data)), extract=Extract()))


def ranges(data: bytes, size: int) -> list[list[Outcome]]:
    cuts = range(0, len(data), size)
    return [list(read_range(io.BytesIO(data), extract=Extract(), start=k, end=min(k + size, len(data)))) for k in cuts]


def joined(parts: list[list[Outcome]]) -> list[Outcome]:
    return [outcome for part in parts for outcome in part]


UNSPLIT = {name: whole(data) for name, data in CASES.items()}


def test_the_oracle_itself() -> None:
    """Every page has an outcome, made with what siteinfo says, where there is one."""
    for name, found in UNSPLIT.items():
        assert len(found) == len(PAGES) and not any(isinstance(o, DeadLetter) for o in found), name
        if name not in ("streams of a multistream dump", "pages without their dump"):
            pages = [o for o in found if isinstance(o, Page)]
            assert len(pages) == sum(k % 7 != 0 and k % 11 != 3 for k in range(1, 90))
            assert all(p.url and p.url.startswith("https://xx.example.org/wiki/Page_") for p in pages)


@pytest.mark.parametrize("name", CASES)
def test_what_can_be_split(name: str) -> None:
    assert can_be_split(io.BytesIO(CASES[name])) == (name in SPLITTABLE)


@pytest.mark.parametrize("name", CASES)
@given(size=st.integers(300, 9000) | st.integers(9000, 100_000))
@settings(deadline=None, max_examples=12)
def test_each_page_is_in_exactly_one_range_whatever_their_size(name: str, size: int) -> None:
    parts = ranges(CASES[name], size)
    assert joined(parts) == UNSPLIT[name]
    if name in WHOLE:
        assert parts[0] == UNSPLIT[name]


@pytest.mark.parametrize("name", SPLITTABLE)
def test_ranges_are_not_all_in_the_first(name: str) -> None:
    data = SPLITTABLE[name]
    assert sum(map(bool, ranges(data, len(data) // 3 + 1))) >= 2


@pytest.mark.parametrize("name", ["multistream", "uncompressed"])
def test_a_page_belongs_to_the_range_of_its_first_byte(name: str) -> None:
    data = SPLITTABLE[name]
    starts = sorted({o.offset for o in UNSPLIT[name] if isinstance(o, Page)})
    for start in starts[:9]:
        for cut in (start - 1, start, start + 1):
            first, second = (list(read_range(io.BytesIO(data), extract=Extract(), start=a, end=b))
                             for a, b in ((0, cut), (cut, len(data))))
            assert first + second == UNSPLIT[name]
            assert any(isinstance(o, Page) and o.offset == start for o in (second if cut <= start else first))


@pytest.mark.parametrize("name", SPLITTABLE)
@given(cut=st.floats(0.05, 1), size=st.integers(500, 20_000))
@settings(deadline=None, max_examples=15)
def test_a_truncated_dump_has_its_one_dead_letter_once(name: str, cut: float, size: int) -> None:
    data = SPLITTABLE[name][: int(len(SPLITTABLE[name]) * cut)]
    found, expected = joined(ranges(data, size)), whole(data)
    assert [o for o in found if not isinstance(o, DeadLetter)] == [o for o in expected if not isinstance(o, DeadLetter)]
    assert [(o.reason, o.offset + o.length) for o in found if isinstance(o, DeadLetter)] == [
        (o.reason, o.offset + o.length) for o in expected if isinstance(o, DeadLetter)
    ]


@given(at=st.integers(0, 10**6), size=st.integers(500, 20_000))
@settings(deadline=None, max_examples=60)
def test_a_damaged_stream_costs_what_follows_in_its_range(at: int, size: int) -> None:
    data = SPLITTABLE["multistream"]
    at %= len(data)
    data = data[:at] + bytes([data[at] ^ 0x55]) + data[at + 1 :]
    found, expected, good = joined(ranges(data, size)), whole(data), UNSPLIT["multistream"]
    letters = [o for o in found if isinstance(o, DeadLetter)]
    kept = [o for o in found if not isinstance(o, DeadLetter)]
    before = [o for o in expected if not isinstance(o, DeadLetter)]
    assert kept[: len(before)] == before and len(kept) <= len(good)
    assert all(o in good for o in kept if isinstance(o, Page) and o.url)
    assert len(kept) == len(good) or letters
    for letter in letters:
        assert not any(letter.offset < o.offset < letter.offset + letter.length for o in kept if isinstance(o, Page))


def test_a_stream_that_breaks_after_xml_that_is_none_is_lost_with_all_behind_it() -> None:
    """Found by the test above: bytes that the codec hands out before its checksum fails need not be XML, and what was
    behind them in the file stood in no dead letter's length, or in inflated bytes."""
    data, at = SPLITTABLE["multistream"], 16519
    data = data[:at] + bytes([data[at] ^ 0x55]) + data[at + 1 :]
    *_, letter = whole(data)
    assert isinstance(letter, DeadLetter) and letter.reason == "truncated" and "; " in letter.detail
    assert letter.offset < at and letter.offset + letter.length == len(data)
    starts = {o.offset for o in UNSPLIT["multistream"] if isinstance(o, Page)}
    for start, end in ((0, 17_000), (7_249, 14_498)):
        *_, letter = read_range(io.BytesIO(data), extract=Extract(), start=start, end=end)
        assert isinstance(letter, DeadLetter)
        assert letter.offset < at and letter.offset + letter.length in starts


@pytest.mark.parametrize("name", ["multistream", "uncompressed"])
@given(number=st.integers(2, 80), size=st.integers(500, 20_000))
@settings(deadline=None, max_examples=30)
def test_broken_xml_costs_its_page_alone(name: str, number: int, size: int) -> None:
    broken = [p.replace("text of", "a & b") if k == number else p for k, p in enumerate(PAGES)]
    pieces = [HEAD, *("".join(broken[k : k + 4]) for k in range(0, len(broken), 4)), END]
    data = packed(pieces) if name == "multistream" else "".join(pieces).encode()
    found, expected = joined(ranges(data, size)), whole(data)
    assert sum(isinstance(o, DeadLetter) for o in expected) == 1
    for one, other in zip(found, expected, strict=True):
        if isinstance(one, DeadLetter) and isinstance(other, DeadLetter):  # where the bytes lost end is the range's
            assert (one.reason, one.offset, one.inner_offset) == (other.reason, other.offset, other.inner_offset)
        else:
            assert one == other


def test_a_start_of_a_stream_that_is_none() -> None:
    """A whole packed page, byte for byte, where no stream ends: what reads [.., it) would break there."""
    inner = bz2.compress(PAGES[0].encode())
    data = bz2.compress(HEAD.encode()) + inner + b"x" * 20 + inner + bz2.compress(END.encode())
    planted = data.rindex(inner)
    assert list(read_range(io.BytesIO(data), extract=Extract(), start=planted, end=len(data))) == []
    assert joined(ranges(data, 400)) == whole(data)


@pytest.mark.parametrize("wiki", ["ltgwiki-pages-articles", "enwiki-pages-articles1-p10p30302-shortened"])
def test_real_dumps_as_multistream_and_uncompressed(
    wiki: str, data_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("transforms.dump_pages.readable", lambda source, namespaces: source.strip())
    xml = bz2.decompress((data_folder / "wikipedia" / f"{wiki}.xml.bz2").read_bytes())
    head, *pages = xml.split(b"  <page>\n")
    pages[-1], end = pages[-1].rsplit(b"</mediawiki>", 1)
    pages = [b"  <page>\n" + p for p in pages]
    streams = [head, *(b"".join(pages[k : k + 100]) for k in range(0, len(pages), 100)), b"</mediawiki>" + end]
    multistream = b"".join(map(bz2.compress, streams))
    for data in (xml, multistream):
        assert can_be_split(io.BytesIO(data))
        expected = whole(data)
        assert len(expected) == len(pages)
        for size in {len(data) // n + 1 for n in (2, 3, 17)}:
            parts = ranges(data, size)
            assert joined(parts) == expected
            assert sum(map(bool, parts)) > 1


@pytest.mark.parametrize("pack", [packed, lambda pieces: "".join(pieces).encode()])
def test_a_missing_end_is_said_once_and_a_missing_head_not_at_all(pack) -> None:
    """A dump cut between two pages lacks its end tag; the last streams of one have the end tag alone."""
    cut, tail = pack([HEAD, *GROUPS]), pack([*GROUPS, END])
    for data, letters in ((cut, 1), (tail, 0)):
        expected = whole(data)
        assert [isinstance(o, DeadLetter) for o in expected] == [False] * len(PAGES) + [True] * letters
        for size in (700, len(data) // 2 + 1, len(data)):
            found = joined(ranges(data, size))
            assert found[: len(PAGES)] == expected[: len(PAGES)] and len(found) == len(expected)
