from __future__ import annotations

import gzip
import io
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from warcio.archiveiterator import ArchiveIterator

from schemas.recipes import Extract
from transforms.archive import read_archive
from transforms.inflate import Inflated
from transforms.outcomes import DeadLetter, Outcome, Page, Skipped

VERSION_1 = "URL IP-address Archive-date Content-type Archive-length\n"
PACK: dict[str, Callable[[list[bytes]], bytes]] = {
    "plain": b"".join,
    "a member a record": lambda records: b"".join(gzip.compress(r, mtime=0) for r in records),
    "one member": lambda records: gzip.compress(b"".join(records), mtime=0),
}


def record(url: str, block: bytes, *, media_type: str = "text/html", more: str = "") -> bytes:
    return f"{url} 192.0.2.7 20080430204825 {media_type} {more}{len(block)}\n".encode() + block + b"\n"


def page(text: str) -> bytes:
    return f"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<p>{text}</p>".encode()


def crawl(more: str = "") -> list[bytes]:
    head = "2 0 A writer\nURL IP-address Archive-date Content-type Result-code Checksum Location Offset Filename " \
        "Archive-length\n" if more else f"1 0 A writer\n{VERSION_1}"
    return [
        record("filedesc://a.arc", head.encode(), media_type="text/plain", more=more),
        record("dns:a.example", b"20080430204825\na.example. 3600 IN A 192.0.2.7", media_type="text/dns", more=more),
        record("http://a.example/", page("The first page of the crawl."), more=more),
        record("http://a.example/with a blank", page("The second page of the crawl."), more=more),
        record("https://a.example/gone", b"HTTP/1.1 404 Not Found\r\n\r\n", more=more),
        record("https://a.example/last", page("The last page of the crawl."), more=more),
    ]


def outcomes(data: bytes) -> list[Outcome]:
    return list(read_archive(Inflated(io.BytesIO(data)), extract=Extract()))


@pytest.mark.parametrize("packing", PACK)
def test_pages_are_those_that_warcio_finds(packing: str) -> None:
    data = PACK[packing](crawl())
    pages = [o for o in outcomes(data) if isinstance(o, Page)]
    found = {
        (r.rec_headers.get_header("WARC-Target-URI"), r.rec_headers.get_header("WARC-Date"), r.content_stream().read())
        for r in ArchiveIterator(io.BytesIO(PACK["a member a record"](crawl())), arc2warc=True)
        if r.rec_type == "response" and r.http_headers and r.http_headers.get_statuscode() == "200"
    }
    ours = {
        (str(p.url).replace(" ", "%20"), f"{p.date:%Y-%m-%dT%H:%M:%SZ}", f"<p>{p.text}</p>".encode()) for p in pages
    }
    assert ours == found
    assert len(found) == 3


@pytest.mark.parametrize("more", ["", "200 ABC - 0 a.arc "], ids=["version 1", "version 2"])
def test_each_record_has_its_fate_and_its_place(more: str) -> None:
    records = crawl(more)
    starts = [sum(map(len, records[:k])) for k in range(len(records))]
    found = outcomes(b"".join(records))
    assert [o if isinstance(o, Skipped) else type(o) for o in found] == [
        Skipped("record_type_warcinfo"), Skipped("record_type_unknown"), Page, Page, Skipped("http_status"), Page,
    ]
    assert [o.offset for o in found if isinstance(o, Page)] == [starts[k] for k in (2, 3, 5)]
    assert {o.date for o in found if isinstance(o, Page)} == {datetime(2008, 4, 30, 20, 48, 25, tzinfo=UTC)}


@pytest.mark.parametrize("length", ["-1", "abc", "", "9" * 19])
def test_a_length_that_is_none_costs_its_record(length: str) -> None:
    records = crawl()
    line, _, block = records[3].partition(b"\n")
    records[3] = line.rpartition(b" ")[0] + f" {length}\n".encode() + block
    found = outcomes(b"".join(records))
    [letter] = [o for o in found if isinstance(o, DeadLetter)]
    assert (letter.reason, letter.length) == ("damaged", len(records[3]))
    assert [o.url for o in found if isinstance(o, Page)] == ["http://a.example/", "https://a.example/last"]


@pytest.mark.parametrize("packing", ["plain", "a member a record"])
def test_every_cut_keeps_what_lies_before_it(packing: str) -> None:
    records = crawl()
    whole = outcomes(b"".join(records))
    ends = [len(PACK[packing](records[: k + 1])) for k in range(len(records))]
    data = PACK[packing](records)
    for cut in range(20, len(data)):
        found = outcomes(data[:cut])
        before = sum(end <= cut for end in ends)
        fates = [getattr(o, "url", o) for o in found if not isinstance(o, DeadLetter)]
        assert fates[:before] == [getattr(o, "url", o) for o in whole[:before]], cut
        assert len(found) <= before + 2


def test_an_address_with_what_looks_like_a_hundred_dates_is_read_in_one_pass() -> None:
    line = b"http://a.example/" + b" 1.1.1.1 20080430204825" * 2500 + b"\n"
    assert all(isinstance(o, DeadLetter | Skipped) for o in outcomes(crawl()[0] + line * 20))


def test_the_broken_ones(data_folder: Path) -> None:
    found = {
        name: [type(o).__name__ for o in outcomes((data_folder / "malformed" / name).read_bytes())]
        for name in ("warcio-bad.arc", "aut-badexample.arc.gz", "iipc-blackbook-truncated.arc")
    }
    assert found["warcio-bad.arc"] == ["DeadLetter"] * 3
    assert found["aut-badexample.arc.gz"].count("Page") == 2, "the second has no date"
    assert found["iipc-blackbook-truncated.arc"].count("Page") == 3
