"""Which rows of an index are chosen, and the places that come of them, beside plain Python."""

from __future__ import annotations

import fnmatch
import gzip
import io
import json
from datetime import UTC, datetime

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.places import FILES, PLACES
from transforms.cdxj import MAX_LINE, BadLineError, of_pages, read_cdxj
from transforms.index_rows import BadPlaceError, Filters, Places, by_file, chosen, may_hold


def kept(name: str, values: list[object], kind: pa.DataType, **filters: object) -> list[bool]:
    columns = {name: pa.array(values, kind)}
    return chosen(columns, rows=len(values), filters=Filters(**filters)).to_pylist()  # type: ignore[arg-type]


def seconds(*moments: str) -> list[object]:
    return [int(datetime.fromisoformat(m).replace(tzinfo=UTC).timestamp()) for m in moments]


def test_days_hold_their_first_and_their_last_second() -> None:
    moments = seconds("2026-01-01T23:59:59", "2026-01-02T00:00:00", "2026-01-03T23:59:59", "2026-01-04T00:00:00")
    assert kept("fetched", moments, pa.int64(), since="20260102", until="20260103") == [False, True, True, False]
    assert kept("fetched", moments, pa.int64(), since="20260102") == [False, True, True, True]
    assert kept("fetched", moments, pa.int64(), until="20260103") == [True, True, True, False]
    assert kept("fetched", [None], pa.int64(), until="20260103") == [False]


def test_any_of_a_pages_languages_counts_and_no_part_of_one() -> None:
    values: list[object] = ["deu", "eng,deu", "eng,deu,fra", "de", "deut", "xdeu", "", None, "DEU"]
    expected = [True, True, True, False, False, False, False, False, False]
    assert kept("languages", values, pa.string(), languages=("deu",)) == expected
    assert kept("languages", values, pa.string(), languages=("fra", "deu")) == expected


@pytest.mark.parametrize("name", ["domain", "tld", "mime"])
def test_values_are_equal_or_not(name: str) -> None:
    values: list[object] = ["a.b", "A.b", "xa.b", None, "c"]
    assert kept(name, values, pa.string(), **{name: ("a.b", "c")}) == [True, False, False, False, True]


def test_several_filters_hold_together() -> None:
    columns = {"status": pa.array([200, 200, 404, None]), "tld": pa.array(["de", "fr", "de", "de"])}
    assert chosen(columns, rows=4, filters=Filters(status=(200,), tld=("de",))).to_pylist() == [True] + [False] * 3


@given(st.text("ab.*?[\n/é", max_size=5), st.text("ab.[\n/é", max_size=6))
def test_a_pattern_of_addresses_has_stars_and_question_marks(pattern: str, url: str) -> None:
    if not pattern:
        return
    expected = fnmatch.fnmatchcase(url, pattern.replace("[", "[[]"))
    assert kept("url", [url], pa.string(), url=(pattern,)) == [expected]


@given(
    st.lists(st.sampled_from(["a.org", "b.org", "c.de", "d.fr", "é.fr"]), min_size=1),
    st.sets(st.sampled_from(["a.org", "bb.org", "c.de", "z.z"]), min_size=1),
)
def test_statistics_rule_out_no_row_that_is_chosen(values: list[str], asked: set[str]) -> None:
    filters = Filters(domain=tuple(asked))
    if any(kept("domain", list(values), pa.string(), domain=filters.domain)):
        assert may_hold("domain", min(values), max(values), filters=filters)


def test_statistics_at_their_bounds() -> None:
    first, last = seconds("2026-01-02T00:00:00", "2026-01-02T23:59:59")
    filters = Filters(since="20260102", until="20260102", status=(200,))
    assert may_hold("fetched", first, first, filters=filters) and may_hold("fetched", last, last, filters=filters)
    assert not may_hold("fetched", first - 9, first - 1, filters=filters)  # type: ignore[operator]
    assert not may_hold("fetched", last + 1, last + 9, filters=filters)  # type: ignore[operator]
    assert may_hold("status", 100, 200, filters=filters) and may_hold("status", 200, 300, filters=filters)
    assert not may_hold("status", 100, 199, filters=filters) and not may_hold("status", 201, 999, filters=filters)


PLACE = st.tuples(st.sampled_from(["b/x", "a/x", "a/y-1"]), st.integers(0, 40), st.integers(1, 9))


@given(st.lists(st.lists(PLACE, max_size=8), max_size=4))
def test_places_are_sorted_and_each_is_there_once(batches: list[list[tuple[str, int, int]]]) -> None:
    places = Places()
    for batch in batches:
        places.add(*(pa.array([p[k] for p in batch], kind) for k, kind in enumerate(PLACES.types)))
    table, summary = places.tables()
    rows = [tuple(r.values()) for r in pa.Table.from_batches(list(table), PLACES).to_pylist()]
    longest: dict[tuple[str, int], int] = {}
    for file, offset, length in (p for batch in batches for p in batch):
        longest[file, offset] = max(length, longest.get((file, offset), 0))
    assert rows == sorted((*place, length) for place, length in longest.items())
    assert summary.schema == FILES
    files = sorted({file for file, _ in longest})
    assert summary.to_pylist() == [
        {"file": name, "records": sum(f == name for f, _ in longest),
         "bytes": sum(n for (f, _), n in longest.items() if f == name)}
        for name in files
    ]
    backwards = [dict(zip(PLACES.names, r, strict=True)) for r in rows[::-1]]
    again = by_file(pa.Table.from_pylist(backwards, PLACES).to_batches())
    assert list(again) == [(f, [(o, n) for name, o, n in rows if name == f]) for f in files]


@pytest.mark.parametrize("file", [
    "/etc/x", "../x", "a/../x", "a//b", "a/.b", "a b", "a%2fb", "a\n", "", "https://h/x", None,
])  # fmt: skip
def test_a_name_that_could_lead_elsewhere_is_refused(file: str | None) -> None:
    with pytest.raises(BadPlaceError, match="no relative path"):
        Places().add(pa.array(["ok", file]), pa.array([0, 0]), pa.array([1, 1]))


@pytest.mark.parametrize(("offset", "length"), [(-1, 1), (0, 0), (None, 1), (0, None)])
def test_a_place_outside_any_file_is_refused(offset: int | None, length: int | None) -> None:
    with pytest.raises(BadPlaceError, match="an offset is below 0, or a length below 1"):
        Places().add(pa.array(["ok"]), pa.array([offset], pa.int64()), pa.array([length], pa.int64()))


GOOD = {"url": "https://www.a.co.uk/x", "filename": "w.gz", "offset": "7", "length": "9"}


def lines(*texts: str, packed: bool = False, **filters: object) -> list[dict[str, object]]:
    data = "".join(f"{t}\n" for t in texts).encode()
    data = gzip.compress(data) if packed else data
    found = read_cdxj(io.BytesIO(data), filters=Filters(**filters))  # type: ignore[arg-type]
    return [row for batch in found for row in batch.to_pylist()]


def text(**fields: object) -> str:
    return f"uk,co,a)/x 20260102030405 {json.dumps(GOOD | fields)}"


def test_a_line_of_cdxj_as_columns() -> None:
    mime = {"mime": "text/html", "mime-detected": "application/xhtml+xml"}
    full = text(**mime, status="200", languages="eng,deu")
    [row] = lines("# a remark", "!meta {}", "", full, domain=("b.de", "a.co.uk"))
    assert row == {
        "url": "https://www.a.co.uk/x", "domain": "a.co.uk", "tld": "uk", "mime": "application/xhtml+xml",
        "languages": "eng,deu", "status": 200, "fetched": seconds("2026-01-02T03:04:05")[0], "file": "w.gz",
        "offset": 7, "length": 9,
    }  # fmt: skip
    [row] = lines(text(mime="text/plain", status="-"), domain=("co.ukk", "xa.co.uk", ".co.uk"), packed=True)
    assert (row["domain"], row["mime"], row["languages"], row["status"]) == (None, "text/plain", None, None)
    assert lines(text(url="http://[bad"))[0]["tld"] is None
    assert [r["url"] for r in lines(text(url="a"), text(url="b"))] == ["a", "b"]


@pytest.mark.parametrize("wrong", [
    "uk,co,a)/x 20260102030405", "x 2026 {}", "x 20260102030405 {", "x 20260102030405 []", text(length="x"),
    text(offset=None), "x 20260102030405 {}", "x y z", "[" * 2000, "x 20260102030405 " + "[" * 100_000,
])  # fmt: skip
def test_a_line_that_is_no_cdxj_is_told_of_by_its_number(wrong: str) -> None:
    with pytest.raises(BadLineError, match="line 2 is no CDXJ"):
        lines(text(), wrong)


def test_a_line_without_end_is_not_read_into_memory() -> None:
    with pytest.raises(BadLineError, match="line 1 is longer than 1 MiB"):
        lines("x" * (MAX_LINE + 1))


def test_a_damaged_index_is_not_taken_for_a_short_one() -> None:
    packed = gzip.compress("".join(f"{text()}\n" for _ in range(40)).encode())
    with pytest.raises(BadLineError):
        list(read_cdxj(io.BytesIO(packed[:-9]), filters=Filters()))


def test_archives_of_other_records_are_told_by_their_names() -> None:
    names = [f"crawl-data/S/segments/1/{kind}/x.warc.gz" for kind in ("warc", "crawldiagnostics", "robotstxt")]
    assert of_pages(pa.array(names)).to_pylist() == [True, False, False]
