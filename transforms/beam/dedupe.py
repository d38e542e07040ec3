"""The dedupe stage in Beam. Only packed blocks of numbers cross its shuffles; see `transforms.duplicates`.

    parts -> (partition, buckets) -> edges -> one forest -> (part, members' rows) -> (partition, members)
          -> (part, verdicts) -> duplicates/, one file a part, empty or not
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from schemas.documents import DUPLICATES
from schemas.recipes import Recipe
from schemas.records import Counts, Output, PartRecord
from schemas.stages import DEDUPE
from transforms import duplicates as pure
from transforms.beam import metrics
from transforms.beam.handshake import check_code
from transforms.beam.lists import url_lists
from transforms.beam.parts import PlannedPart, commit, committed, largest_first, tell
from transforms.beam.spill import Block, Spill
from transforms.beam.tables import read_table, write_table
from transforms.filtering import EXACT, NEAR
from transforms.rules import DECISION_COLUMNS, drop_reasons
from transforms.signatures import bands

COLUMN_ROWS = 1 << 13
"""Rows a batch when only columns of numbers are read: some 10 MB with signatures."""


@dataclass(frozen=True, kw_only=True)
class DedupeSettings:
    """`recipes` by source decide who is compared; `recipe` says how. `partitions` bounds a shuffle key's memory."""

    out: str
    recipe: Recipe
    recipes: dict[str, Recipe]
    partitions: int = 64
    spill: Spill = field(default_factory=Spill)
    list_digests: dict[str, str] = field(default_factory=dict)
    """Of the sources whose recipe has lists of addresses."""


class Dedupe(beam.PTransform):
    """Plan path in, commit records of duplicates/ out."""

    def __init__(self, settings: DedupeSettings) -> None:
        super().__init__()
        self._settings = settings

    def expand(self, plan: beam.PCollection[str]) -> beam.PCollection[PartRecord]:
        settings = self._settings
        parts = plan | "list parts" >> beam.FlatMap(largest_first).with_output_types(PlannedPart)
        keyed = parts | "by number" >> beam.Map(_numbered).with_output_types(tuple[int, PlannedPart])
        forest = (
            parts
            | "spread" >> beam.Reshuffle()
            | "buckets" >> beam.FlatMap(_kept, bucket_blocks, settings).with_output_types(Block)
            | "gather buckets" >> beam.GroupByKey()
            | "edges" >> beam.Map(_edges, settings.spill).with_output_types(bytes)
            | "one forest" >> beam.CombineGlobally(Forest()).with_fanout(16)
        )
        members = (
            {"part": keyed, "rows": forest | "rows by part" >> beam.FlatMap(rows_by_part).with_output_types(Block)}
            | "rows to parts" >> beam.CoGroupByKey()
            | "members" >> beam.FlatMap(_kept, member_blocks, settings).with_output_types(Block)
            | "gather clusters" >> beam.GroupByKey()
            | "verdicts" >> beam.FlatMap(_kept, _verdict_blocks, settings).with_output_types(Block)
        )
        return (
            {"part": keyed, "verdicts": members}
            | "verdicts to parts" >> beam.CoGroupByKey()
            | "write duplicates" >> beam.Map(_write_part, settings).with_output_types(PartRecord)
        )


class Forest(beam.CombineFn):
    """Blocks of edges to one min-root forest. What waits is merged whenever it outgrows what is merged already."""

    MERGE_BYTES = 4 << 20

    def create_accumulator(self) -> list[bytes]:
        return [b""]

    def add_input(self, accumulator: list[bytes], edges: bytes) -> list[bytes]:
        accumulator.append(edges)
        waiting = sum(map(len, accumulator[1:]))
        return self.compact(accumulator) if waiting > max(self.MERGE_BYTES, len(accumulator[0])) else accumulator

    def merge_accumulators(self, accumulators: Iterable[list[bytes]]) -> list[bytes]:
        return self.compact([block for accumulator in accumulators for block in accumulator])

    def compact(self, accumulator: list[bytes]) -> list[bytes]:
        return [pure.forest(_pairs(b"".join(accumulator))).tobytes()]

    def extract_output(self, accumulator: list[bytes]) -> bytes:
        return self.compact(accumulator)[0]


def bucket_blocks(part: PlannedPart, settings: DedupeSettings) -> Iterator[Block]:
    """(partition, packed (bucket, node) pairs) of the documents of a part that are compared."""
    recipe = settings.recipe.dedupe
    columns = [*DECISION_COLUMNS, "digest", "signature"]
    decides, digest = settings.recipes[part.source], settings.list_digests.get(part.source)
    lists = url_lists(decides.urls, digest) if digest else None
    if lists:
        columns.append("url")
    if decides.respect:
        columns.append("robots")
    for first, batch in _read(part, settings, columns):
        compared = pa.array([True] * batch.num_rows)
        if not recipe.before_rules:
            compared = pc.is_null(drop_reasons(batch, recipe=decides, lists=lists))
        rows = first + np.flatnonzero(compared.to_numpy(zero_copy_only=False))
        nodes = pure.node_numbers(part.number, rows)
        signature = batch.column("signature").filter(compared)
        signed = nodes[signature.is_valid().to_numpy(zero_copy_only=False)]
        hashes = bands(signature.drop_null(), bands=recipe.bands, rows=recipe.rows)
        digests = pure.halves(batch.column("digest").filter(compared))
        pairs = pure.bucket_keys(hashes, digests, nodes, signed)
        yield from pure.blocks_by(pure.partitions_of(pairs[:, 0], settings.partitions), pairs)


def rows_by_part(forest: bytes) -> Iterator[Block]:
    """(part number, packed (node, root)) of every document that has a duplicate."""
    members = pure.forest_members(_pairs(forest))
    parts, _ = pure.part_and_row(members[:, 0])
    yield from pure.blocks_by(parts, members)


def member_blocks(item: tuple[int, dict[str, list[Any]]], settings: DedupeSettings) -> Iterator[Block]:
    """(partition, packed MEMBER rows) of a part's documents that have duplicates: what decides who survives."""
    [part], blocks = item[1]["part"], item[1]["rows"]
    members = _pairs(b"".join(blocks))
    _, wanted = pure.part_and_row(members[:, 0])
    if not len(members):
        return
    order = np.argsort(wanted)
    members, wanted = members[order], wanted[order]
    for first, batch in _read(part, settings, ["id", "digest", "char_count", "date"]):
        here = slice(*np.searchsorted(wanted, [first, first + batch.num_rows]))
        chosen = batch.take(pa.array(wanted[here] - first))
        rows = np.zeros(chosen.num_rows, pure.MEMBER)
        rows["node"], rows["root"] = members[here, 0], members[here, 1]
        rows["id"], rows["digest"] = pure.halves(chosen.column("id")), pure.halves(chosen.column("digest"))
        rows["chars"] = chosen.column("char_count").to_numpy()
        dates = chosen.column("date").cast(pa.int64())
        rows["date"] = pc.fill_null(dates, int(pure.NO_DATE)).to_numpy(zero_copy_only=False)
        yield from pure.blocks_by(pure.partitions_of(rows["root"], settings.partitions), rows)


def duplicate_rows(blocks: Iterable[bytes], ids: pa.FixedSizeBinaryArray) -> pa.RecordBatch:
    """The DUPLICATES rows of one part, by row, from its packed VERDICT rows; `ids` are the part's document ids."""
    found = np.frombuffer(b"".join(blocks), pure.VERDICT)
    _, rows = pure.part_and_row(found["node"])
    order = np.argsort(rows)
    found, rows = found[order], rows[order]
    columns = [
        ids.take(pa.array(rows)), pa.array(rows), pure.ids_of(found["cluster"]), pa.array(found["size"]),
        pa.array(found["survivor"]), pa.array(found["exact"]),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=DUPLICATES)


def _write_part(item: tuple[int, dict[str, list[Any]]], settings: DedupeSettings) -> PartRecord:
    [part], blocks = item[1]["part"], item[1]["verdicts"]
    record = committed(settings.out, part) or _written(part, blocks, settings)
    tell(record)
    return record


def _written(part: PlannedPart, blocks: list[Any], settings: DedupeSettings) -> PartRecord:
    since = metrics.mark()
    ids = [batch.column("id") for _, batch in _read(part, settings, ["id"])]
    batch = duplicate_rows(settings.spill.load(blocks), pa.chunked_array(ids, pa.binary(16)).combine_chunks())
    output = write_table(settings.out, f"{DEDUPE.folder}/{part.part}.parquet", [batch], DUPLICATES)
    lost = batch.filter(pc.invert(batch.column("survivor"))).column("exact").to_pylist()
    reasons = Counter(EXACT if exact else NEAR for exact in lost)
    documents = part.work["documents"]["rows"]
    return commit(
        settings.out,
        PartRecord(
            stage=part.stage, part=part.part, plan_key=part.plan_key, source=part.source, name=part.name,
            outputs={"duplicates": output}, input_bytes=part.size,
            counts=Counts(came_in=documents, went_out=documents - len(lost), dropped=dict(sorted(reasons.items()))),
        ),
        since=since,
    )


def _read(part: PlannedPart, settings: DedupeSettings, columns: list[str]) -> Iterator[tuple[int, pa.RecordBatch]]:
    """(first row, batch) of the columns of a part's documents."""
    check_code(part.code, where=f"{part.stage}/{part.part}")
    first = 0
    for batch in read_table(settings.out, Output(**part.work["documents"]), columns=columns, rows=COLUMN_ROWS):
        yield first, batch
        first += batch.num_rows


def _numbered(part: PlannedPart) -> tuple[int, PlannedPart]:
    return part.number, part


def _kept(
    item: Any, blocks: Callable[[Any, DedupeSettings], Iterator[Block]], settings: DedupeSettings
) -> Iterator[Block]:
    return settings.spill.keep(blocks(item, settings))


def _edges(item: tuple[int, Iterable[bytes]], spill: Spill) -> bytes:
    return pure.edges_of_buckets(spill.load(item[1])).tobytes()


def _verdict_blocks(item: tuple[int, Iterable[bytes]], settings: DedupeSettings) -> Iterator[Block]:
    """(part number, packed VERDICT rows) of the clusters of a partition."""
    found = pure.verdicts(settings.spill.load(item[1]))
    parts, _ = pure.part_and_row(found["node"])
    yield from pure.blocks_by(parts, found)


def _pairs(block: bytes) -> pure.Pairs:
    return np.frombuffer(block, pure.U64).reshape(-1, 2)
