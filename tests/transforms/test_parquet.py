from __future__ import annotations

import datetime as dt
import gzip
import io
import json
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.recipes import Extract
from transforms.archive import read_archive
from transforms.inflate import Inflated
from transforms.outcomes import DeadLetter, Outcome, Page, RecordError
from transforms.parquet import read_parquet
from transforms.parquet_footer import row_groups

TEXTS = [f"Text {k}. " * 20 + "end" for k in range(10)]


def parquet(rows: int | None = None, **columns: Any) -> bytes:
    table = pa.table(columns)
    out = io.BytesIO()
    pq.write_table(
        table, out, row_group_size=rows or table.num_rows, write_page_checksum=True, compression="zstd",
        write_statistics=False,
    )
    return out.getvalue()


def outcomes(data: bytes, extract: Extract | None = None) -> list[Outcome]:
    return list(read_archive(Inflated(io.BytesIO(data)), extract=extract or Extract()))


def name(outcome: Outcome) -> str:
    return "page" if isinstance(outcome, Page) else outcome.reason


def letter(data: bytes) -> DeadLetter:
    [found] = outcomes(data)
    assert isinstance(found, DeadLetter)
    return found


def group_starts(data: bytes) -> list[int]:
    """By the library's own word, of files of one column."""
    meta = pq.read_metadata(io.BytesIO(data))
    chunks = [meta.row_group(k).column(0) for k in range(meta.num_row_groups)]
    return [c.dictionary_page_offset if c.has_dictionary_page else c.data_page_offset for c in chunks]


@pytest.mark.parametrize("kind", [
    pa.string(), pa.large_string(), pa.string_view(), pa.binary(), pa.dictionary(pa.int32(), pa.string())
])
def test_rows_are_pages_and_can_be_fetched_by_row_group_and_row(kind: pa.DataType) -> None:
    data = parquet(rows=4, text=pa.array(TEXTS, pa.string()).cast(kind))
    found = [o for o in outcomes(data) if isinstance(o, Page)]
    assert [p.text for p in found] == TEXTS
    starts = group_starts(data)
    assert [(p.offset, p.inner_offset) for p in found] == [(starts[k // 4], k % 4) for k in range(10)]
    for page in found:
        group = pq.ParquetFile(io.BytesIO(data)).read_row_group(starts.index(page.offset))
        cell = group.column("text")[page.inner_offset].as_py()
        assert (cell.decode() if isinstance(cell, bytes) else cell) == page.text


def test_real_texts_give_what_json_lines_give(data_folder: Path) -> None:
    packed = (data_folder / "wet/dolma-cc_en_head-0091.jsonl.gz").read_bytes()
    rows = [json.loads(line) for line in gzip.decompress(packed).splitlines()]
    names = ("text", "id", "created", "added")
    data = parquet(rows=7, **{n: [r.get(n) for r in rows] for n in names})
    plain = "".join(json.dumps({n: r.get(n) for n in names}) + "\n" for r in rows).encode()

    def facts(found: list[Outcome]) -> list[tuple[object, ...]]:
        return [(o.text, o.record_id, o.date, o.charset) for o in found if isinstance(o, Page)]

    assert facts(outcomes(data)) == facts(outcomes(plain))
    assert len(facts(outcomes(data))) == len(rows)


UTC = dt.UTC


@pytest.mark.parametrize(("values", "expected"), [
    (["2024-05-06T07:08:09+02:00"], dt.datetime(2024, 5, 6, 5, 8, 9, tzinfo=UTC)),
    (pa.array([1714979289], pa.timestamp("s")), dt.datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)),
    (pa.array([1714979289_999], pa.timestamp("ms", "UTC")), dt.datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)),
    (pa.array([1714979289_999999], pa.timestamp("us", "Asia/Tokyo")), dt.datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)),
    (pa.array([1714979289_999999999], pa.timestamp("ns")), dt.datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)),
    (pa.array([-1], pa.timestamp("ns")), dt.datetime(1969, 12, 31, 23, 59, 59, tzinfo=UTC)),
    (pa.array([2**62], pa.timestamp("us")), None), (pa.array([None], pa.timestamp("us")), None),
    ([dt.date(2024, 5, 6)], dt.datetime(2024, 5, 6, tzinfo=UTC)), (pa.array([2**31 - 1], pa.date32()), None),
    (pa.array([1714979289], pa.int64()), None), ([["2024-05-06"]], None), (["no date"], None), ([None], None),
])
@pytest.mark.parametrize("column", ["date", "created", "timestamp", "added"])
def test_dates(values: Any, expected: dt.datetime | None, column: str) -> None:
    [page] = outcomes(parquet(text=["t"], **{column: values}))
    assert isinstance(page, Page)
    assert page.date == expected


def test_ids_and_addresses() -> None:
    data = parquet(text=["a", "b"], id=pa.array([7, None]), url=pa.array([b"http://a/\xff", None]))
    first, second = outcomes(data)
    assert isinstance(first, Page) and isinstance(second, Page)
    assert (first.record_id, first.url, second.record_id, second.url) == ("7", "http://a/\ufffd", None, None)
    [page] = outcomes(parquet(text=["a"], id=[{"a": 1}], url=[["u"]]))
    assert isinstance(page, Page) and (page.record_id, page.url) == (None, None)


def test_a_bad_row_is_one_outcome_and_the_next_is_read() -> None:
    texts = pa.array([b"good", None, b"\xff\xfe", b" \n", b"x" * 101, b"y" * 51, b"good"], pa.binary())
    text = pa.Array.from_buffers(pa.string(), 7, texts.buffers())  # Arrow checks no UTF-8
    data = parquet(text=text)
    found = outcomes(data, Extract(max_record_bytes=100, max_text_bytes=50))
    reasons = ["page", "no_text", "not_unicode", "empty_text", "too_long", "text_too_long", "page"]
    assert list(map(name, found)) == reasons
    null, latin = found[1], found[2]
    assert isinstance(null, DeadLetter) and isinstance(latin, DeadLetter)
    assert (null.offset, null.inner_offset, null.length, null.record) == (group_starts(data)[0], 1, 0, b"")
    assert (latin.inner_offset, latin.length, latin.record) == (2, 2, b"\xff\xfe")


@pytest.mark.parametrize(("columns", "says"), [
    ({"body": ["a"]}, "0 columns 'text'"), ({"text": [["a"]]}, "column 'text' is list<"),
    ({"text": [1]}, "column 'text' is int64"), ({"text": [{"a": "b"}]}, "column 'text' is struct<"),
    ({"text": pa.array([None], pa.null())}, "column 'text' is null"),
])
def test_a_file_without_texts_is_one_dead_letter(columns: dict[str, Any], says: str) -> None:
    data = parquet(**columns)
    found = letter(data)
    assert (found.reason, found.offset, found.length, found.record) == ("no_text", 0, len(data), data[: 64 << 10])
    assert found.detail.startswith(says)


def test_two_columns_of_one_name_are_refused() -> None:
    out = io.BytesIO()
    pq.write_table(pa.Table.from_arrays([pa.array(["a"]), pa.array(["b"])], names=["text", "text"]), out)
    assert letter(out.getvalue()).detail.startswith("2 columns 'text'")


def test_every_cut_of_a_file_is_one_dead_letter() -> None:
    data = parquet(text=TEXTS)
    for cut in range(4, len(data)):
        found = letter(data[:cut])
        assert (found.reason, found.offset, found.length) == ("truncated", 0, cut)


def test_a_broken_footer_is_one_dead_letter() -> None:
    data = parquet(text=TEXTS)
    size = int.from_bytes(data[-8:-4], "little")
    for footer in (b"\xff" * size, bytes(size)):
        found = letter(data[: -8 - size] + footer + data[-8:])
        assert (found.reason, found.length) == ("bad_parquet", len(data))
    assert letter(data[:-4] + b"PARE").reason == "bad_parquet"
    assert letter(data[:-8] + b"\xff\xff\xff\x7fPAR1").reason == "bad_parquet"


def test_a_corrupt_page_costs_the_rest_of_its_row_group() -> None:
    data = parquet(rows=4, text=TEXTS)
    _, start, after = group_starts(data)
    losses = 0
    for at in range(start, after):
        broken = bytearray(data)
        broken[at] ^= 0xFF
        found = outcomes(bytes(broken))
        lost = [o for o in found if isinstance(o, DeadLetter)]
        losses += len(lost)
        assert [o.text for o in found if isinstance(o, Page)] == (TEXTS[:4] + TEXTS[8:] if lost else TEXTS)
        assert [(o.reason, o.offset, o.inner_offset, o.length) for o in lost] in (
            [], [("bad_parquet", start, 0, after - start)]
        )
    assert losses > (after - start) * 0.8, "some bytes of a page's header mean nothing"


@settings(deadline=None, max_examples=300)
@given(at=st.integers(4, 10_000), flip=st.integers(1, 255))
def test_whatever_byte_is_changed_no_row_is_wrong_and_something_is_said(at: int, flip: int) -> None:
    data = bytearray(parquet(rows=4, text=TEXTS))
    data[at % len(data)] ^= flip
    found = outcomes(bytes(data))
    texts = [o.text for o in found if isinstance(o, Page)]
    assert set(texts) <= set(TEXTS) and len(texts) == len(set(texts))
    assert len(texts) == 10 or any(isinstance(o, DeadLetter) for o in found)


@pytest.mark.parametrize(("at", "flip"), [(524, 71), (600, 69)])
def test_a_footer_that_contradicts_itself_does_not_end_the_process(at: int, flip: int) -> None:
    """pyarrow's own accessors abort over what these make of the footer. In a process of its own, so that this can
    fail."""
    code = (
        "import sys, runpy; t = runpy.run_path(sys.argv[1]); d = bytearray(t['parquet'](rows=4, text=t['TEXTS']))\n"
        "for at in range(int(sys.argv[2]) - 40, int(sys.argv[2]) + 40):\n"
        "    e = d[:]; e[at] ^= int(sys.argv[3]); print(len(t['outcomes'](bytes(e))))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, __file__, str(at), str(flip)], cwd=Path(__file__).parents[2],
        capture_output=True, text=True,
    )
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.split()) == 80


def thrift_group(first: int, rows: int) -> bytes:
    """A RowGroup of one column, as thrift's compact protocol has it: fields 7 and 9 of the column, then the rows."""
    chunk = b"\x3c" + b"\x76\x0a" + b"\x26" + bytes([first << 1]) + b"\0" + b"\0"
    return b"\x19\x1c" + chunk + b"\x26" + bytes([rows << 1]) + b"\0"


def test_row_groups_at_one_place_are_refused() -> None:
    """A footer may say so; the rows would have one id."""

    def footer(*groups: bytes) -> bytes:
        return b"\x49" + bytes([len(groups) << 4 | 12]) + b"".join(groups) + b"\0"

    found = row_groups(footer(thrift_group(4, 2), thrift_group(9, 0), thrift_group(20, 3)), size=50)
    assert [(g.number, g.first, g.length, g.rows) for g in found] == [(0, 4, 5, 2), (2, 20, 5, 3)]
    for bad in ((4, 4), (4, 50), (0, 4)):
        with pytest.raises(RecordError, match="row groups start at"):
            row_groups(footer(*(thrift_group(first, 1) for first in bad)), size=50)


@given(st.binary(max_size=60))
def test_any_bytes_are_a_footer_or_are_refused(footer: bytes) -> None:
    try:
        row_groups(footer, size=100)
    except RecordError as error:
        assert error.reason == "bad_parquet"


def test_the_storages_own_errors_are_not_taken_for_damage() -> None:
    class Failing(io.BytesIO):
        reads = 0

        def read(self, size: int | None = -1) -> bytes:
            self.reads += 1
            if self.reads > 6:
                raise ConnectionResetError("the line is down")
            return super().read(size)

    data = parquet(rows=1, text=TEXTS)
    with pytest.raises(ConnectionResetError):
        list(read_parquet(Failing(data), extract=Extract()))


@given(part=st.integers(1, 3000))
@settings(deadline=None)
def test_each_row_group_is_in_the_range_of_its_first_byte(part: int) -> None:
    data = parquet(rows=3, text=TEXTS)
    found = []
    for start in range(0, len(data), part):
        found += list(read_parquet(io.BytesIO(data), extract=Extract(), start=start, end=start + part))
    assert found == outcomes(data)
    cut = data[:-1]
    letters = [list(read_parquet(io.BytesIO(cut), extract=Extract(), start=s, end=s + 99)) for s in (0, 99, 198)]
    assert [len(x) for x in letters] == [1, 0, 0]


def test_memory_does_not_grow_with_the_row_group() -> None:
    rows = 40_000
    text = pa.array([f"{k} " * 1000 for k in range(100)] * (rows // 100))
    out = io.BytesIO()
    pq.write_table(pa.table({"text": text}), out, row_group_size=rows, use_dictionary=False, data_page_size=1 << 18,
                   compression="none")
    data = out.getvalue()
    del text
    before = pa.total_allocated_bytes()
    peak = count = 0
    tracemalloc.start()
    for _ in read_parquet(io.BytesIO(data), extract=Extract()):
        count += 1
        peak = max(peak, pa.total_allocated_bytes() - before)
    python = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == rows
    assert peak < 8 << 20 and python < 8 << 20


def test_packed_parquet_is_no_format() -> None:
    assert letter(gzip.compress(parquet(text=TEXTS))).reason == "unknown_format"
