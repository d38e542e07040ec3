"""From a row of a shard back to the bytes of the archive, by what the tables say and nothing else."""

from __future__ import annotations

import io
import zlib

import pyarrow as pa
import pyarrow.parquet as pq

from schemas.recipes import Extract
from schemas.shards import from_json
from transforms.archive import read_archive
from transforms.inflate import Inflated
from transforms.outcomes import Page


def record_at(path, offset: int, inner_offset: int) -> bytes:
    """What a range request from `offset` gives, inflated, from `inner_offset` on."""
    with open(path, "rb") as file:
        file.seek(offset)
        data = file.read()
    if data.startswith(b"\x1f\x8b"):
        data = zlib.decompressobj(wbits=31).decompress(data)
    return data[inner_offset:]


def test_every_row_of_every_shard_leads_to_its_records(job, finished):
    rows = [r for path in (finished / "documents").glob("*.parquet") for r in pq.read_table(path).to_pylist()]
    documents = {row["id"]: row for row in rows}
    manifest = from_json((finished / "shards/manifest.json").read_text())
    found = 0
    for shard in (s for split in manifest.splits.values() for s in split):
        batch = pa.ipc.open_file(finished / "shards" / shard.path).get_batch(0)
        for ids in batch.column("doc_ids").to_pylist():
            for name in ids:
                row = documents[name]
                assert row["source"] == shard.source
                record = record_at(job.sample / row["source"] / row["file"], row["offset"], row["inner_offset"])
                page = next(read_archive(Inflated(io.BytesIO(record)), extract=Extract()))
                assert isinstance(page, Page)
                assert (page.text, page.url, page.record_id) == (row["text"], row["url"], row["record_id"])
                found += 1
    assert found >= 42
