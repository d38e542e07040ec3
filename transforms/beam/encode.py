"""The encode stage's part: some clean parts of one source to one shard a split, as Arrow and as TFRecord."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import IO, cast

import apache_beam as beam
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import xxhash
from tokenizers import Tokenizer

from schemas import shards
from schemas.errors import RunError
from schemas.recipes import Encode
from schemas.records import Counts, Output, PartRecord
from schemas.stages import ENCODE
from transforms.beam import files
from transforms.beam.parts import PlannedPart
from transforms.beam.tables import read_table
from transforms.digests import RowsDigest
from transforms.encoding import encode_texts
from transforms.packing import pack
from transforms.shard_files import write_arrow, write_tfrecord
from transforms.splits import SPLITS, split_of
from transforms.tokenizer_file import END_OF_DOCUMENT, PADDING, SPECIAL_TOKENS, load_for_encoding, token_bytes

SHARD_TOKENS = 1 << 25
"""A shard is closed when it has this many: 64 MiB of uint16. Only parts larger than the recipe groups come near."""


@dataclass(frozen=True, kw_only=True)
class EncodePart:
    """`sources` and `languages` give the codes of the shards."""

    out: str
    encode: Encode
    tokenizer: Output
    sources: tuple[str, ...]
    languages: tuple[str, ...]
    batch_rows: int

    def setup(self) -> None:
        self.loaded_tokenizer()

    def loaded_tokenizer(self) -> Tokenizer:
        return _tokenizer(files.join(self.out, self.tokenizer.path), self.tokenizer.xxh3)

    def __call__(self, part: PlannedPart) -> PartRecord:
        open_shards = {split: _Tokens() for split in SPLITS}
        outputs: dict[str, Output] = {}
        tallies: dict[str, dict[str, int]] = {}
        documents = 0
        for batch in self._batches(part):
            documents += batch.num_rows
            splits = [split_of(c, settings=self.encode) for c in batch.column("cluster").to_pylist()]
            for split in SPLITS:
                chosen = batch.filter(pa.array([s == split for s in splits]))
                open_shards[split].add(chosen, self.loaded_tokenizer(), self.languages)
                if open_shards[split].tokens >= SHARD_TOKENS:
                    self._close(part, split, open_shards[split], outputs, tallies)
        for split in SPLITS:
            self._close(part, split, open_shards[split], outputs, tallies)
        return PartRecord(
            stage=part.stage, part=part.part, plan_key=part.plan_key, source=part.source, name=part.name,
            outputs=outputs, tallies=tallies, input_bytes=part.size,
            counts=Counts(came_in=documents, went_out=sum(t["documents"] for t in tallies.values())),
        )

    def _batches(self, part: PlannedPart) -> Iterator[pa.RecordBatch]:
        columns = ["id", "text", "language", "cluster"]
        for clean in part.work["clean"]:
            yield from read_table(self.out, Output(**clean), columns=columns, rows=self.batch_rows)

    def _close(
        self, part: PlannedPart, split: str, tokens: _Tokens, outputs: dict[str, Output],
        tallies: dict[str, dict[str, int]],
    ) -> None:
        """Writes what was gathered as a shard, if anything was, and starts the split anew."""
        if not tokens.ids:
            return
        piece = tokens.piece
        base = f"{split}/{part.source}/shard-{part.work['shard']:05d}" + (f".{piece}" if piece else "")
        batch = self._packed(part, tokens)
        rows = RowsDigest(batch.schema)
        rows.update(batch)
        for suffix, write in ((".arrow", write_arrow), (".tfrecord", write_tfrecord)):
            path = f"{ENCODE.folder}/{base}{suffix}"
            with files.create(files.join(self.out, path)) as sink:
                write(batch, cast(IO[bytes], sink))
            outputs[base + suffix] = Output(
                path=path, rows=batch.num_rows, bytes=sink.bytes, xxh3=sink.xxh3, content=rows.hexdigest
            )
        ids = batch.column("input_ids").flatten()
        bounds = pc.min_max(ids).as_py() if len(ids) else {"min": 0, "max": 0}
        tallies[base] = {
            "tokens": tokens.tokens, "bytes": tokens.text_bytes, "documents": len(tokens.ids),
            "min_id": bounds["min"], "max_id": bounds["max"],
        }
        tokens.restart()

    def _packed(self, part: PlannedPart, tokens: _Tokens) -> pa.RecordBatch:
        tokenizer = self.loaded_tokenizer()
        sizes = token_bytes(tokenizer)
        return pack(
            np.concatenate(tokens.flat), np.concatenate(tokens.lengths), pa.array(tokens.ids, pa.binary(16)),
            np.array(tokens.languages, np.int64), seq_len=self.encode.seq_len,
            end_id=SPECIAL_TOKENS.index(END_OF_DOCUMENT), pad_id=SPECIAL_TOKENS.index(PADDING), token_bytes=sizes,
            source_code=self.sources.index(part.source),
            schema=shards.shard_schema(seq_len=self.encode.seq_len, vocab_size=len(sizes)),
        )


@dataclass(kw_only=True)
class _Tokens:
    """The documents of a shard that is being gathered. `tokens` counts their end markers too."""

    flat: list[npt.NDArray[np.uint32]] = field(default_factory=list)
    lengths: list[npt.NDArray[np.int64]] = field(default_factory=list)
    ids: list[bytes] = field(default_factory=list)
    languages: list[int] = field(default_factory=list)
    tokens: int = 0
    text_bytes: int = 0
    piece: int = 0

    def add(self, batch: pa.RecordBatch, tokenizer: Tokenizer, languages: tuple[str, ...]) -> None:
        flat, lengths = encode_texts(tokenizer, batch.column("text"))
        self.flat.append(flat)
        self.lengths.append(lengths)
        self.ids += batch.column("id").to_pylist()
        self.languages += [languages.index(name) for name in batch.column("language").to_pylist()]
        self.tokens += len(flat) + len(lengths)
        self.text_bytes += pc.sum(pc.binary_length(batch.column("text"))).as_py() or 0

    def restart(self) -> None:
        self.flat, self.lengths, self.ids, self.languages = [], [], [], []
        self.tokens = self.text_bytes = 0
        self.piece += 1


class WriteShardManifest(beam.PTransform):
    """Commit records of EncodePart in; shards/manifest.json and token_bytes.npy are written and named."""

    def __init__(self, part: EncodePart) -> None:
        super().__init__()
        self._part = part

    def expand(self, records: beam.PCollection[PartRecord]) -> beam.PCollection[dict[str, Output]]:
        return (
            records
            | "all shards" >> beam.combiners.ToList()
            | "shard manifest" >> beam.Map(_write_manifest, self._part).with_output_types(dict[str, Output])
        )


def _write_manifest(records: list[PartRecord], part: EncodePart) -> dict[str, Output]:
    sizes = token_bytes(part.loaded_tokenizer())
    table = io.BytesIO()
    np.save(table, sizes)
    splits = {split: _shards(records, split) for split in SPLITS}
    manifest = shards.ShardManifest(
        tokenizer_digest=part.tokenizer.xxh3, vocab_size=len(sizes),
        special_ids={name: i for i, name in enumerate(SPECIAL_TOKENS)}, seq_len=part.encode.seq_len,
        token_dtype=str(shards.token_type(len(sizes))), sources=part.sources, languages=part.languages, splits=splits,
        totals=shards.totals_of(splits), token_bytes="token_bytes.npy",  # noqa: S106
        dataset_id=shards.dataset_id(s for split in splits.values() for s in split),
    )
    return {
        name: _write(part.out, f"{ENCODE.folder}/{name}", data)
        for name, data in (("token_bytes.npy", table.getvalue()), ("manifest.json", shards.to_json(manifest).encode()))
    }


def _write(out: str, path: str, data: bytes) -> Output:
    xxh3 = files.write_bytes(files.join(out, path), data)
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


@cache
def _tokenizer(path: str, xxh3: str) -> Tokenizer:
    """The run's tokenizer, read once a process. Raises RunError if it is not the one that was learnt."""
    with files.open_read(path) as file:
        data = file.read()
    if xxhash.xxh3_128_hexdigest(data) != xxh3:
        raise RunError(f"{path}: not the tokenizer that this run learnt. Remove it and run the same command again.")
    return load_for_encoding(data)
