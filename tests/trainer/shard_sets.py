"""Small data sets of shards, written by the code that writes the real ones. Every test of the trainer starts here."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import xxhash

from schemas import shards
from transforms.packing import pack
from transforms.shard_files import write_arrow, write_tfrecord
from transforms.tokenizer_file import END_OF_DOCUMENT, PADDING, SPECIAL_TOKENS

SPECIAL_IDS = {name: i for i, name in enumerate(SPECIAL_TOKENS)}
LANGUAGES = ("de", "en")


def make_data(
    folder: Path, *, sources: Mapping[str, int], seq_len: int = 16, vocab_size: int = 97, document_tokens: int = 11,
    shard_rows: int = 40, splits: Sequence[str] = ("train", "validation"), seed: int = 0, short: int = 3,
) -> Path:
    """The path of a manifest, with its shards beside it.

    The first split has `sources[name]` rows of each source, every other split an eighth of them, at least one. Shards
    hold at most `shard_rows` rows; the last row of each lacks `short` tokens. Documents have 0 to
    2 * `document_tokens` tokens without the end marker; their tokens count upwards by 1, 2 or 3, so a model can learn
    them. `token_bytes` is id mod 5 for ordinary ids.
    """
    names = tuple(sorted(sources))
    sizes = (np.arange(vocab_size, dtype=np.int32) % 5) * (np.arange(vocab_size) >= len(SPECIAL_TOKENS))
    written: dict[str, tuple[shards.Shard, ...]] = {}
    for number, split in enumerate(splits):
        made = []
        for source in names:
            rows = sources[source] if number == 0 else max(1, sources[source] // 8)
            for piece, low in enumerate(range(0, rows, shard_rows)):
                rng = np.random.default_rng([seed, number, names.index(source), piece])
                batch, counts = _rows(rng, rows=min(shard_rows, rows - low), seq_len=seq_len, sizes=sizes, short=short,
                                      document_tokens=document_tokens, source=names.index(source),
                                      name=f"{seed}/{split}/{source}/{piece}")
                made.append(_write(folder, f"{split}/{source}/shard-{piece:05d}", source, batch, counts))
        written[split] = tuple(made)
    np.save(folder / "token_bytes.npy", sizes.astype(np.int32))
    manifest = shards.ShardManifest(
        tokenizer_digest="0" * 32, vocab_size=vocab_size, special_ids=SPECIAL_IDS, seq_len=seq_len,
        token_dtype=str(shards.token_type(vocab_size)), sources=names, languages=LANGUAGES, splits=written,
        totals=shards.totals_of(written), token_bytes="token_bytes.npy",
        dataset_id=shards.dataset_id(s for split in written.values() for s in split),
    )
    path = folder / "manifest.json"
    path.write_text(shards.to_json(manifest))
    return path


def _rows(
    rng: np.random.Generator, *, rows: int, seq_len: int, sizes: npt.NDArray[np.int32], short: int,
    document_tokens: int, source: int, name: str,
) -> tuple[pa.RecordBatch, dict[str, int]]:
    """Exactly `rows` rows, and what the manifest says of them."""
    stream = rows * seq_len + 1 - min(short, seq_len - 1)
    lengths, left = [], stream
    while left > 0:
        lengths.append(min(int(rng.integers(0, 2 * document_tokens + 1)), left - 1))
        left -= lengths[-1] + 1
    ordinary = len(sizes) - len(SPECIAL_TOKENS)
    runs = [np.zeros(0, np.int64), *(int(rng.integers(ordinary)) + int(rng.integers(1, 4)) * np.arange(n)
                                     for n in lengths)]
    tokens = (np.concatenate(runs) % ordinary + len(SPECIAL_TOKENS)).astype(np.uint32)
    ids = [hashlib.blake2b(f"{name}/{i}".encode(), digest_size=16).digest() for i in range(len(lengths))]
    batch = pack(
        tokens, np.array(lengths, np.int64), pa.array(ids, pa.binary(16)),
        rng.integers(0, len(LANGUAGES), len(lengths)), seq_len=seq_len, end_id=SPECIAL_IDS[END_OF_DOCUMENT],
        pad_id=SPECIAL_IDS[PADDING], token_bytes=sizes.astype(np.int32), source_code=source,
        schema=shards.shard_schema(seq_len=seq_len, vocab_size=len(sizes)),
    )
    assert batch.num_rows == rows
    return batch, {"tokens": stream, "documents": len(lengths), "bytes": int(sizes[tokens].sum())}


def _write(folder: Path, base: str, source: str, batch: pa.RecordBatch, counts: Mapping[str, int]) -> shards.Shard:
    digests = {}
    (folder / base).parent.mkdir(parents=True, exist_ok=True)
    for suffix, write in ((".arrow", write_arrow), (".tfrecord", write_tfrecord)):
        sink = io.BytesIO()
        write(batch, sink)
        (folder / (base + suffix)).write_bytes(sink.getvalue())
        digests[suffix] = xxhash.xxh3_128_hexdigest(sink.getvalue())
    bounds = pc.min_max(batch.column("input_ids").flatten()).as_py()
    return shards.Shard(
        path=base + ".arrow", source=source, rows=batch.num_rows, tokens=counts["tokens"], bytes=counts["bytes"],
        documents=counts["documents"], xxh3=digests[".arrow"], tfrecord_path=base + ".tfrecord",
        tfrecord_xxh3=digests[".tfrecord"], min_id=bounds["min"], max_id=bounds["max"],
    )
