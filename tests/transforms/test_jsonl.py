from __future__ import annotations

import gzip
import io
import itertools
import json
import zlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from schemas.recipes import Extract
from transforms.archive import read_archive
from transforms.inflate import Inflated
from transforms.outcomes import DeadLetter, Outcome, Page, parse_date


def outcomes(data: bytes, extract: Extract | None = None) -> list[Outcome]:
    return list(read_archive(Inflated(io.BytesIO(data)), extract=extract or Extract()))


def name(outcome: Outcome) -> str:
    return "page" if isinstance(outcome, Page) else outcome.reason


def names(data: bytes, extract: Extract | None = None) -> list[str]:
    return list(map(name, outcomes(data, extract)))


def line(**fields: Any) -> bytes:
    return json.dumps({"text": "Some text.", **fields}).encode() + b"\n"


def page(data: bytes) -> Page:
    [found] = outcomes(data)
    assert isinstance(found, Page)
    return found


@pytest.mark.parametrize("file", ["wet/dolma-cc_en_head-0091.jsonl.gz", "wet/dolma-provided-000.json.gz",
                                  "dedupe/parkr-ndd-100docs.jsonl.gz"])
def test_real_files_give_what_json_gives_and_can_be_fetched_again(file: str, data_folder: Path) -> None:
    packed = (data_folder / file).read_bytes()
    plain = gzip.decompress(packed)
    rows = [json.loads(row) for row in plain.splitlines()]
    lines = plain.splitlines(keepends=True)
    for data in (packed, plain, b"".join(map(gzip.compress, lines)), b"".join(
        gzip.compress(plain[i : i + 10_000]) for i in range(0, len(plain), 10_000)
    )):
        found = outcomes(data)
        assert [f.text for f in found if isinstance(f, Page)] == [row["text"].strip() for row in rows]
        assert [f.record_id for f in found if isinstance(f, Page)] == [row["id"] for row in rows]
        assert len({(f.offset, f.inner_offset) for f in found if isinstance(f, Page)}) == len(rows)
        for f, text in zip(found, lines, strict=True):
            assert isinstance(f, Page)
            there = data[f.offset :]
            if data is not plain:
                there = zlib.decompressobj(wbits=31).decompress(there)[f.inner_offset :]
            assert text.startswith(there[: len(text)])
            assert there.startswith(b"{")


DEEP = b"[" * 200_000


@pytest.mark.parametrize(("broken", "reason"), [
    (b"{oops}\n", "bad_json"), (b"[1]\n", "bad_json"), (b"\"text\"\n", "bad_json"), (b"{\"text\": \"a\n", "bad_json"),
    (b"{\"text\": " + DEEP + b"\n", "bad_json"), (b"{\"n\": " + b"1" * 5000 + b"}\n", "bad_json"),
    (b"{\"text\": \"\xff\"}\n", "not_unicode"), (line(text="\ud800 alone"), "not_unicode"),
    (b"{}\n", "no_text"), (line(text=None), "no_text"), (line(text=["a"]), "no_text"), (line(text=7), "no_text"),
    (b'{"\\ud800": 1}\n', "no_text"), (b'{"' + b"k" * 9000 + b'": 2}\n', "no_text"),
    (line(text=" \r\n\t"), "empty_text"),
])
def test_a_bad_line_is_one_outcome_and_the_next_is_read(broken: bytes, reason: str) -> None:
    before, bad, after = outcomes(line() + broken + line())
    assert [name(before), name(bad), name(after)] == ["page", reason, "page"]
    if isinstance(bad, DeadLetter):
        assert (bad.offset, bad.inner_offset, bad.length) == (len(line()), 0, len(broken))
        assert bad.record == broken[: 64 << 10]
        assert len(bad.detail.encode()) <= 500  # neither lone surrogates nor whole records


def test_odd_but_good_lines() -> None:
    crlf, unended = line().replace(b"\n", b"\r\n"), line().rstrip()
    assert names(b"\xef\xbb\xbf" + line() + b"\r\n \n\n" + crlf + unended) == ["page"] * 3
    assert page(b'{"text": "a", "score": NaN, "n": 1e999, "big": ' + b"7" * 4000 + b"}").text == "a"
    assert page(line(text=" a\r\nb\rc \n")).text == "a\nb\nc"
    assert page(line(text="\U0001f600 pair")).text == "\U0001f600 pair"
    assert page(line(id=12)).record_id == "12"
    assert page(line(id="\ud800")).record_id == "?"
    assert page(line(id={"a": 1})).record_id is None
    assert page(line(url="http://a", metadata={"url": "http://b"})).url == "http://a"
    assert page(line(metadata={"url": "http://b"})).url == "http://b"
    assert page(line(url=["x"], metadata="not a mapping")).url is None


def test_lines_over_the_limit_are_skipped_whole() -> None:
    extract = Extract(max_record_bytes=100)
    fit = line(text="x" * (100 - len(line(text=""))))
    assert len(fit) == 100
    assert names(fit + fit, extract) == ["page", "page"]
    for size in (102, 199, 200, 201, 202, 1000):
        over = b'{"text": "' + b"x" * (size - 13) + b'"}\n'
        found = outcomes(fit + over + fit, extract)
        assert list(map(name, found)) == ["page", "too_long", "page"]
        last = found[2]
        assert isinstance(last, Page)
        assert last.offset == 100 + len(over)
        assert names(fit + over.rstrip(), extract) == ["page", "too_long"]
    assert names(line(text="é" * 10), Extract(max_text_bytes=20)) == ["page"]
    assert names(line(text="é" * 10), Extract(max_text_bytes=19)) == ["text_too_long"]


def test_an_over_long_line_that_is_cut_counts_once() -> None:
    data = gzip.compress(line() + b'{"text": "' + bytes(range(32, 127)) * 1000, 0)
    found = outcomes(data[:60_000], Extract(max_record_bytes=100))
    assert list(map(name, found)) == ["page", "truncated"]
    assert isinstance(found[1], DeadLetter)
    assert (found[1].offset, found[1].inner_offset, found[1].length) == (0, len(line()), 60_000)


@pytest.mark.parametrize("members", [1, 6])
def test_a_cut_file_gives_what_is_whole_and_one_dead_letter_for_the_rest(members: int) -> None:
    lines = [line(text=f"Text {k}. " * (1 + 7 * k), id=k) for k in range(6)]
    parts = lines if members == 6 else [b"".join(lines)]
    packed = [gzip.compress(part, mtime=0) for part in parts]
    data, ends = b"".join(packed), [0, *itertools.accumulate(map(len, packed))]
    whole = outcomes(data)
    assert list(map(name, whole)) == ["page"] * 6
    for cut in sorted({*range(0, len(data), 11), *range(30), len(data) - 1, *ends}):
        found = outcomes(data[:cut])
        pages = [o for o in found if isinstance(o, Page)]
        assert pages == whole[: len(pages)]
        broken = "unknown_format" if cut == 1 else "truncated"
        assert [name(o) for o in found[len(pages) :]] == ([] if cut in ends else [broken])
        if members == 6:
            assert len(pages) >= sum(end <= cut for end in ends[1:])
        for letter in found[len(pages) :]:
            assert isinstance(letter, DeadLetter)
            assert letter.offset + letter.length == cut
            assert (letter.offset, letter.inner_offset) not in {(p.offset, p.inner_offset) for p in pages}


@pytest.mark.parametrize(("fields", "expected"), [
    ({"date": "2024-05-06T07:08:09Z"}, datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)),
    ({"created": "2024-05-06T07:08:09.987654+02:00"}, datetime(2024, 5, 6, 5, 8, 9, tzinfo=UTC)),
    ({"timestamp": " 2024-05-06 07:08:09 "}, datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)),
    ({"added": "2024-05-06"}, datetime(2024, 5, 6, tzinfo=UTC)),
    ({"date": "garbage", "added": "2024-05-06"}, datetime(2024, 5, 6, tzinfo=UTC)),
    ({"date": 1714979289, "created": ""}, None), ({"date": "99999-01-01"}, None), ({"date": "2024-13-01"}, None),
    ({"date": "0001-01-01T00:00:00+14:00"}, None), ({"date": "9999-12-31T23:59:59-14:00"}, None), ({}, None),
])
def test_dates(fields: dict[str, Any], expected: datetime | None) -> None:
    assert page(line(**fields)).date == expected


def test_no_date_is_no_date() -> None:
    assert parse_date(None) is parse_date("") is parse_date("\0") is parse_date("٢٠٢٤-٠١-٠١") is None
