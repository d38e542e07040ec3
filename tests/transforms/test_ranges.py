from __future__ import annotations

import gzip
import io
import json
import random
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.recipes import Extract
from transforms.archive import read_archive
from transforms.inflate import Inflated
from transforms.outcomes import DeadLetter, Outcome, Page
from transforms.ranges import can_be_split, read_range

RANDOM = random.Random(11)


def whole(data: bytes) -> list[Outcome]:
    return list(read_archive(Inflated(io.BytesIO(data)), extract=Extract()))


def ranges(data: bytes, size: int) -> list[list[Outcome]]:
    cuts = range(0, len(data), size)
    return [list(read_range(io.BytesIO(data), extract=Extract(), start=k, end=min(k + size, len(data)))) for k in cuts]


def joined(parts: list[list[Outcome]]) -> list[Outcome]:
    return [outcome for part in parts for outcome in part]


def record(number: int, block: bytes, kind: str = "conversion") -> bytes:
    lines = [
        "WARC/1.0", f"WARC-Type: {kind}", f"WARC-Record-ID: <urn:uuid:{number}>", "Content-Type: text/plain",
        f"Content-Length: {len(block)}", "", "",
    ]
    return "\r\n".join(lines).encode() + block + b"\r\n\r\n"


def members(records: list[bytes], level: int = 6) -> bytes:
    return b"".join(gzip.compress(r, level, mtime=0) for r in records)


def prose(number: int) -> bytes:
    return " ".join(f"word{RANDOM.randrange(999)}" for _ in range(10 + 37 * number % 400)).encode()


INNER = [record(1000 + k, RANDOM.randbytes(400).hex().encode()) for k in range(80)]
TRAPS = [
    b"".join(INNER),  # an archive in a record: from inside, its records look as good as the outer ones
    members(INNER), members(INNER, 0),  # one that was packed, which deflate stores verbatim
    b"\r\n\r\nWARC/1.0\r\n" * 30,
    b"text\r\n\r\nWARC/1.0\r\nWARC-Type: response\r\nContent-Length: 3\r\n\r\nabc\r\n\r\n" * 9,
    b"\x1f\x8b\x08" * 200, gzip.compress(b"WARC/1.0\r\n\r\n", mtime=0), b"",
]
RECORDS = [record(k, prose(k)) for k in range(20)]
for _k, _trap in enumerate(TRAPS):
    RECORDS.insert(2 * _k + 1, record(500 + _k, _trap, "conversion" if _k % 2 else "resource"))
LINES = [json.dumps({"text": f"line {k} " + "x" * (k * 41 % 700), "id": k}).encode() + b"\n" for k in range(60)]
JSONL = b"\xef\xbb\xbf" + b"".join(LINES[:20]) + b"\n\r\n{broken\n\n" + b"".join(LINES[20:]).rstrip(b"\n")


def parquet() -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.table({"text": [f"row {k}" for k in range(40)]}), out, row_group_size=3)
    return out.getvalue()


def stored(records: list[bytes]) -> bytes:
    """Members whose deflate stores everything as it is, so that packed archives inside lie there byte for byte."""
    return members(records, 0)


SPLITTABLE: dict[str, bytes] = {
    "gzip, a member a record": members(RECORDS), "gzip, stored": stored(RECORDS),
    "gzip, members of three records": members([b"".join(RECORDS[k : k + 3]) for k in range(0, len(RECORDS), 3)]),
    "gzip, padded": b"".join(gzip.compress(r, mtime=0) + bytes(7) for r in RECORDS),
    "gzip, a member from inside a record on": members([
        *RECORDS[:5], (nested := record(900, b"".join(INNER[:9])))[: nested.index(INNER[4])],
        *(nested[nested.index(INNER[4]) :][k : k + 1500] for k in range(0, 9000, 1500)), b"".join(RECORDS[5:]),
    ]),
    "uncompressed": b"".join(RECORDS), "JSON lines": JSONL, "Parquet": parquet(),
}
WHOLE: dict[str, bytes] = {
    "one gzip member": gzip.compress(b"".join(RECORDS)),
    "gzip, members across records": members(
        [b"".join(RECORDS)[k : k + 5000] for k in range(0, sum(map(len, RECORDS)), 5000)]
    ),
    "zstd": b"".join(map(zstandard.compress, RECORDS)), "packed JSON lines": b"".join(map(gzip.compress, LINES)),
    "no format": b"no archive at all " * 99, "gzip of no format": members([b"nothing" * 99] * 9),
}
CASES = {**SPLITTABLE, **WHOLE}
UNSPLIT = {name: whole(data) for name, data in CASES.items()}


@pytest.mark.parametrize("name", CASES)
def test_what_can_be_split(name: str) -> None:
    assert can_be_split(io.BytesIO(CASES[name])) == (name in SPLITTABLE)
    assert not can_be_split(io.BytesIO(b""))


@pytest.mark.parametrize("name", CASES)
@given(size=st.integers(300, 9000) | st.integers(9000, 200_000))
@settings(deadline=None, max_examples=12)
def test_each_record_is_in_exactly_one_range_whatever_their_size(name: str, size: int) -> None:
    parts = ranges(CASES[name], size)
    assert joined(parts) == UNSPLIT[name]
    if name in WHOLE:
        assert parts[0] == UNSPLIT[name]


@pytest.mark.parametrize("name", SPLITTABLE)
def test_ranges_are_not_all_in_the_first(name: str) -> None:
    data = SPLITTABLE[name]
    parts = ranges(data, len(data) // 3 + 1)
    assert len(parts) == 3 and sum(map(bool, parts)) >= 2


@pytest.mark.parametrize("name", ["JSON lines", "Parquet", "gzip, a member a record", "uncompressed"])
def test_a_record_belongs_to_the_range_of_its_first_byte(name: str) -> None:
    """Cuts right at, before and after where a record starts."""
    data = SPLITTABLE[name]
    starts = sorted({o.offset for o in UNSPLIT[name] if isinstance(o, Page)} - {0})
    for start in starts[3:12]:
        for cut in (start - 1, start, start + 1):
            first, second = (list(read_range(io.BytesIO(data), extract=Extract(), start=a, end=b))
                             for a, b in ((0, cut), (cut, len(data))))
            assert first + second == UNSPLIT[name]
            assert any(isinstance(o, Page) and o.offset == start for o in (second if cut <= start else first))


@pytest.mark.parametrize("name", SPLITTABLE)
@given(cut=st.floats(0.02, 1), size=st.integers(500, 20_000))
@settings(deadline=None, max_examples=15)
def test_a_truncated_file_has_its_one_dead_letter_once(name: str, cut: float, size: int) -> None:
    data = SPLITTABLE[name][: int(len(SPLITTABLE[name]) * cut)]
    assert joined(ranges(data, size)) == whole(data)


@pytest.mark.parametrize("name", ["uncompressed", "JSON lines"])
@given(at=st.integers(10, 50_000), junk=st.binary(min_size=1, max_size=40), size=st.integers(500, 20_000))
@settings(deadline=None, max_examples=60)
def test_damage_to_a_plain_file_is_read_the_same(name: str, at: int, junk: bytes, size: int) -> None:
    data = SPLITTABLE[name]
    at %= len(data)
    data = data[:at] + junk + data[at + len(junk) :]
    assert joined(ranges(data, size)) == whole(data)


@given(at=st.integers(10, 10**6), size=st.integers(500, 100_000))
@settings(deadline=None, max_examples=40)
def test_damage_to_a_gzip_warc_costs_its_record_whatever_the_ranges(at: int, size: int) -> None:
    data = SPLITTABLE["gzip, a member a record"]
    at %= len(data)
    data = data[:at] + bytes([data[at] ^ 0x55]) + data[at + 1 :]
    parts, at_once = joined(ranges(data, size)), whole(data)
    good = UNSPLIT["gzip, a member a record"]
    # the words may differ: a codec that meets a range's end tells of it
    assert [told(o) for o in parts] == [told(o) for o in at_once]
    assert len(parts) == len(good)
    assert sum(one != other for one, other in zip(parts, good, strict=True)) <= 1


def told(outcome: Outcome) -> object:
    return replace(outcome, detail="", record=b"") if isinstance(outcome, DeadLetter) else outcome


def test_a_long_single_member_is_looked_through_and_kept_whole() -> None:
    big = gzip.compress(b"".join(record(k, RANDOM.randbytes(3000)) for k in range(300)))
    parts = ranges(big, 100_000)
    assert len(parts) > 8 and len(parts[0]) == 300 and not any(parts[1:])


@pytest.mark.parametrize("far", range(65_533, 65_540))
def test_a_boundary_across_two_reads_is_found(far: int) -> None:
    one, rest = gzip.compress(RECORDS[0]), members(RECORDS)
    data = one + bytes(100 + far - len(one)) + rest
    parts = [list(read_range(io.BytesIO(data), extract=Extract(), start=a, end=b))
             for a, b in ((0, 100), (100, 101 + far), (101 + far, len(data)))]
    assert [len(parts[0]), len(parts[1])] == [1, 1] and joined(parts) == whole(data)


REAL = ["warc/cc-main-2024-22-whirlwind.warc.gz", "warc/cc-main-2020-34-sample.warc.gz", "warc/iipc-wget-urls.warc.gz",
        "warc/ukwa-govuk-2014-a.warc.gz", "warc/dolma-wget-sample-0000.warc.gz", "warc/pywb-iana-revisits.warc.gz",
        "wet/cc-main-2016-50-sample-repaired.warc.wet.gz", "wet/dolma-cc_en_head-0091.jsonl.gz",
        "malformed/warcio-example-trunc.warc", "malformed/resiliparse-clipped.warc.gz", "malformed/aut-issue-493.warc"]
PACKED: dict[str, Callable[[bytes], bytes]] = {
    "as it is": lambda data: data,
    "inflated": lambda data: gzip.decompress(data) if data.startswith(b"\x1f\x8b") else data,
}


@pytest.mark.parametrize("packing", PACKED)
@pytest.mark.parametrize("file", REAL)
def test_real_archives_give_the_same_in_ranges(file: str, packing: str, data_folder: Path) -> None:
    try:
        data = PACKED[packing]((data_folder / file).read_bytes())
    except (EOFError, zlib.error):
        pytest.skip("cut inside its only member")
    expected = whole(data)
    for size in {max(len(data) // n + 1, 400) for n in (1, 2, 3, 40)}:
        assert joined(ranges(data, size)) == expected
