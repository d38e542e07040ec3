"""One shard in memory without a copy of it: the file is mapped, and numpy looks at its columns where they lie."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import xxhash

from schemas.errors import RunError
from schemas.shards import Shard, ShardManifest, shard_schema

REDO = "copy it again, or write it again with python -m pipelines.encode"


@dataclass(frozen=True, kw_only=True)
class Mapped:
    """Views of the columns of r rows; `schemas.shards` says what they mean.

    tokens     uint16|uint32[r, seq_len + 1]
    n_real     int32[r]
    lang       int16[r]
    starts     uint16|uint32[m], the starts of row i from starts_at[i] to starts_at[i + 1]
    starts_at  int32[r + 1]
    rows       the record batch
    file       the bytes of the whole file
    """

    tokens: npt.NDArray[np.unsignedinteger[Any]]
    n_real: npt.NDArray[np.int32]
    lang: npt.NDArray[np.int16]
    starts: npt.NDArray[np.unsignedinteger[Any]]
    starts_at: npt.NDArray[np.int32]
    rows: pa.RecordBatch
    file: pa.Buffer


def file_size(path: Path, shard: Shard, manifest: ShardManifest) -> int:
    """The size of a shard's file, bytes. Raises RunError where it is missing, or too short for its tokens."""
    try:
        size = path.stat().st_size
    except OSError as error:
        raise RunError(f"{path}: shard missing ({error.strerror}), though the manifest beside it names it; "
                       f"{REDO}") from error
    least = shard.rows * (manifest.seq_len + 1) * np.dtype(manifest.token_dtype).itemsize
    if size <= least:
        raise RunError(f"{path}: {size} bytes, but the tokens of its {shard.rows} rows alone are {least}; {REDO}")
    return size


def map_shard(path: Path, shard: Shard, manifest: ShardManifest) -> Mapped:
    """The rows of one shard. Closing the file keeps the map, so thousands of shards need no file descriptors.

    Raises RunError where the file is missing or cut off, and where its columns or rows are not what the manifest says.
    """
    file_size(path, shard, manifest)
    try:
        with pa.memory_map(str(path)) as source:
            file = source.read_buffer()
        reader = pa.ipc.open_file(pa.BufferReader(file))
        batches = [reader.get_batch(i) for i in range(reader.num_record_batches)]
    except (pa.ArrowInvalid, OSError) as error:
        raise RunError(f"{path}: not a whole Arrow file ({str(error).splitlines()[0]}); {REDO}") from error
    expected = shard_schema(seq_len=manifest.seq_len, vocab_size=manifest.vocab_size)
    if len(batches) != 1 or not batches[0].schema.equals(expected):
        raise RunError(f"{path}: not one record batch of shards of seq_len {manifest.seq_len} and a vocabulary of "
                       f"{manifest.vocab_size}, which the manifest describes; {REDO}")
    [rows] = batches
    if rows.num_rows != shard.rows:
        raise RunError(f"{path}: {rows.num_rows} rows, but the manifest says {shard.rows}; {REDO}")
    starts = rows.column("doc_starts")
    return Mapped(
        tokens=rows.column("input_ids").flatten().to_numpy().reshape(-1, manifest.seq_len + 1),
        n_real=rows.column("n_real").to_numpy(), lang=rows.column("lang").to_numpy(),
        starts=starts.values.to_numpy(), starts_at=starts.offsets.to_numpy(), rows=rows, file=file,
    )


def verify_shard(path: Path, shard: Shard, manifest: ShardManifest) -> None:
    """Reads the whole file. Raises RunError unless its digest, its rows and the range of its ids are the manifest's."""
    mapped = map_shard(path, shard, manifest)
    if (actual := xxhash.xxh3_128_hexdigest(mapped.file)) != shard.xxh3:
        raise RunError(f"{path}: damaged or of another run: xxh3 {actual}, but the manifest says {shard.xxh3}; {REDO}")
    low, high = (int(mapped.tokens.min()), int(mapped.tokens.max())) if shard.rows else (0, 0)
    if (low, high) != (shard.min_id, shard.max_id):
        raise RunError(f"{path}: ids from {low} to {high}, but the manifest says {shard.min_id} to {shard.max_id}; "
                       f"{REDO}")
    code = manifest.sources.index(shard.source)
    if not bool((mapped.rows.column("source").to_numpy() == code).all()):
        raise RunError(f"{path}: has rows that are not of source {shard.source}; {REDO}")
