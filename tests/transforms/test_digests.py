from __future__ import annotations

import datetime
import io
import itertools
from collections.abc import Callable

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import xxhash
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.digests import DigestingSink, RowsDigest

MOMENTS = st.datetimes(datetime.datetime(1900, 1, 1), datetime.datetime(2100, 1, 1)).map(
    lambda d: d.replace(microsecond=0, tzinfo=datetime.UTC)
)
SHORT, NUMBERS = st.text("ab\u00e9\0", max_size=3), st.integers(0, 60_000)
KINDS: dict[str, tuple[pa.DataType, st.SearchStrategy[object]]] = {
    "string": (pa.string(), st.none() | SHORT),
    "binary": (pa.binary(), st.none() | st.binary(max_size=3)),
    "fixed": (pa.binary(16), st.none() | st.binary(min_size=16, max_size=16)),
    "int64": (pa.int64(), st.none() | NUMBERS),
    "int32": (pa.int32(), NUMBERS),
    "uint16": (pa.uint16(), NUMBERS),
    "float64": (pa.float64(), st.none() | st.floats(allow_nan=False)),
    "bool": (pa.bool_(), st.none() | st.booleans()),
    "timestamp": (pa.timestamp("s", tz="UTC"), st.none() | MOMENTS),
    "list": (pa.list_(pa.uint32()), st.none() | st.lists(st.none() | NUMBERS, max_size=3)),
    "lists": (pa.list_(pa.binary(16)), st.lists(st.none() | st.binary(min_size=16, max_size=16), max_size=3)),
    "texts": (pa.list_(pa.string()), st.none() | st.lists(st.none() | SHORT, max_size=3)),
    "tokens": (pa.list_(pa.uint16(), 3), st.none() | st.lists(NUMBERS, min_size=3, max_size=3)),
}
SCHEMA = pa.schema([pa.field(name, kind) for name, (kind, _) in KINDS.items()])
ROWS = st.lists(st.fixed_dictionaries({name: cells for name, (_, cells) in KINDS.items()}), max_size=12)
Row = dict[str, object]


def batch_of(rows: list[Row], schema: pa.Schema = SCHEMA) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist(rows, schema=schema)


def digest(*batches: pa.RecordBatch, schema: pa.Schema = SCHEMA) -> str:
    rows = RowsDigest(schema)
    for batch in batches:
        rows.update(batch)
    assert rows.rows == sum(b.num_rows for b in batches)
    return rows.hexdigest


@settings(deadline=None)
@given(ROWS, st.lists(st.integers(0, 12), max_size=4), st.integers(0, 3), st.booleans())
def test_neither_batching_nor_slicing_nor_copies_show(rows: list[Row], cuts: list[int], first: int, copy: bool) -> None:
    whole = digest(batch_of(rows))
    longer = batch_of(rows[:first] + rows + rows[:2])  # the rows in the middle of other ones' buffers
    edges = [0, *sorted(min(c, len(rows)) for c in cuts), len(rows)]
    pieces = [longer.slice(min(first, len(rows)) + a, b - a) for a, b in itertools.pairwise(edges)]
    assert digest(*(batch_of(p.to_pylist()) if copy else p for p in pieces)) == whole


@settings(deadline=None)
@given(ROWS.filter(len), st.data())
def test_any_other_cell_shows(rows: list[Row], data: st.DataObject) -> None:
    row, name = data.draw(st.integers(0, len(rows) - 1)), data.draw(st.sampled_from(list(KINDS)))
    old = rows[row][name]
    new = data.draw(KINDS[name][1].filter(lambda value: value != old))
    changed = [{**r, name: new} if k == row else r for k, r in enumerate(rows)]
    assert digest(batch_of(changed)) != digest(batch_of(rows))


@settings(deadline=None)
@given(ROWS.filter(lambda rows: len(rows) > 1), st.data())
def test_the_order_of_rows_shows(rows: list[Row], data: st.DataObject) -> None:
    other = data.draw(st.permutations(rows))
    assert (digest(batch_of(other)) == digest(batch_of(rows))) == (other == rows)


@pytest.mark.parametrize(
    ("kind", "one", "other"),
    [
        (pa.string(), [None, "a"], ["", "a"]),
        (pa.string(), ["ab", "c"], ["a", "bc"]),
        (pa.string(), ["", "ab"], ["ab", ""]),
        (pa.string(), [None, ""], ["", None]),
        (pa.binary(), [b"\0", b""], [b"", b"\0"]),
        (pa.binary(2), [None, b"ab"], [b"ab", None]),
        (pa.int64(), [None, 0], [0, None]),
        (pa.bool_(), [None], [False]),
        (pa.timestamp("s", tz="UTC"), [None], [0]),
        (pa.list_(pa.int64()), [[1], [2, 3]], [[1, 2], [3]]),
        (pa.list_(pa.int64()), [None], [[]]),
        (pa.list_(pa.int64()), [[None]], [[0]]),
        (pa.list_(pa.string()), [["ab"], ["c"]], [["a"], ["bc"]]),
        (pa.list_(pa.int64(), 2), [None, [0, 0]], [[0, 0], None]),
    ],
)
def test_values_that_hold_the_same_bytes_differ(kind: pa.DataType, one: list[object], other: list[object]) -> None:
    schema = pa.schema([("a", kind)])
    assert digest(pa.record_batch([pa.array(one, kind)], schema), schema=schema) != digest(
        pa.record_batch([pa.array(other, kind)], schema), schema=schema
    )


def test_text_moved_to_the_next_column_or_under_another_name_shows() -> None:
    def of(names: str, *cells: str) -> str:
        schema = pa.schema([(name, pa.string()) for name in names])
        return digest(pa.record_batch([pa.array([c]) for c in cells], schema), schema=schema)

    assert len({of("ab", "x", ""), of("ab", "", "x"), of("ba", "x", ""), of("cb", "x", ""), of("a", "x")}) == 5


def test_no_rows_and_one_empty_row_differ() -> None:
    schema = pa.schema([("a", pa.list_(pa.int64()))])
    assert digest(schema=schema) != digest(pa.record_batch([pa.array([[]], schema[0].type)], schema), schema=schema)
    assert digest(schema=schema) == digest(pa.record_batch([pa.array([], schema[0].type)], schema), schema=schema)


def test_what_lies_under_a_null_does_not_show() -> None:
    hidden = pa.Array.from_buffers(pa.int64(), 2, [pa.py_buffer(b"\x02"), pa.py_buffer((7).to_bytes(8, "little") * 2)])
    schema = pa.schema([("a", pa.int64())])
    assert hidden.to_pylist() == [None, 7]
    assert digest(pa.record_batch([hidden], schema), schema=schema) == digest(
        pa.record_batch([pa.array([None, 7])], schema), schema=schema
    )


@pytest.mark.parametrize("kind", [pa.large_string(), pa.date32(), pa.dictionary(pa.int8(), pa.string())])
def test_a_type_it_does_not_know_is_refused(kind: pa.DataType) -> None:
    schema = pa.schema([("a", kind)])
    with pytest.raises(TypeError, match="column a: no digest of values of type"):
        digest(pa.record_batch([pa.nulls(1, kind)], schema), schema=schema)


def test_a_digest_that_was_kept_stays_what_it_was() -> None:
    """Made by hand from the streams: 1 row, its schema, then each stream's name and digest, by name."""
    schema = pa.schema([("t", pa.string()), ("n", pa.int64())])
    parts = {"n": (5).to_bytes(8, "little"), "t": b"ab", "t#": (2).to_bytes(8, "little")}
    expected = xxhash.xxh3_128(b"1\nt:string\nn:int64\n")
    for name in sorted(parts):
        expected.update(name.encode() + xxhash.xxh3_128(parts[name]).digest())
    assert digest(pa.record_batch([pa.array(["ab"]), pa.array([5])], schema), schema=schema) == expected.hexdigest()


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
@given(pieces=st.lists(st.binary(max_size=50)))
def test_the_sink_hashes_counts_and_passes_on(kind: Callable[[bytes], bytes], pieces: list[bytes]) -> None:
    below = io.BytesIO()
    sink = DigestingSink(below)
    assert [sink.write(kind(p)) for p in pieces] == [len(p) for p in pieces]
    everything = b"".join(pieces)
    assert (sink.bytes, sink.tell(), below.getvalue()) == (len(everything), len(everything), everything)
    assert sink.xxh3 == xxhash.xxh3_128(everything).hexdigest()


def test_arrow_writes_through_the_sink_and_leaves_what_is_below_open() -> None:
    below = io.BytesIO()
    sink = DigestingSink(below)
    with pq.ParquetWriter(sink, pa.schema([("a", pa.int64())])) as writer:
        writer.write_batch(pa.record_batch([pa.array(range(1000))], names=["a"]))
    assert sink.xxh3 == xxhash.xxh3_128(below.getvalue()).hexdigest() and sink.bytes == len(below.getvalue())
    sink.close()
    assert sink.closed and not below.closed
    assert pq.read_table(io.BytesIO(below.getvalue())).num_rows == 1000
