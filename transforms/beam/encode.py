"""The encode stage's part: some clean parts of one source to one shard a split, as Arrow and as TFRecord."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import IO, cast

import apache_beam as beam
import pyarrow as pa
import pyarrow.compute as pc
import xxhash
from tokenizers import Tokenizer

from schemas import shards
from schemas.errors import RunError
from schemas.recipes import Encode
from schemas.records import Counts, Output, PartRecord, add_tallies
from schemas.stages import ENCODE
from transforms.beam import files
from transforms.beam.parts import PlannedPart
from transforms.beam.replaced import note_replaced
from transforms.beam.shard_manifest import write_shard_manifest
from transforms.beam.tables import read_table
from transforms.digests import RowsDigest
from transforms.encoding import Encoded, encode_documents, sums_by_language
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

    def teardown(self) -> None:
        """Nothing to end."""

    def __call__(self, part: PlannedPart) -> PartRecord:
        if "replaces" in part.work:
            note_replaced(self.out, part)
        writer = _ShardWriter(settings=self, part=part)
        documents = 0
        sums: dict[str, list[dict[str, int]]] = {}
        for batch in self._batches(part):
            documents += batch.num_rows
            splits = [split_of(c, settings=self.encode) for c in batch.column("cluster").to_pylist()]
            for split in SPLITS:
                chosen = batch.filter(pa.array([s == split for s in splits]))
                encoded = encode_documents(self.loaded_tokenizer(), chosen, languages=self.languages)
                writer.add(split, encoded)
                words = chosen.column("word_count").to_numpy()
                for what, of in sums_by_language(encoded, words, languages=self.languages).items():
                    sums.setdefault(f"language {what}", []).append(of)
        for split in SPLITS:
            writer.close(split)
            writer.clear_beyond(split)
        return PartRecord(
            stage=part.stage, part=part.part, plan_key=part.plan_key, source=part.source, name=part.name,
            outputs=writer.outputs, input_bytes=part.size,
            tallies={**writer.tallies, **{what: add_tallies(of) for what, of in sums.items()}},
            counts=Counts(came_in=documents, went_out=sum(t["documents"] for t in writer.tallies.values())),
        )

    def write_manifest(self, records: list[PartRecord]) -> dict[str, Output]:
        return write_shard_manifest(
            records, out=self.out, tokenizer=self.tokenizer, sizes=token_bytes(self.loaded_tokenizer()),
            encode=self.encode, sources=self.sources, languages=self.languages,
        )

    def _batches(self, part: PlannedPart) -> Iterator[pa.RecordBatch]:
        columns = ["id", "text", "language", "word_count", "cluster"]
        for clean in part.work["clean"]:
            yield from read_table(self.out, Output(**clean), columns=columns, rows=self.batch_rows)


@dataclass(kw_only=True)
class _ShardWriter:
    """The shards of one part: documents go in, and a shard is written when it is full, or at the end.

    Where a shard is cut depends on the sequence of documents alone, not on how they come in batches."""

    settings: EncodePart
    part: PlannedPart
    outputs: dict[str, Output] = field(default_factory=dict)
    tallies: dict[str, dict[str, int]] = field(default_factory=dict)
    _waiting: dict[str, list[Encoded]] = field(default_factory=lambda: {split: [] for split in SPLITS})
    _written: dict[str, int] = field(default_factory=lambda: dict.fromkeys(SPLITS, 0))

    def add(self, split: str, documents: Encoded) -> None:
        while len(documents):
            room = SHARD_TOKENS - sum(e.stream_tokens for e in self._waiting[split])
            fit = documents.reaching(room)
            self._waiting[split].append(documents.take(0, fit))
            if documents.take(0, fit).stream_tokens >= room:
                self.close(split)
            documents = documents.take(fit, len(documents))

    def close(self, split: str) -> None:
        """Writes what waits as a shard, if anything does."""
        documents = Encoded.of(self._waiting[split])
        self._waiting[split] = []  # the tokens are there twice until this
        if not len(documents):
            return
        batch = self._packed(documents)
        piece = self._written[split]
        base = self._base(split, piece)
        rows = RowsDigest(batch.schema)
        rows.update(batch)
        for suffix, write in ((".arrow", write_arrow), (".tfrecord", write_tfrecord)):
            path = f"{ENCODE.folder}/{base}{suffix}"
            with files.create(files.join(self.settings.out, path)) as sink:
                write(batch, cast(IO[bytes], sink))
            self.outputs[base + suffix] = Output(
                path=path, rows=batch.num_rows, bytes=sink.bytes, xxh3=sink.xxh3, content=rows.hexdigest
            )
        ids = batch.column("input_ids").flatten()
        bounds = pc.min_max(ids).as_py() if len(ids) else {"min": 0, "max": 0}
        self.tallies[base] = {
            "tokens": documents.stream_tokens, "bytes": int(documents.text_bytes.sum()), "documents": len(documents),
            "min_id": bounds["min"], "max_id": bounds["max"],
        }
        self._written[split] = piece + 1

    def clear_beyond(self, split: str) -> None:
        """Removes what an earlier plan of the part left beyond what this one has written: nobody names it now, and it
        may hold what was taken down. The last goes first, so that none is overlooked after a kill."""
        piece = self._written[split]
        while any(files.size(path) is not None for path in self._paths(split, piece)):
            piece += 1
        for beyond in reversed(range(self._written[split], piece)):
            for path in self._paths(split, beyond):
                files.remove(path)

    def _base(self, split: str, piece: int) -> str:
        return f"{split}/{self.part.source}/shard-{self.part.work['shard']:05d}" + (f".{piece}" if piece else "")

    def _paths(self, split: str, piece: int) -> list[str]:
        base = files.join(self.settings.out, ENCODE.folder, self._base(split, piece))
        return [base + suffix for suffix in (".arrow", ".tfrecord")]

    def _packed(self, documents: Encoded) -> pa.RecordBatch:
        seq_len = self.settings.encode.seq_len
        sizes = token_bytes(self.settings.loaded_tokenizer())
        return pack(
            documents.tokens, documents.lengths, documents.ids, documents.languages, seq_len=seq_len,
            end_id=SPECIAL_TOKENS.index(END_OF_DOCUMENT), pad_id=SPECIAL_TOKENS.index(PADDING), token_bytes=sizes,
            source_code=self.settings.sources.index(self.part.source),
            schema=shards.shard_schema(seq_len=seq_len, vocab_size=len(sizes)),
        )


class WriteShardManifest(beam.PTransform):
    """Commit records of EncodePart in; shards/manifest.json and token_bytes.npy are written and named."""

    def __init__(self, part: EncodePart) -> None:
        super().__init__()
        self._part = part

    def expand(self, records: beam.PCollection[PartRecord]) -> beam.PCollection[dict[str, Output]]:
        return (
            records
            | "all shards" >> beam.combiners.ToList()
            | "shard manifest" >> beam.Map(self._part.write_manifest).with_output_types(dict[str, Output])
        )


@cache
def _tokenizer(path: str, xxh3: str) -> Tokenizer:
    """The run's tokenizer, read once a process. Raises RunError if it is not the one that was learnt."""
    with files.open_read(path) as file:
        data = file.read()
    if xxhash.xxh3_128_hexdigest(data) != xxh3:
        raise RunError(f"{path}: not the tokenizer that this run learnt. Remove it and run the same command again.")
    return load_for_encoding(data)
