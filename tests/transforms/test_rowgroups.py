from __future__ import annotations

import io

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms import rowgroups
from transforms.rowgroups import RowGroups

SCHEMA = pa.schema([("n", pa.int64()), ("text", pa.string()), ("blob", pa.binary())])


def batch_of(widths: list[tuple[int, int | None]]) -> pa.RecordBatch:
    rows = [{"n": n, "text": "x" * a, "blob": None if b is None else b"y" * b} for n, (a, b) in enumerate(widths)]
    return pa.RecordBatch.from_pylist(rows, schema=SCHEMA)


def groups_of(batch: pa.RecordBatch, sizes: list[int]) -> list[pa.RecordBatch]:
    """The groups of a batch that comes in pieces of `sizes`, then the rest at once."""
    groups, found, first = RowGroups(), [], 0
    for size in [*sizes, batch.num_rows]:
        found += groups.add(batch.slice(first, size))
        first = min(first + size, batch.num_rows)
    return [*found, *groups.rest()]


def expected(widths: list[tuple[int, int | None]], *, rows: int, size: int) -> list[int]:
    """Rows of each group, one row at a time."""
    found, now, held = [], 0, 0
    for text, blob in widths:
        now, held = now + 1, held + text + (blob or 0)
        if now == rows or held >= size:
            found.append(now)
            now, held = 0, 0
    return found + [now] * (now > 0)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rowgroups, "GROUP_ROWS", 7)
    monkeypatch.setattr(rowgroups, "GROUP_BYTES", 20)


WIDTHS = st.lists(st.tuples(st.integers(0, 12) | st.just(30), st.none() | st.integers(0, 3)), max_size=60)


@pytest.mark.usefixtures("small")
@settings(deadline=None)
@given(WIDTHS, st.lists(st.integers(0, 30), max_size=8))
def test_any_batching_gives_the_same_groups(widths: list[tuple[int, int | None]], sizes: list[int]) -> None:
    batch = batch_of(widths)
    groups = groups_of(batch, sizes)
    assert [g.num_rows for g in groups] == expected(widths, rows=7, size=20)
    assert pa.Table.from_batches(groups, SCHEMA).to_pylist() == batch.to_pylist()


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize(
    ("widths", "rows"),
    [
        ([(0, 0)] * 7, [7]), ([(0, 0)] * 8, [7, 1]), ([(19, 0), (1, None), (0, 0)], [2, 1]),
        ([(20, 0), (0, 0)], [1, 1]),
        ([(100, 0)] * 2, [1, 1]), ([(19, 0), (100, 0), (1, 0)], [2, 1]), ([(10, 9), (0, 1), (0, 0)], [2, 1]), ([], []),
    ],
)  # fmt: skip
def test_a_group_ends_where_it_reaches_a_limit(widths: list[tuple[int, int]], rows: list[int]) -> None:
    assert [g.num_rows for g in groups_of(batch_of(widths), [])] == rows


def test_the_limits() -> None:
    assert (rowgroups.GROUP_ROWS, rowgroups.GROUP_BYTES) == (1024, 33_554_432)
    assert [g.num_rows for g in groups_of(batch_of([(0, 0)] * 2049), [1000])] == [1024, 1024, 1]


def test_nothing_waits_after_the_rest() -> None:
    groups = RowGroups()
    assert list(groups.add(batch_of([(1, 1)]))) == []
    assert [g.num_rows for g in groups.rest()] == [1]
    assert list(groups.rest()) == []


@settings(deadline=None, max_examples=20)
@given(st.lists(st.integers(0, 900), max_size=8))
def test_the_bytes_of_a_file_do_not_tell_how_it_was_batched(sizes: list[int]) -> None:
    batch = batch_of([(n % 13, None if n % 3 else n % 5) for n in range(2100)])

    def written(sizes: list[int]) -> bytes:
        sink = io.BytesIO()
        with pq.ParquetWriter(sink, SCHEMA, compression="zstd") as file:
            for group in groups_of(batch, sizes):
                file.write_batch(group, row_group_size=group.num_rows)
        return sink.getvalue()

    assert written(sizes) == written([])
