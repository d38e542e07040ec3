"""Records at given places are those that a reader of the whole file gives; and how few requests they take."""

from __future__ import annotations

import gzip
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.sample.archive import date, gzip_member, warc_record
from schemas.recipes import Extract
from transforms.archive import read_archive
from transforms.at_places import read_places
from transforms.beam.ranged import GAP, MOST, Ranges, coalesced, only
from transforms.inflate import Inflated
from transforms.outcomes import DeadLetter, Outcome, Page, Skipped

HTTP = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<p>The lamp of the house by the sea, number {}.</p>"
RECORDS = [
    warc_record("response" if k % 3 else "request", name=f"{k}", when=date(k), content_type="application/http",
                block=HTTP.format(k).encode())
    for k in range(12)
]  # fmt: skip


def archive(*, packed: bool) -> tuple[bytes, list[tuple[int, int]]]:
    pieces = [gzip_member(r) if packed else r for r in RECORDS]
    starts = [sum(map(len, pieces[:k])) for k in range(len(pieces))]
    return b"".join(pieces), [(start, len(p)) for start, p in zip(starts, pieces, strict=True)]


def outcomes(data: bytes, places: list[tuple[int, int]]) -> list[Outcome]:
    return list(read_places(io.BytesIO(data), places, extract=Extract()))


@pytest.mark.parametrize("packed", [True, False])
@given(st.sets(st.integers(0, 11)))
def test_any_of_the_places_give_what_the_whole_file_gives(packed: bool, asked: set[int]) -> None:
    data, places = archive(packed=packed)
    whole = list(read_archive(Inflated(io.BytesIO(data)), extract=Extract()))
    assert len(whole) == 12 and {type(o) for o in whole} == {Page, Skipped}
    assert outcomes(data, [places[k] for k in sorted(asked)]) == [whole[k] for k in sorted(asked)]


@pytest.mark.parametrize("packed", [True, False])
def test_each_place_has_one_outcome_whatever_lies_there(packed: bool) -> None:
    data, places = archive(packed=packed)
    (start, length), after = places[4], len(data)
    wrong = [(start + 1, length), (start, length - 30), (start, length + 50), (after, 5), (after - 1, 5), (start, 1)]
    found = outcomes(data, wrong)
    assert [o.reason if isinstance(o, DeadLetter) else "" for o in found] == [
        "no_record", "damaged", "", "no_record", "no_record", "no_record",
    ]  # fmt: skip
    assert [o.offset for o in found if isinstance(o, DeadLetter)] == [start + 1, start, after, after - 1, start]
    assert isinstance(found[2], Page) and "number 4" in found[2].text


def test_a_member_of_something_else_is_no_record() -> None:
    data = gzip.compress(b"hello", mtime=0)
    [letter] = outcomes(data, [(0, len(data))])
    assert isinstance(letter, DeadLetter)
    assert (letter.reason, letter.detail, letter.record) == ("no_record", "no record starts here", b"hello")


SPANS = st.lists(st.tuples(st.integers(0, 300), st.integers(1, 60)), max_size=12)


@given(SPANS, st.integers(0, 40), st.integers(1, 120))
def test_spans_are_covered_and_joined_where_they_are_near(
    places: list[tuple[int, int]], gap: int, most: int
) -> None:
    spans = sorted((start, start + length) for start, length in places)
    found = coalesced(spans, gap=gap, most=most)
    assert all(any(a <= start and end <= b for a, b in found) for start, end in spans)
    assert {a for a, _ in found} <= {a for a, _ in spans} and {b for _, b in found} <= {b for _, b in spans}
    for a, b in found:
        assert b - a <= most or (a, b) in spans
        held = {n for start, end in spans if a <= start and end <= b for n in range(start, end)}
        bare = max((len(run) for run in "".join(".x"[n in held] for n in range(a, b)).split("x")), default=0)
        assert bare <= gap
    assert coalesced([(0, 9), (9 + gap, 30 + gap)], gap=gap, most=1000) == [(0, 30 + gap)]
    assert coalesced([(0, 9), (10 + gap, 30 + gap)], gap=gap, most=1000) == [(0, 9), (10 + gap, 30 + gap)]
    assert coalesced([(0, 9), (9, 20)], gap=gap, most=20) == [(0, 20)]
    assert coalesced([(0, 9), (9, 20)], gap=gap, most=19) == [(0, 9), (9, 20)]


def test_the_gap_and_the_largest_request() -> None:
    first, second, third = (0, 1), (1 + GAP, 2 + GAP), (3 + 2 * GAP, 9 + 2 * GAP)
    assert coalesced([first, second, third]) == [(0, 2 + GAP), third]
    assert coalesced([(0, MOST), (MOST, MOST + 1)]) == [(0, MOST), (MOST, MOST + 1)]


def test_only_the_spans_are_fetched_a_request_each() -> None:
    data, asked = bytes(range(256)) * 4096 * 10, []

    def fetch(start: int, end: int) -> bytes:
        asked.append((start, end))
        return data[start:end]

    file = io.BufferedReader(Ranges(len(data), fetch), 1 << 16)
    spans = [(5, 400_000), (500_000, 500_010), (1_000_000, 1_000_000 + MOST + 5)]
    only(file, spans)
    for start, end in spans:
        file.seek(start)
        read = b"".join(iter(lambda end=end: file.read(min(70_000, end - file.tell())), b""))
        assert read == data[start:end]
    assert asked == [*spans[:2], (1_000_000, 1_000_000 + MOST), (1_000_000 + MOST, 1_000_000 + MOST + 5)]
    file.seek(450_000)
    file.read(1)
    assert asked[-1][0] == 450_000, "what no span holds is fetched as ever"


def test_a_local_file_needs_no_spans(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"abc")
    with open(tmp_path / "x", "rb") as file:
        only(file, [(0, 1)])
        assert file.read() == b"abc"
