from __future__ import annotations

import gzip
import io
import itertools
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from fastwarc.warc import ArchiveIterator, WarcRecordType

from schemas.recipes import Extract
from transforms.archive import read_archive
from transforms.inflate import Inflated
from transforms.outcomes import DeadLetter, Outcome, Page, Skipped

GOOD = [
    "warc/cc-main-2020-34-sample.warc.gz", "warc/cc-main-2024-22-whirlwind.warc.gz",
    "warc/dolma-wget-sample-0000.warc.gz", "warc/ia-2008-heritrix-example.warc.gz", "warc/iipc-wget-urls.warc.gz",
    "warc/pywb-iana-revisits.warc.gz", "warc/ukwa-govuk-2014-a.warc.gz", "warc/ukwa-govuk-2014-b-revisits.warc.gz",
    "warc/ukwa-transfer-compression-brotli.warc.gz", "warc/ukwa-transfer-compression-gzip.warc.gz",
    "warc/ukwa-transfer-compression-none.warc.gz", "wet/cc-main-2016-50-sample-repaired.warc.wet.gz",
    "wet/cc-main-2024-22-whirlwind.warc.wat.gz", "wet/cc-main-2024-22-whirlwind.warc.wet.gz",
    "malformed/pipestream-single-gzip-member.warc.gz",
]
REPACKED: dict[str, Callable[[list[bytes]], bytes]] = {
    "a member a record": lambda records: b"".join(gzip.compress(r, 1, mtime=0) for r in records),
    "one member": lambda records: gzip.compress(b"".join(records), 1, mtime=0),
    "uncompressed": b"".join,
    "members across records": lambda records: b"".join(
        gzip.compress(b"".join(records)[i : i + 5000], 1, mtime=0) for i in range(0, sum(map(len, records)), 5000)
    ),
}


def outcomes(data: bytes) -> list[Outcome]:
    return list(read_archive(Inflated(io.BytesIO(data)), extract=Extract()))


def name(outcome: Outcome) -> str:
    return "page" if isinstance(outcome, Page) else outcome.reason


def split(data: bytes) -> Iterator[bytes]:
    """The records of a .warc.gz by fastwarc's positions in the inflated bytes."""
    plain = gzip.decompress(data)
    starts = [r.stream_pos for r in ArchiveIterator(io.BytesIO(plain), parse_http=False)]
    return (plain[a:b] for a, b in itertools.pairwise([*starts, len(plain)]))


@pytest.mark.parametrize("file", GOOD)
def test_good_archives_agree_with_fastwarc_however_they_are_packed(file: str, data_folder: Path) -> None:
    data = (data_folder / file).read_bytes()
    records = list(split(data))
    expected = {
        r.record_id: (r.headers.get("WARC-Target-URI"), r.headers.get("WARC-Date"), r.record_type)
        for r in ArchiveIterator(io.BytesIO(data), parse_http=False)
    }
    original = outcomes(data)
    assert len(original) == len(records)
    assert not any(isinstance(o, DeadLetter) for o in original)
    skipped = Counter(o.reason for o in original if isinstance(o, Skipped) and o.reason.startswith("record_type_"))
    types = Counter(str(r.record_type) for r in ArchiveIterator(io.BytesIO(data), parse_http=False))
    assert skipped == {f"record_type_{t}": n for t, n in types.items() if t not in ("response", "conversion")}
    for pack in REPACKED.values():
        packed = pack(records)
        again = outcomes(packed)
        assert [name(o) for o in again] == [name(o) for o in original]
        assert_refetchable(packed, again)
        for first, second in zip(original, again, strict=True):
            if isinstance(first, Page) and isinstance(second, Page):
                assert replace(first, offset=0, inner_offset=0) == replace(second, offset=0, inner_offset=0)
    assert_refetchable(data, original)
    for page in original:
        if isinstance(page, Page):
            url, date, kind = expected[page.record_id]
            assert page.url == str(url).strip("<>")
            assert f"{page.date:%Y-%m-%dT%H:%M:%SZ}" == date
            assert kind in (WarcRecordType.response, WarcRecordType.conversion)


def assert_refetchable(data: bytes, found: list[Outcome]) -> None:
    pages = [o for o in found if isinstance(o, Page)]
    assert len({(p.offset, p.inner_offset) for p in pages}) == len(pages)
    for page in pages:
        there = data[page.offset :]
        if data.startswith(b"\x1f\x8b"):
            assert there.startswith(b"\x1f\x8b")
            inflater = zlib.decompressobj(wbits=31)
            there = inflater.decompress(there, page.inner_offset + 5000)[page.inner_offset :]
            while inflater.unused_data and len(there) < 5000:
                rest, inflater = inflater.unused_data, zlib.decompressobj(wbits=31)
                there += inflater.decompress(rest)
        else:
            assert page.inner_offset == 0
        assert there.startswith(b"WARC/")
        assert str(page.record_id).encode() in there[: there.index(b"\r\n\r\n")]


def test_the_same_page_in_three_encodings_gives_the_same_text(data_folder: Path) -> None:
    found = [outcomes((data_folder / f"warc/ukwa-transfer-compression-{c}.warc.gz").read_bytes())
             for c in ("none", "gzip", "brotli")]
    [text] = {o.text for file in found for o in file if isinstance(o, Page)}
    assert text.startswith("Simple page\n")


def test_wet_text_is_the_payload(data_folder: Path) -> None:
    data = (data_folder / "wet/cc-main-2016-50-sample-repaired.warc.wet.gz").read_bytes()
    payloads = [r.reader.read().decode("utf-8", "replace").strip()
                for r in ArchiveIterator(io.BytesIO(data), record_types=WarcRecordType.conversion)]
    assert "\r" not in "".join(payloads)
    assert [o.text for o in outcomes(data) if isinstance(o, Page)] == payloads
