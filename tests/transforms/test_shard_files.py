from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import xxhash

from schemas.shards import TFRECORD_FEATURES, shard_schema
from transforms.packing import pack
from transforms.shard_files import write_arrow, write_tfrecord

WIDE = 2**32  # ids up to 2^32 - 1 need varints of five bytes


def filled(rows: int, *, seq_len: int, vocab_size: int, seed: int = 0) -> pa.RecordBatch:
    """Rows of valid types and awkward values: every size of varint, rows without starts, many documents in a row."""
    rng = np.random.default_rng(seed)
    schema = shard_schema(seq_len=seq_len, vocab_size=vocab_size)
    edges = [v for bits in (0, 7, 14, 16, 21, 28, 32) for v in ((1 << bits) - 1, 1 << bits) if v < vocab_size]
    starts = [sorted(rng.choice(seq_len + 1, rng.integers(0, min(seq_len, 40) + 1), replace=False).tolist())
              for _ in range(rows)]
    table = {
        "input_ids": [rng.choice(edges, seq_len + 1).tolist() for _ in range(rows)],
        "doc_starts": starts,
        "doc_ids": [[rng.bytes(16) for _ in range(len(s) + int(rng.integers(0, 2)))] for s in starts],
        "n_bytes": rng.integers(0, 2**31, rows).tolist(),
        "n_real": rng.integers(2, seq_len + 2, rows).tolist(),
        "source": rng.choice([0, 1, 127, 128, 32_767], rows).tolist(),
        "lang": rng.choice([0, 176], rows).tolist(),
    }
    return pa.record_batch([pa.array(table[f.name], f.type) for f in schema], schema=schema)


def arrow_bytes(batch: pa.RecordBatch) -> bytes:
    sink = io.BytesIO()
    write_arrow(batch, sink)
    return sink.getvalue()


def tfrecord_bytes(batch: pa.RecordBatch) -> bytes:
    sink = io.BytesIO()
    write_tfrecord(batch, sink)
    return sink.getvalue()


BATCHES = [
    filled(0, seq_len=4, vocab_size=300),
    filled(1, seq_len=1, vocab_size=300),
    filled(7, seq_len=4, vocab_size=65_536),
    filled(300, seq_len=33, vocab_size=65_537),
    filled(64, seq_len=40, vocab_size=WIDE),
    filled(40, seq_len=65_536, vocab_size=WIDE),
]
each_batch = pytest.mark.parametrize("batch", BATCHES, ids=lambda b: f"{b.num_rows}x{b.schema[0].type.list_size}")


@each_batch
def test_a_mapped_arrow_file_gives_the_rows_without_a_copy(batch: pa.RecordBatch, tmp_path: Path) -> None:
    path = tmp_path / "shard.arrow"
    with path.open("wb") as sink:
        write_arrow(batch, sink)
    with pa.memory_map(str(path)) as source:
        mapped = source.read_buffer()
        reader = pa.ipc.open_file(source)
        assert reader.num_record_batches == 1
        read = reader.get_batch(0)
        ids = read.column("input_ids").flatten().to_numpy(zero_copy_only=True)
        read.validate(full=True)
        assert read.equals(batch) and read.schema.equals(batch.schema)
        assert read.schema.metadata[b"shard_schema_version"] == b"1"
        assert ids.tolist() == batch.column("input_ids").flatten().to_pylist()
        if batch.num_rows:
            assert mapped.address < ids.ctypes.data < mapped.address + mapped.size
            assert ids.ctypes.data % 64 == 0


@pytest.mark.parametrize("rows", range(1, 12))
@pytest.mark.parametrize("note", ["", "x" * 7, "x" * 8, "x" * 40])
def test_values_start_at_a_multiple_of_64_bytes_in_the_file(rows: int, note: str) -> None:
    batch = filled(rows, seq_len=5, vocab_size=300).replace_schema_metadata({"note": note})
    file = pa.py_buffer(arrow_bytes(batch))
    read = pa.ipc.open_file(file).get_batch(0)
    starts = [b.address - file.address for column in read.columns for b in column.buffers() if b is not None]
    assert (read.column(0).flatten().buffers()[1].address - file.address) % 64 == 0
    assert [start % 8 for start in starts] == [0] * len(starts)


def test_bytes_depend_on_the_rows_alone() -> None:
    batch = filled(20, seq_len=9, vocab_size=300)
    for low, count in ((0, 20), (0, 13), (3, 13), (5, 1), (4, 0)):
        part = batch.slice(low, count)
        alone = pa.RecordBatch.from_pylist(part.to_pylist(), schema=batch.schema)
        assert arrow_bytes(part) == arrow_bytes(alone)
        assert tfrecord_bytes(part) == tfrecord_bytes(alone)


def test_another_first_column_is_refused() -> None:
    with pytest.raises(ValueError, match="first column of a shard is input_ids, not n_bytes"):
        write_arrow(BATCHES[1].select(["n_bytes", "input_ids"]), io.BytesIO())


@pytest.mark.parametrize("encode", [arrow_bytes, tfrecord_bytes])
def test_a_flipped_bit_of_the_values_changes_the_digest(encode: Callable[[pa.RecordBatch], bytes]) -> None:
    file = encode(BATCHES[3])
    assert xxhash.xxh3_128_hexdigest(file) == xxhash.xxh3_128_hexdigest(encode(BATCHES[3]))
    flipped = bytearray(file)
    flipped[len(file) // 2] ^= 4
    assert xxhash.xxh3_128_hexdigest(bytes(flipped)) != xxhash.xxh3_128_hexdigest(file)


def test_datasets_opens_the_arrow_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    datasets = pytest.importorskip("datasets", reason="THE ARROW FILE IS NOT OPENED BY DATASETS: pip install datasets")
    path = tmp_path / "shard.arrow"
    with path.open("wb") as sink:
        write_arrow(BATCHES[2], sink)
    loaded = datasets.load_dataset("arrow", data_files=str(path), split="train", cache_dir=str(tmp_path / "cache"))
    assert list(loaded) == BATCHES[2].to_pylist()


@each_batch
def test_tfrecords_decode_without_tensorflow(batch: pa.RecordBatch) -> None:
    assert [decoded(record) for record in records(tfrecord_bytes(batch))] == [
        {name: value if isinstance(value, list) else [value] for name, value in row.items()}
        for row in batch.to_pylist()
    ]


@each_batch
def test_tfrecords_are_byte_for_byte_tensorflows(tf: Any, batch: pa.RecordBatch, tmp_path: Path) -> None:
    path = str(tmp_path / "expected.tfrecord")
    kinds = {f.name: f.kind for f in TFRECORD_FEATURES}
    with tf.io.TFRecordWriter(path) as writer:
        for row in batch.to_pylist():
            features = {}
            for name, value in row.items():
                values = value if isinstance(value, list) else [value]
                if kinds[name] == "bytes_list":
                    features[name] = tf.train.Feature(bytes_list=tf.train.BytesList(value=values))
                else:
                    features[name] = tf.train.Feature(int64_list=tf.train.Int64List(value=values))
            example = tf.train.Example(features=tf.train.Features(feature=features))
            writer.write(example.SerializeToString(deterministic=True))
    assert tfrecord_bytes(batch) == Path(path).read_bytes()


@each_batch
def test_tf_data_reads_the_rows_back(tf: Any, batch: pa.RecordBatch, tmp_path: Path) -> None:
    path = tmp_path / "shard.tfrecord"
    path.write_bytes(tfrecord_bytes(batch))
    width = batch.schema.field("input_ids").type.list_size
    kinds = {"int64_list": tf.int64, "bytes_list": tf.string}
    spec = {
        f.name: tf.io.VarLenFeature(kinds[f.kind]) if f.length == "any"
        else tf.io.FixedLenFeature([width] if f.length == "row" else [], kinds[f.kind])
        for f in TFRECORD_FEATURES
    }
    rows = []
    for example in tf.data.TFRecordDataset(str(path)).map(lambda raw: tf.io.parse_single_example(raw, spec)):
        row = {name: getattr(value, "values", value).numpy() for name, value in example.items()
               if name not in ("doc_starts", "doc_ids")}
        row |= {name: example[name].values.numpy() for name in ("doc_starts", "doc_ids")}
        rows.append({name: value.tolist() for name, value in row.items()})
    assert rows == batch.to_pylist()


def test_files_of_packed_documents(tf: Any, tmp_path: Path) -> None:
    lengths = np.array([3, 0, 11, 8, 1], np.int64)
    ids = pa.array([bytes([i]) * 16 for i in range(5)], pa.binary(16))
    batch = pack(np.arange(2, 25, dtype=np.uint32), lengths, ids, np.arange(5), seq_len=8, end_id=0, pad_id=1,
                 token_bytes=np.array([0, 0, *[1] * 28], np.int32), source_code=0,
                 schema=shard_schema(seq_len=8, vocab_size=30))
    path = tmp_path / "shard.tfrecord"
    path.write_bytes(tfrecord_bytes(batch))
    raw = [r.numpy() for r in tf.data.TFRecordDataset(str(path))]
    assert [decoded(r)["input_ids"] for r in raw] == batch.column("input_ids").to_pylist()
    assert pa.ipc.open_file(pa.py_buffer(arrow_bytes(batch))).get_batch(0).equals(batch)


def records(file: bytes) -> list[bytes]:
    """The data of each TFRecord, its CRCs not looked at."""
    found, at = [], 0
    while at < len(file):
        length = int.from_bytes(file[at : at + 8], "little")
        found.append(file[at + 12 : at + 12 + length])
        at += 16 + length
    assert at == len(file)
    return found


def varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at


def fields(data: bytes) -> list[tuple[int, bytes]]:
    """Number and content of the fields of a message, all of them length-delimited."""
    found, at = [], 0
    while at < len(data):
        tag, at = varint(data, at)
        assert tag & 7 == 2
        length, at = varint(data, at)
        found.append((tag >> 3, data[at : at + length]))
        at += length
    return found


def decoded(example: bytes) -> dict[str, list[Any]]:
    """The features of a tf.train.Example by name."""
    [(_, features)] = fields(example)
    result: dict[str, list[Any]] = {}
    for _, entry in fields(features):
        (_, name), (_, feature) = fields(entry)
        [(kind, values)] = fields(feature)
        found: list[Any] = [content for _, content in fields(values)]
        if kind == 3 and found:
            [packed], found, at = found, [], 0
            while at < len(packed):
                value, at = varint(packed, at)
                found.append(value)
        result[name.decode()] = found
    return result
