from __future__ import annotations

import gzip
import io
import itertools
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fastwarc.warc import ArchiveIterator

import transforms.warc
from schemas.recipes import Extract
from transforms.archive import archive_format, read_archive
from transforms.inflate import Inflated
from transforms.outcomes import RECORD_SAMPLE, DeadLetter, Outcome, Page

MALFORMED = {
    "aut-badexample.arc.gz": "page:2 =unknown:1 =warcinfo:1 truncated:1",
    "aut-issue-493.warc": "empty_text:1 http_status:1 media_type:5 page:3 =request:15 =revisit:5 =warcinfo:2",
    "aut-issue-514.warc": "http_status:1 page:1 =metadata:1 =request:2 =resource:2 =warcinfo:1",
    "cc-main-2016-50-lf-only.warc.gz": "damaged:6 page:1 =metadata:4 =request:5 =warcinfo:1 truncated:1",
    "cc-main-2016-50-lf-only.warc.wat.gz": "damaged:1 =metadata:14 =warcinfo:1",
    "gensim-bgwiki-utf16.xml.bz2": "page:1 wiki_namespace:2",
    "iipc-blackbook-truncated.arc": "media_type:4 page:3 =unknown:1 =warcinfo:1",
    "iipc-double-single-inflate-error.gz": "truncated:1",
    "iipc-lf-only-link-extraction-test.warc": "empty_text:1 page:6 =warcinfo:1",
    "iipc-multiple-headers.warc": "empty_text:1",
    "pipestream-single-gzip-member.warc.gz": "empty_text:1 media_type:1 page:13 =request:15 =warcinfo:1",
    "pywb-missing-status-text.warc": "http_status:1",
    "resiliparse-block-sized-records.warc.gz": "=unknown:3",
    "resiliparse-clipped.warc.gz": "truncated:1",
    "ungoliant-garbage.bin": "unknown_format:1",
    "warcio-bad.arc": "bad_http:1 damaged:1 truncated:1",
    "warcio-example-bad-non-chunked.warc.gz": "page:1 =request:2 =revisit:1 =warcinfo:2",
    "warcio-example-bad.warc.gz.bad": "http_status:1 page:1 =request:2 =revisit:1 =warcinfo:1",
    "warcio-example-space-in-target-uri.warc.gz": "=resource:1 =warcinfo:1",
    "warcio-example-trunc.warc": "bad_encoding:1 damaged:1 =request:1 =warcinfo:2",
    "warcio-example-wget-bad-target-uri.warc.gz": "page:1 =metadata:1 =request:1 =resource:2 =warcinfo:1",
    "warcio-example-wrong-chunks.warc.gz": "page:1 =request:1",
}
"""Outcomes by name; `=` stands for record_type_."""
PACKINGS: dict[str, Callable[[list[bytes]], bytes]] = {
    "a member a record": lambda records: b"".join(gzip.compress(r, 1, mtime=0) for r in records),
    "one member": lambda records: gzip.compress(b"".join(records), 1, mtime=0),
    "uncompressed": b"".join,
}


def outcomes(data: bytes, extract: Extract | None = None) -> list[Outcome]:
    return list(read_archive(Inflated(io.BytesIO(data)), extract=extract or Extract()))


def name(outcome: Outcome) -> str:
    return "page" if isinstance(outcome, Page) else outcome.reason


def record(kind: str, block: bytes, *headers: str, number: int = 0, length: int | None = None) -> bytes:
    lines = [
        "WARC/1.0", f"WARC-Type: {kind}", f"WARC-Record-ID: <urn:uuid:{number}>", "WARC-Date: 2024-05-06T07:08:09Z",
        f"WARC-Target-URI: <http://a.example/{number}>", *headers,
        f"Content-Length: {len(block) if length is None else length}", "", "",
    ]
    return "\r\n".join(lines).encode() + block + b"\r\n\r\n"


def texts(count: int) -> list[bytes]:
    blocks = [(f"Text of number {k}. " * (3 + 5 * k)).strip().encode() for k in range(count)]
    return [record("conversion", b, "Content-Type: text/plain", number=k) for k, b in enumerate(blocks)]


def test_damaged_files_end_well(data_folder: Path) -> None:
    found = {}
    for path in sorted((data_folder / "malformed").iterdir()):
        data = path.read_bytes()
        letters = outcomes(data)
        counts = sorted(Counter(map(name, letters)).items())
        found[path.name] = " ".join(f"{k.replace('record_type_', '=')}:{n}" for k, n in counts)
        try:
            assert len(letters) == sum(1 for _ in ArchiveIterator(io.BytesIO(data), parse_http=False))
        except OSError:
            if path.name in ("gensim-bgwiki-utf16.xml.bz2", "iipc-blackbook-truncated.arc"):
                continue  # a good dump of three pages, and an ARC that ends where a record does: no WARC, not damaged
            assert {"damaged", "truncated", "unknown_format"} & set(map(name, letters))  # nor can fastwarc
        else:
            assert "damaged" not in map(name, letters)
        for letter in letters:
            if isinstance(letter, DeadLetter) and letter.reason in ("truncated", "unknown_format"):
                assert letter is letters[-1]
                assert letter.offset + letter.length == len(data)
    assert found == MALFORMED


def test_what_is_lost_after_a_bad_record_is_not_counted_twice(data_folder: Path) -> None:
    data = (data_folder / "malformed/warcio-example-trunc.warc").read_bytes()
    bad, rest = (o for o in outcomes(data) if isinstance(o, DeadLetter))
    assert (bad.reason, rest.reason) == ("bad_encoding", "damaged")
    assert bad.record == data[bad.offset : bad.offset + bad.length]
    assert bad.offset + bad.length == rest.offset
    assert data[rest.offset + rest.length :].startswith(b"WARC/1.0")


@pytest.mark.parametrize("packing", PACKINGS)
def test_a_cut_file_gives_what_is_whole_and_one_dead_letter_for_the_rest(packing: str) -> None:
    records = texts(6)
    data, whole = PACKINGS[packing](records), outcomes(PACKINGS[packing](records))
    assert list(map(name, whole)) == ["page"] * 6
    ends = list(itertools.accumulate(map(len, records)))
    member_ends = list(itertools.accumulate(len(PACKINGS[packing]([r])) for r in records))
    cuts = {*range(0, len(data), 97), *range(8), *(e + d for e in member_ends for d in range(-13, 14))}
    for cut in sorted(c for c in cuts if 0 <= c <= len(data)):
        found = outcomes(data[:cut])
        pages = [o for o in found if isinstance(o, Page)]
        assert pages == whole[: len(pages)]
        letters = found[len(pages) :]
        assert len(letters) <= 1
        if packing == "uncompressed":
            assert len(pages) == sum(end - 4 <= cut for end in ends)  # only the blank lines may lack
            assert bool(letters) == (cut > 0 and not any(end - 4 <= cut <= end for end in ends))
        elif packing == "a member a record":
            assert len(pages) >= sum(end <= cut for end in member_ends)
            assert bool(letters) == (cut not in (0, *member_ends))
        elif packing == "one member":
            assert bool(letters) == (0 < cut < len(data))
        for letter in letters:
            assert isinstance(letter, DeadLetter)
            assert letter.offset + letter.length == cut
            assert letter.reason == ("unknown_format" if cut < 2 or (data[:1] == b"W" and cut < 5) else "truncated")
            assert (letter.offset, letter.inner_offset) not in {(p.offset, p.inner_offset) for p in pages}


def test_records_over_the_limit_are_skipped_unread_and_the_next_is_read() -> None:
    extract = Extract(max_record_bytes=1000)
    exact, over = record("conversion", b"x" * 1000), record("conversion", b"x" * 1001)
    data = exact.replace(b"Content-Length", b"Content-Type: text/plain\r\nContent-Length") + over + texts(1)[0]
    assert list(map(name, outcomes(data, extract))) == ["page", "too_long", "page"]
    cut = over[:-100]
    for packed in (cut, gzip.compress(cut)[:-9]):
        assert list(map(name, outcomes(packed, extract))) == ["truncated"]


def test_text_over_the_limit_is_skipped_in_bytes_of_utf8() -> None:
    data = record("conversion", "é".encode() * 10, "Content-Type: text/plain")
    assert [name(*outcomes(data, Extract(max_text_bytes=n))) for n in (20, 19)] == ["page", "text_too_long"]


@pytest.mark.parametrize("length", ["", "x", "-1", "1e3", "\u0663", "9" * 30, "12, 12"])
def test_a_record_of_no_length_is_lost_up_to_the_next(length: str) -> None:
    bad = record("conversion", b"some text").replace(b"Length: 9", b"Length: " + length.encode())
    before, letter, after = outcomes(texts(1)[0] + bad + texts(1)[0])
    assert isinstance(before, Page) and isinstance(letter, DeadLetter) and isinstance(after, Page)
    assert (letter.reason, letter.offset, letter.length) == ("damaged", len(texts(1)[0]), len(bad))
    assert (after.text, after.offset) == (before.text, len(texts(1)[0] + bad))
    _, tail = outcomes(texts(1)[0] + bad)
    assert isinstance(tail, DeadLetter)
    assert (tail.reason, tail.offset, tail.length) == ("truncated", len(texts(1)[0]), len(bad))


def test_long_http_headers_cost_one_record_at_most() -> None:
    http = b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000 + b"\r\nContent-Type: text/plain\r\n\r\nbody"
    data = record("response", http, "Content-Type: application/http") + texts(1)[0]
    assert list(map(name, outcomes(data))) == ["page", "page"]


def test_headers_without_end_are_given_up() -> None:
    empty = record("metadata", b"")
    cuts = range(5, len(empty) - len(b"\r\n\r\n\r\n"))
    assert [name(*outcomes(empty[:cut])) for cut in cuts] == ["truncated"] * len(cuts)
    found = outcomes(b"WARC/1.0\r\n" + b"X: y\r\n" * 1_000_000)
    assert list(map(name, found)) == ["truncated"]
    assert isinstance(found[0], DeadLetter)
    assert (found[0].length, len(found[0].record)) == (6_000_010, RECORD_SAMPLE)


def test_a_panic_in_a_parser_costs_one_record(monkeypatch: pytest.MonkeyPatch) -> None:
    panic = type("PanicException", (BaseException,), {})
    answers = iter([panic("index out of bounds \ud800"), ("text", "utf-8", None), KeyboardInterrupt()])

    def read_page(*_: object, **__: object) -> tuple[str, str, None]:
        answer = next(answers)
        if isinstance(answer, BaseException):
            raise answer
        return answer

    monkeypatch.setattr(transforms.warc, "read_page", read_page)
    one = record("response", b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\nx", "Content-Type: application/http")
    found = outcomes(one + one)
    assert list(map(name, found)) == ["parser_panic", "page"]
    assert isinstance(found[0], DeadLetter)
    assert (found[0].record + b"\r\n\r\n", found[0].detail) == (one, "index out of bounds ?")
    with pytest.raises(KeyboardInterrupt):
        outcomes(one)


def test_formats_are_told_by_their_first_bytes() -> None:
    assert archive_format(b"\xef\xbb\xbf\r\nWARC/1.1") == archive_format(b"WARC/0.17") == "warc"
    assert archive_format(b"\xef\xbb\xbf \n{") == "jsonl"
    assert [archive_format(b) for b in (b"", b"\n", b"[{}]", b"<xml>", b"warc/1.0")] == [None] * 5
    assert outcomes(b"") == outcomes(gzip.compress(b"")) == []
    assert list(map(name, outcomes(gzip.compress(b"W") + gzip.compress(texts(1)[0][1:])))) == ["page"]


class Endless(io.RawIOBase):
    """One record, again and again, as gzip members."""

    def __init__(self, member: bytes, count: int) -> None:
        self._parts: Iterator[bytes] = itertools.repeat(member, count)

    def read(self, size: int = -1) -> bytes:
        return next(self._parts, b"")


def test_300_mb_of_records_are_read_in_the_memory_of_a_few() -> None:
    member = gzip.compress(record("metadata", b"x" * (1 << 20)) * 10, 1)
    tracemalloc.start()
    count = sum(1 for _ in read_archive(Inflated(Endless(member, 30)), extract=Extract()))  # type: ignore[arg-type]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 300
    assert peak < 5 << 20
