"""The shards of a run, read as other people's tools read them."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tokenizers import Tokenizer

from schemas.shards import TFRECORD_FEATURES, from_json
from transforms.splits import SPLITS


@pytest.fixture(scope="module")
def run(job, tmp_path_factory):
    """Short rows and large splits, so that documents span rows and every split has some."""
    recipe = tmp_path_factory.mktemp("recipe") / "short.toml"
    recipe.write_text(
        'base = "web-en"\n[tokenizer]\nvocab_size = 700\n'
        "[encode]\nseq_len = 100\nvalidation_per_million = 200000\ntest_per_million = 200000\n"
    )
    return job.run(tmp_path_factory.mktemp("short"), f"--recipe={recipe}")


@pytest.fixture(scope="module")
def manifest(run):
    return from_json((run / "shards/manifest.json").read_text())


def clean_texts(run) -> dict[bytes, str]:
    rows = [row for path in (run / "clean").glob("*.parquet") for row in pq.read_table(path).to_pylist()]
    return {row["id"]: row["text"] for row in rows}


def mapped(run, shard) -> pa.RecordBatch:
    file = pa.ipc.open_file(pa.memory_map(str(run / "shards" / shard.path)))
    assert file.num_record_batches == 1
    return file.get_batch(0)


def documents_of(rows, special: dict[str, int]) -> list[tuple[bytes, list[int]]]:
    """(id, tokens) of each document of a shard: rows joined without their shared token, cut at the end marker."""
    stream: list[int] = []
    ids: list[bytes] = []
    for k, row in enumerate(rows):
        real = row["input_ids"][: row["n_real"]]
        stream += real[1:] if k else real
        ids += [i for i in row["doc_ids"] if i not in ids]
    ends = [k for k, token in enumerate(stream) if token == special["<|endoftext|>"]]
    assert ends[-1] == len(stream) - 1
    starts = [0, *[k + 1 for k in ends]]
    return list(zip(ids, [stream[a:b] for a, b in zip(starts, ends, strict=False)], strict=True))


def shards(manifest):
    return [shard for split in SPLITS for shard in manifest.splits[split]]


def test_every_row_decodes_to_its_clean_text(run, manifest):
    tokenizer = Tokenizer.from_file(str(run / "tokenizer/tokenizer.json"))
    texts = clean_texts(run)
    seen: dict[bytes, str] = {}
    for shard in shards(manifest):
        for name, tokens in documents_of(mapped(run, shard).to_pylist(), manifest.special_ids):
            assert name not in seen
            seen[name] = tokenizer.decode(tokens, skip_special_tokens=False)
    assert seen == texts


def test_the_map_is_the_file(run, manifest):
    for shard in shards(manifest):
        before = pa.total_allocated_bytes()
        ids = mapped(run, shard).column("input_ids").flatten()
        assert ids.to_numpy(zero_copy_only=True).dtype == np.dtype(manifest.token_dtype)
        assert pa.total_allocated_bytes() == before, "reading a mapped shard copied it"
        assert ids.buffers()[1].address % 64 == 0


def test_every_split_has_documents_and_no_cluster_is_in_two(run, manifest):
    split_of = {}
    for split in SPLITS:
        assert sum(s.documents for s in manifest.splits[split]) > 0, split
        for shard in manifest.splits[split]:
            for ids in mapped(run, shard).column("doc_ids").to_pylist():
                split_of |= dict.fromkeys(ids, split)
    rows = [row for path in (run / "clean").glob("*.parquet") for row in pq.read_table(path).to_pylist()]
    clusters: dict[bytes, set[str]] = {}
    for row in rows:
        clusters.setdefault(row["cluster"], set()).add(split_of[row["id"]])
    assert all(len(splits) == 1 for splits in clusters.values())


def test_the_manifest_tells_what_is_in_the_files(run, manifest):
    texts = clean_texts(run)
    import xxhash

    assert sum(s.documents for s in shards(manifest)) == len(texts)
    assert sum(s.bytes for s in shards(manifest)) == sum(len(t.encode()) for t in texts.values())
    for shard in shards(manifest):
        batch = mapped(run, shard)
        ids = batch.column("input_ids").flatten().to_numpy()
        assert (batch.num_rows, ids.min(), ids.max()) == (shard.rows, shard.min_id, shard.max_id)
        assert sum(batch.column("n_real").to_pylist()) - (batch.num_rows - 1) == shard.tokens
        for path, digest in ((shard.path, shard.xxh3), (shard.tfrecord_path, shard.tfrecord_xxh3)):
            assert xxhash.xxh3_128_hexdigest((run / "shards" / path).read_bytes()) == digest
        assert {manifest.sources[code] for code in batch.column("source").to_pylist()} == {shard.source}
    whole = json.loads((run / "manifest.json").read_text())
    assert whole["dataset_id"] == manifest.dataset_id
    sizes = np.load(run / "shards" / manifest.token_bytes)
    assert len(sizes) == manifest.vocab_size


def test_tf_data_reads_the_same_rows(tf, run, manifest):
    length = {"one": [], "row": [manifest.seq_len + 1]}
    spec = {
        f.name: tf.io.VarLenFeature(tf.string if f.kind == "bytes_list" else tf.int64)
        if f.length == "any"
        else tf.io.FixedLenFeature(length[f.length], tf.int64)
        for f in TFRECORD_FEATURES
    }
    for shard in shards(manifest):
        data = tf.data.TFRecordDataset(str(run / "shards" / shard.tfrecord_path))
        parsed = [tf.io.parse_single_example(record, spec) for record in data]
        rows = mapped(run, shard).to_pylist()
        assert len(parsed) == len(rows)
        for theirs, ours in zip(parsed, rows, strict=True):
            for name, value in ours.items():
                found = theirs[name]
                found = found.values.numpy().tolist() if isinstance(found, tf.SparseTensor) else found.numpy().tolist()
                assert found == value, name


def test_datasets_opens_them(run, manifest, tmp_path):
    datasets = pytest.importorskip("datasets", reason="pip install 'winnow-data[dev]' brings Hugging Face datasets")
    paths = [str(run / "shards" / s.path) for s in manifest.splits["train"]]
    data = datasets.load_dataset("arrow", data_files=paths, split="train", cache_dir=str(tmp_path))
    rows = [row for s in manifest.splits["train"] for row in mapped(run, s).to_pylist()]
    assert [list(r) for r in data["input_ids"]] == [r["input_ids"] for r in rows]
    assert list(data["n_bytes"]) == [r["n_bytes"] for r in rows]
