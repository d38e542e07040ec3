from __future__ import annotations

import dataclasses
import json

import pyarrow as pa
import pytest

from schemas.shards import (
    TFRECORD_FEATURES,
    Shard,
    ShardManifest,
    Totals,
    dataset_id,
    from_json,
    shard_columns,
    shard_schema,
    to_json,
    totals_of,
)


def shard(name: str, source: str, digest: str) -> Shard:
    return Shard(path=f"train/{source}/{name}.arrow", source=source, rows=3, tokens=25, bytes=90, documents=4,
                 xxh3=digest * 16, tfrecord_path=f"train/{source}/{name}.tfrecord", tfrecord_xxh3="0f" * 16,
                 min_id=1, max_id=299)


@pytest.fixture
def manifest() -> ShardManifest:
    splits = {"train": (shard("shard-00000", "web", "ab"), shard("shard-00001", "web", "cd"),
                        shard("shard-00000", "wiki", "ef")), "validation": ()}
    return ShardManifest(
        tokenizer_digest="9" * 32, vocab_size=300, special_ids={"<|endoftext|>": 0, "<|pad|>": 1}, seq_len=10,
        token_dtype="uint16", sources=("web", "wiki"), languages=("de", "en", "ja"), splits=splits,
        totals=totals_of(splits), token_bytes="token_bytes.npy",
        dataset_id=dataset_id(s for shards in splits.values() for s in shards),
    )


@pytest.mark.parametrize(("seq_len", "vocab_size", "token", "position"), [
    (1, 1, pa.uint16(), pa.uint16()),
    (2_048, 65_536, pa.uint16(), pa.uint16()),
    (2_048, 65_537, pa.uint32(), pa.uint16()),
    (65_535, 300, pa.uint16(), pa.uint16()),
    (65_536, 300, pa.uint16(), pa.uint32()),
])
def test_types_are_the_narrowest_that_hold_every_id_and_position(
    seq_len: int, vocab_size: int, token: pa.DataType, position: pa.DataType
) -> None:
    schema = shard_schema(seq_len=seq_len, vocab_size=vocab_size)
    assert schema.field("input_ids").type.value_type == token
    assert schema.field("input_ids").type.list_size == seq_len + 1
    assert schema.field("doc_starts").type.value_type == position


def test_the_schema_is_version_1_as_published() -> None:
    schema = shard_schema(seq_len=8, vocab_size=300)
    assert [(f.name, str(f.type), f.nullable) for f in schema] == [
        ("input_ids", "fixed_size_list<item: uint16 not null>[9]", False),
        ("doc_starts", "list<item: uint16 not null>", False),
        ("doc_ids", "list<item: fixed_size_binary[16] not null>", False),
        ("n_bytes", "int32", False),
        ("n_real", "int32", False),
        ("source", "int16", False),
        ("lang", "int16", False),
    ]
    assert schema.metadata == {b"shard_schema_version": b"1"}
    assert [f.name for f in TFRECORD_FEATURES] == schema.names
    assert all(c.meaning for c in shard_columns(seq_len=8, vocab_size=300))


@pytest.mark.parametrize(("seq_len", "vocab_size"), [(0, 300), (8, 0)])
def test_empty_rows_and_vocabularies_are_refused(seq_len: int, vocab_size: int) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        shard_schema(seq_len=seq_len, vocab_size=vocab_size)


def test_a_manifest_survives_json(manifest: ShardManifest) -> None:
    text = to_json(manifest)
    assert from_json(text) == manifest
    assert to_json(from_json(text)) == text
    keys = list(json.loads(text))
    assert keys == sorted(keys) and len(keys) == 13


def test_totals_are_sums_by_split_and_source(manifest: ShardManifest) -> None:
    assert manifest.totals == {
        "train": {"web": Totals(shards=2, rows=6, tokens=50, bytes=180, documents=8),
                  "wiki": Totals(shards=1, rows=3, tokens=25, bytes=90, documents=4)},
        "validation": {},
    }


def test_dataset_id_depends_on_the_digests_and_on_nothing_else(manifest: ShardManifest) -> None:
    shards = list(manifest.splits["train"])
    name = dataset_id(shards)
    # printf 'abab…\ncdcd…\nefef…' | b2sum -l 128
    assert name == "7abc7c1800cb508dffe5bd6d4df4535a"
    assert dataset_id(reversed(shards)) == name
    assert dataset_id([dataclasses.replace(s, path="elsewhere") for s in shards]) == name
    assert dataset_id([shards[0], *shards]) != name
    assert dataset_id([dataclasses.replace(shards[0], xxh3="aa" * 16), *shards[1:]]) != name


@pytest.mark.parametrize(("edit", "message"), [
    (lambda m: m.update(schema_version=2), "schema version 2; this reads 1"),
    (lambda m: m.pop("schema_version"), "no schema_version"),
    (lambda m: m.pop("seq_len"), "shard manifest lacks seq_len"),
    (lambda m: (m.pop("seq_len"), m.pop("packing")), "shard manifest lacks packing, seq_len"),
    (lambda m: m.update(extra=1), "shard manifest has unknown extra"),
    (lambda m: m.update(seq_len="10"), "seq_len must be int, not '10'"),
    (lambda m: m.update(splits=[]), "not a shard manifest"),
    (lambda m: m.update(splits={"train": 5}), "not a shard manifest"),
    (lambda m: m.update(sources=5), "not a shard manifest"),
    (lambda m: m["splits"]["train"][0].pop("xxh3"), "shard of train lacks xxh3"),
    (lambda m: m["splits"]["train"][0].update(rows=None), "rows must be int"),
    (lambda m: m["splits"]["train"].append(7), "shard of train: not a JSON object"),
    (lambda m: m["splits"]["train"][0].update(source="books"), "unknown sources books"),
    (lambda m: m["totals"]["train"]["web"].update(tokens=51), "totals are not the sums"),
    (lambda m: m["splits"]["train"][0].update(xxh3="aa" * 16), "dataset_id does not follow"),
    (lambda m: m.update(packing="best_fit"), "packing 'best_fit'"),
    (lambda m: m.update(vocab_size=65_537), "uint16 ids for a vocabulary of 65537"),
])
def test_a_broken_manifest_says_what_is_wrong(manifest: ShardManifest, edit, message: str) -> None:  # type: ignore[no-untyped-def]
    raw = json.loads(to_json(manifest))
    edit(raw)
    with pytest.raises(ValueError, match=message):
        from_json(json.dumps(raw))


@pytest.mark.parametrize("text", ["[]", "{}", "7"])
def test_other_json_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a shard manifest"):
        from_json(text)
