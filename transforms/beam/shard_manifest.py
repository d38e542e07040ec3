"""shards/manifest.json, which trainers read, and the bytes of each token, from the records of encode's parts."""

from __future__ import annotations

import io

import numpy as np

from schemas import shards
from schemas.recipes import Encode
from schemas.records import Output, PartRecord
from schemas.stages import ENCODE
from transforms.beam import files
from transforms.beam.parts import check_plan
from transforms.splits import SPLITS
from transforms.tokenizer_file import SPECIAL_TOKENS


def write_shard_manifest(
    records: list[PartRecord], *, out: str, tokenizer: Output, sizes: np.ndarray, encode: Encode,
    sources: tuple[str, ...], languages: tuple[str, ...],
) -> dict[str, Output]:
    """Writes both and says what was written. `sizes` are the bytes of each token, int32 of shape (vocabulary,). Raises
    RunError where another run has planned the stage anew."""
    table = io.BytesIO()
    np.save(table, sizes)
    splits = {split: _shards(records, split) for split in SPLITS}
    manifest = shards.ShardManifest(
        tokenizer_digest=tokenizer.xxh3, vocab_size=len(sizes),
        special_ids={name: i for i, name in enumerate(SPECIAL_TOKENS)}, seq_len=encode.seq_len,
        token_dtype=str(shards.token_type(len(sizes))), sources=sources, languages=languages, splits=splits,
        totals=shards.totals_of(splits), token_bytes="token_bytes.npy",  # noqa: S106
        dataset_id=shards.dataset_id(s for split in splits.values() for s in split),
    )
    check_plan(out, ENCODE, records)
    return {
        name: _write(out, f"{ENCODE.folder}/{name}", data)
        for name, data in (("token_bytes.npy", table.getvalue()), ("manifest.json", shards.to_json(manifest).encode()))
    }


def _write(out: str, path: str, data: bytes) -> Output:
    xxh3 = (files.publish if path.endswith(".json") else files.write_bytes)(files.join(out, path), data)
    return Output(path=path, rows=1, bytes=len(data), xxh3=xxh3, content=xxh3)


def _shards(records: list[PartRecord], split: str) -> tuple[shards.Shard, ...]:
    found = [
        shards.Shard(
            path=f"{base}.arrow", tfrecord_path=f"{base}.tfrecord", source=record.source,
            rows=record.outputs[f"{base}.arrow"].rows, xxh3=record.outputs[f"{base}.arrow"].xxh3,
            tfrecord_xxh3=record.outputs[f"{base}.tfrecord"].xxh3, tokens=sums["tokens"], bytes=sums["bytes"],
            documents=sums["documents"], min_id=sums["min_id"], max_id=sums["max_id"],
        )
        for record in records
        for base, sums in record.tallies.items()
        if base.startswith(f"{split}/")
    ]
    return tuple(sorted(found, key=lambda s: s.path))
