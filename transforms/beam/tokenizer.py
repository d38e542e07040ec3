"""The tokenizer stage in Beam: each part counts its pre-tokens, the counts are summed by partition, one worker learns.

Pre-tokens are the one kind of text that crosses a shuffle, and only with their count: each of them once a part.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import apache_beam as beam
import numpy as np
import pyarrow as pa
import xxhash

from schemas.errors import RunError
from schemas.recipes import Tokenizer
from schemas.records import Counts, Output, PartRecord
from schemas.stages import TOKENIZER
from transforms.beam import files, metrics
from transforms.beam.parts import PlannedPart
from transforms.beam.spill import Block, Spill
from transforms.beam.tables import read_table, write_table
from transforms.identity import chosen
from transforms.merges import learn_merges
from transforms.pretokens import COUNTS, add_counts, count_pretokens
from transforms.tokenizer_file import SPECIAL_TOKENS, tokenizer_json

PARTITIONS = 16
TABLE_ROWS = 1 << 16
LEARNING = "learning"
"""Under this name stands what learning from the counts cost, beside the parts that made them."""


@dataclass(frozen=True, kw_only=True)
class CountPart:
    """Counts the pre-tokens of the documents of a clean part that are in the sample."""

    out: str
    tokenizer: Tokenizer
    batch_rows: int

    def setup(self) -> None:
        count_pretokens(pa.array(["a warm-up compiles the kernel"]))

    def teardown(self) -> None:
        """Nothing to end."""

    def __call__(self, part: PlannedPart) -> PartRecord:
        clean = Output(**part.work["clean"])
        sampled = 0

        def tables() -> Iterator[pa.RecordBatch]:
            nonlocal sampled
            for batch in read_table(self.out, clean, columns=["id", "text"], rows=self.batch_rows):
                texts = batch.filter(self._sample(batch.column("id"))).column("text")
                sampled += len(texts)
                yield count_pretokens(texts)

        counts = add_counts(tables())
        output = write_table(self.out, f"{TOKENIZER.folder}/{part.part}.parquet", [counts], COUNTS)
        left_out = {"not_sampled": clean.rows - sampled} if sampled < clean.rows else {}
        return PartRecord(
            stage=part.stage, part=part.part, plan_key=part.plan_key, source=part.source, name=part.name,
            outputs={"counts": output}, input_bytes=part.size,
            counts=Counts(came_in=clean.rows, went_out=sampled, dropped=left_out),
        )

    def _sample(self, ids: pa.Array) -> pa.BooleanArray:
        settings = self.tokenizer
        seed, per_million = settings.seed, settings.sample_per_million
        return pa.array([chosen(i, seed=seed, per_million=per_million) for i in ids.to_pylist()], pa.bool_())


class LearnTokenizer(beam.PTransform):
    """Commit records of CountPart in; tokenizer.json is written, and named, as the stage's one output."""

    def __init__(self, out: str, settings: Tokenizer, spill: Spill) -> None:
        super().__init__()
        self._out, self._settings, self._spill = out, settings, spill

    def expand(self, records: beam.PCollection[PartRecord]) -> beam.PCollection[dict[str, Output]]:
        return (
            records
            | "counts" >> beam.FlatMap(_counts, self._out, self._spill).with_output_types(Block)
            | "gather counts" >> beam.GroupByKey()
            | "sum" >> beam.FlatMap(_sum, self._spill).with_output_types(Block)
            | "sums" >> beam.Values()
            | "all sums" >> beam.combiners.ToList()
            | "learn" >> beam.Map(_learn, self._out, self._settings, self._spill).with_output_types(dict[str, Output])
        )


class KeepTokenizer(beam.PTransform):
    """Plan path in; names the tokenizer that is there as the stage's one output, and learns none."""

    def __init__(self, out: str, there: Output) -> None:
        super().__init__()
        self._out, self._there = out, there

    def expand(self, plan: beam.PCollection[str]) -> beam.PCollection[dict[str, Output]]:
        return plan | "keep" >> beam.Map(_kept, self._out, self._there).with_output_types(dict[str, Output])


def _kept(_plan: str, out: str, there: Output) -> dict[str, Output]:
    path = files.join(out, there.path)
    with files.open_read(path) as file:
        found = xxhash.xxh3_128_hexdigest(file.read())
    if found != there.xxh3:
        raise RunError(
            f"{path}: not the tokenizer that the shards were made with, which a takedown keeps. Put that back, or "
            f"remove {files.join(out, 'takedown/pin.json')} to learn another, for all shards."
        )
    return {"tokenizer": there}


def _counts(record: PartRecord, out: str, spill: Spill) -> Iterator[Block]:
    return spill.keep(_count_blocks(record, out))


def _count_blocks(record: PartRecord, out: str) -> Iterator[Block]:
    for batch in read_table(out, record.outputs["counts"], rows=TABLE_ROWS):
        hashes = [xxhash.xxh3_64_intdigest(p) for p in batch.column("pretoken").cast(pa.binary()).to_pylist()]
        numbers = np.array(hashes, np.uint64).astype(np.int64) % PARTITIONS
        for number in np.unique(numbers).tolist():
            yield number, _packed(batch.filter(pa.array(numbers == number)))


def _sum(item: tuple[int, Iterable[bytes]], spill: Spill) -> Iterator[Block]:
    partition, values = item
    return spill.keep([(partition, _packed(add_counts(map(_unpacked, spill.load(values)))))])


def _learn(sums: list[bytes], out: str, settings: Tokenizer, spill: Spill) -> dict[str, Output]:
    since = metrics.mark()
    counts = add_counts(map(_unpacked, spill.load(sums)))
    pa.default_memory_pool().release_unused()  # summing took many times what the sums take
    bpe = learn_merges(
        counts, vocab_size=settings.vocab_size, min_count=settings.min_count, special_tokens=SPECIAL_TOKENS,
    )
    data = tokenizer_json(bpe, special_tokens=SPECIAL_TOKENS)
    path = f"{TOKENIZER.folder}/tokenizer.json"
    xxh3 = files.write_bytes(files.join(out, path), data)
    metrics.write(
        out, stage=TOKENIZER.name, part=LEARNING, plan_key=xxh3, since=since, bytes_in=counts.nbytes,
        rows=len(bpe.vocab),
    )
    return {"tokenizer": Output(path=path, rows=len(bpe.vocab), bytes=len(data), xxh3=xxh3, content=xxh3)}


def _packed(batch: pa.RecordBatch) -> bytes:
    """Arrow IPC of exactly these rows: a pickled slice would carry its parent's buffers."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    packed: bytes = sink.getvalue().to_pybytes()
    return packed


def _unpacked(block: bytes) -> pa.RecordBatch:
    return pa.ipc.open_stream(block).read_next_batch()
