"""Dead letters tried again give what a reader of the whole file would give there, and nothing else."""

from __future__ import annotations

import bz2
import gzip
import io
import json
from collections.abc import Callable

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from schemas.recipes import Extract
from transforms.archive import read_archive
from transforms.inflate import Inflated
from transforms.outcomes import DeadLetter, Outcome, Page, Skipped
from transforms.replay import Lost, replayed

PACK: dict[str, Callable[[list[bytes]], bytes]] = {
    "gzip": lambda records: b"".join(gzip.compress(r, mtime=0) for r in records),
    "one gzip": lambda records: gzip.compress(b"".join(records), mtime=0),
    "zstd": lambda records: b"".join(map(zstandard.compress, records)), "plain": b"".join,
}
SMALL, LARGE = Extract(max_record_bytes=3000), Extract()


def response(number: int, body: bytes, *headers: str) -> bytes:
    block = "\r\n".join(["HTTP/1.1 200 OK", "Content-Type: text/html", *headers, "", ""]).encode() + body
    said = f"WARC-Record-ID: {number}\r\nContent-Length: {len(block)}\r\n\r\n"
    head = "WARC/1.0\r\nWARC-Type: response\r\nContent-Type: application/http\r\n" + said
    return head.encode() + block + b"\r\n\r\n"


def lost(outcomes: list[Outcome]) -> list[Lost]:
    return [
        Lost(offset=o.offset, inner_offset=o.inner_offset, length=o.length, reason=o.reason)
        for o in outcomes if isinstance(o, DeadLetter)
    ]


def read(data: bytes, extract: Extract) -> list[Outcome]:
    return list(read_archive(Inflated(io.BytesIO(data)), extract=extract))


def again(data: bytes, letters: list[Lost], extract: Extract) -> list[Outcome]:
    return list(replayed(io.BytesIO(data), letters, extract=extract))


def bombs() -> list[bytes]:
    """Records whose bodies inflate beyond a small bound, and not beyond a large one, among others."""
    long = gzip.compress(b"<p>" + b"A sentence of the page. " * 1000, mtime=0)
    bombs = {k: response(k, long, "Content-Encoding: gzip") for k in (0, 2, 3)}
    return [bombs.get(k) or response(k, b"<p>Short.") for k in range(6)]


@pytest.mark.parametrize("packing", PACK)
def test_records_of_a_crawl(packing: str) -> None:
    data = PACK[packing](bombs())
    letters, whole = lost(read(data, SMALL)), read(data, LARGE)
    assert [letter.reason for letter in letters] == ["bad_encoding"] * 3
    assert again(data, letters, LARGE) == [whole[0], whole[2], whole[3]]
    assert all(isinstance(o, Page) for o in whole)
    assert again(data, letters, SMALL) == [o for o in read(data, SMALL) if isinstance(o, DeadLetter)]


@pytest.mark.parametrize("packing", ["gzip", "zstd", "plain"])
def test_damage_and_tails_that_have_been_mended(packing: str) -> None:
    good = PACK[packing](bombs())
    third = len(PACK[packing](bombs()[:2]))
    broken = good[:third] + b"\0" * 40 + good[third + 40 :]
    letters = lost(read(broken[:-30], LARGE))
    assert [letter.reason for letter in letters] == ["damaged", "truncated"]
    whole = read(good, LARGE)
    assert again(good, letters, LARGE) == [whole[2], whole[5]]
    found = again(broken[:-30], letters, LARGE)
    assert [(o.offset, o.length) for o in found if isinstance(o, DeadLetter)] == [
        (letter.offset, letter.length) for letter in letters
    ] and len(found) == 2


def test_a_tail_behind_the_last_record_was_nothing() -> None:
    good = PACK["gzip"](bombs())
    letters = lost(read(good[:-4], LARGE))
    assert [(letter.reason, letter.inner_offset > 0) for letter in letters] == [("truncated", True)]
    assert again(good, letters, LARGE) == [Skipped("nothing_lost")]
    assert again(good[:-4], letters, LARGE) == read(good[:-4], LARGE)[-1:]


@pytest.mark.parametrize("packing", PACK)
def test_lines(packing: str) -> None:
    lines = [json.dumps({"text": f"Text {k}."}).encode() + b"\n" for k in range(5)]
    bad = [line.replace(b'"text"', b'"txet"') if k in (0, 1, 3) else line for k, line in enumerate(lines)]
    letters = lost(read(PACK[packing](bad), LARGE))
    assert [letter.reason for letter in letters] == ["no_text"] * 3
    data = PACK[packing](bad)
    assert again(data, letters, LARGE) == [o for o in read(data, LARGE) if isinstance(o, DeadLetter)]
    if packing == "plain":  # the same places
        whole = read(b"".join(lines), LARGE)
        assert again(b"".join(lines), letters, LARGE) == [whole[0], whole[1], whole[3]]


def test_rows() -> None:
    def table(texts: list[str | None]) -> bytes:
        sink = io.BytesIO()
        pq.write_table(pa.table({"text": texts, "id": list(range(len(texts)))}), sink, row_group_size=3)
        return sink.getvalue()

    data = table(["a", None, "c", "d", "e", None, "g"])
    letters = lost(read(data, LARGE))
    assert [(letter.reason, letter.inner_offset) for letter in letters] == [("no_text", 1), ("no_text", 2)]
    assert again(data, letters, LARGE) == [o for o in read(data, LARGE) if isinstance(o, DeadLetter)]
    cut = lost(read(data[:-5], LARGE))
    assert [letter.reason for letter in cut] == ["truncated"]
    assert again(data, cut, LARGE) == read(data, LARGE)


@pytest.mark.parametrize("pack", [bytes, bz2.compress])
def test_pages_of_a_dump(pack: Callable[[bytes], bytes]) -> None:
    def dump(second: bytes) -> bytes:
        site = b"<siteinfo><base>https://x.example/wiki/Main</base></siteinfo>"
        pages = [b"<page><title>T%d</title><ns>0</ns><id>%d</id><revision><text>Text %d.%s</text></revision></page>" % (
            k, k, k, second if k == 1 else b" Good." + b" " * (len(second) - 6)) for k in range(3)]
        return pack(b"<mediawiki>" + site + b"".join(pages) + b"</mediawiki>")

    bad, good = dump(b"</broken>"), dump(b" Mended. ")
    letters, whole = lost(read(bad, LARGE)), read(good, LARGE)
    assert [letter.reason for letter in letters] == ["bad_xml"] and len(whole) == 3
    assert again(good, letters, LARGE) == [whole[1]]


def test_a_place_that_is_no_longer_there_is_told() -> None:
    data = PACK["gzip"](bombs())
    [gone] = again(data, [Lost(offset=len(data) + 5, inner_offset=0, length=7, reason="bad_http")], LARGE)
    assert isinstance(gone, DeadLetter)
    assert (gone.reason, gone.offset, gone.detail) == ("gone", len(data) + 5, "nothing is there now; it was bad_http")
