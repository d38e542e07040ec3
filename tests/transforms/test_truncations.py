"""Each good archive, cut off anywhere: what was whole before the cut is kept, and the rest is counted as lost."""

from __future__ import annotations

import bz2
import hashlib
import io
import random
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from schemas.recipes import Extract
from transforms.archive import read_archive
from transforms.extraction import Read, Text, Waiting, finished
from transforms.inflate import Inflated
from transforms.outcomes import DeadLetter, Outcome, Page

CUTS = 200
FILES = [
    "warc/cc-main-2020-34-sample.warc.gz", "warc/cc-main-2024-22-whirlwind.warc.gz",
    "warc/dolma-wget-sample-0000.warc.gz", "warc/ia-2008-heritrix-example.warc.gz", "warc/iipc-wget-urls.warc.gz",
    "warc/pywb-iana-revisits.warc.gz", "warc/ukwa-govuk-2014-a.warc.gz", "warc/ukwa-govuk-2014-b-revisits.warc.gz",
    "warc/ukwa-transfer-compression-brotli.warc.gz", "warc/ukwa-transfer-compression-gzip.warc.gz",
    "warc/ukwa-transfer-compression-none.warc.gz", "wet/cc-main-2016-50-sample-repaired.warc.wet.gz",
    "wet/cc-main-2024-22-whirlwind.warc.wat.gz", "wet/cc-main-2024-22-whirlwind.warc.wet.gz",
    "wet/dolma-cc_en_head-0091.jsonl.gz", "wet/dolma-provided-000.json.gz",
    "wikipedia/enwiki-table-markup.xml.bz2", "wikipedia/ltgwiki-pages-articles.xml.bz2",
    "wikipedia/enwiki-pages-articles1-p10p30302-shortened.xml.bz2",
]
SMALL = {"warc/cc-main-2024-22-whirlwind.warc.gz", "wet/dolma-provided-000.json.gz", "warc/iipc-wget-urls.warc.gz",
         "wikipedia/enwiki-table-markup.xml.bz2", "warc/ukwa-transfer-compression-none.warc.gz"}
HERE = [pytest.param(f, marks=() if f in SMALL else (pytest.mark.slow, pytest.mark.timeout(1800))) for f in FILES]


def digests(records: Iterable[Read]) -> Iterator[Outcome]:
    """Instead of extracting, which is not asked here: of each body its hash."""
    for r in records:
        if isinstance(r, Waiting):
            yield finished(r, Text(text=hashlib.sha256(r.question.body).hexdigest(), charset="", media_type=None))
        else:
            yield r


def read(data: bytes) -> list[Outcome]:
    return list(read_archive(Inflated(io.BytesIO(data)), extract=Extract(), settle=digests))


def inflated(data: bytes) -> list[tuple[int, int]]:
    """(first byte in the file, inflated bytes) of each member, the last perhaps not whole, by the libraries alone."""
    members, at = [], 0
    while at < len(data):
        one = bz2.BZ2Decompressor() if data.startswith(b"B") else zlib.decompressobj(wbits=31)
        members.append((at, len(one.decompress(data[at:]))))
        if not one.eof:
            break
        at = len(data) - len(one.unused_data)
    return members


def check(data: bytes, whole: list[Outcome], cut: int) -> None:
    found = read(data[:cut])
    good = [o for o in whole if isinstance(o, Page)]
    pages = [o for o in found if isinstance(o, Page)]
    assert pages == good[: len(pages)]
    there = dict(inflated(data[:cut]))
    # a page is whole where the next one has begun
    begun = [there.get(p.offset, -1) > p.inner_offset for p in good[1:]]
    assert len(pages) >= sum(begun)
    before = [o for o in whole if isinstance(o, DeadLetter)]
    letters = [o for o in found if isinstance(o, DeadLetter)]
    assert letters[:-1] == before[: len(letters) - 1]
    if letters and letters[-1] not in before:
        assert letters[-1].reason in ("truncated", "unknown_format")
        assert letters[-1].offset + letters[-1].length == cut
        assert all((p.offset, p.inner_offset) < (letters[-1].offset, letters[-1].inner_offset) for p in pages)
    else:
        assert cut == 0 or cut in there or cut - inflated_end(data, cut) == 0


def inflated_end(data: bytes, cut: int) -> int:
    """Where the last whole member of data[:cut] ends."""
    end = 0
    while end < cut:
        one = bz2.BZ2Decompressor() if data.startswith(b"B") else zlib.decompressobj(wbits=31)
        one.decompress(data[end:cut])
        if not one.eof:
            break
        end = cut - len(one.unused_data)
    return end


@pytest.mark.parametrize("file", HERE)
def test_a_cut_anywhere_keeps_what_is_before_it(file: str, data_folder: Path) -> None:
    data = (data_folder / file).read_bytes()
    whole = read(data)
    seeded = random.Random(hashlib.sha256(file.encode()).digest())
    for _ in range(CUTS):
        check(data, whole, seeded.randrange(len(data)))
