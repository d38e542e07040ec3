"""The filter stage's part: documents/ and duplicates/ of one part to clean/ and dropped/."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from schemas.documents import CLEAN, DOCUMENTS, DROPPED, DUPLICATES
from schemas.recipes import Recipe
from schemas.records import Counts, Output, PartRecord
from schemas.stages import FILTER
from transforms.beam.lists import url_lists
from transforms.beam.parts import PlannedPart
from transforms.beam.tables import TableWriter, read_table
from transforms.digests import RowsDigest
from transforms.filtering import Sieved, sieve

ENCODED_COLUMNS = ["id", "digest", "language", "word_count", "cluster"]
"""What tokens and shards depend on, the digest standing for the text. With a duplicate gone, a cluster's size changes
in clean/ and nothing in shards/."""


@dataclass(frozen=True, kw_only=True)
class FilterPart:
    """Applies the source's recipe to the outputs that part.work names."""

    out: str
    recipes: dict[str, Recipe]
    batch_rows: int
    list_digests: dict[str, str] = field(default_factory=dict)
    """Of the sources whose recipe has lists of addresses."""

    def setup(self) -> None:
        """Nothing to load."""

    def teardown(self) -> None:
        """Nothing to end."""

    def __call__(self, part: PlannedPart) -> PartRecord:
        reasons: Counter[str] = Counter()
        languages: Counter[str] = Counter()
        lost: dict[str, Counter[str]] = {}
        text_bytes = 0
        encoded = RowsDigest(pa.schema([CLEAN.field(name) for name in ENCODED_COLUMNS]))
        with (
            TableWriter(self.out, f"{FILTER.folder}/{part.part}.parquet", CLEAN) as clean,
            TableWriter(self.out, f"dropped/{part.part}.parquet", DROPPED) as dropped,
        ):
            for documents, sieved in self._sieved(part):
                clean.write(sieved.clean)
                encoded.update(sieved.clean.select(ENCODED_COLUMNS))
                dropped.write(sieved.dropped)
                reasons.update(sieved.dropped.column("reason").to_pylist())
                languages.update(sieved.clean.column("language").to_pylist())
                for reason, language in _lost(documents, sieved.dropped):
                    lost.setdefault(lost_by(reason), Counter())[language] += 1
                text_bytes += pc.sum(pc.binary_length(sieved.clean.column("text"))).as_py() or 0
        return PartRecord(
            stage=part.stage, part=part.part, plan_key=part.plan_key, source=part.source, name=part.name,
            outputs={"clean": clean.output, "dropped": dropped.output}, input_bytes=part.size, text_bytes=text_bytes,
            counts=Counts(
                came_in=part.work["documents"]["rows"], went_out=clean.output.rows,
                dropped=dict(sorted(reasons.items())),
            ),
            tallies={name: dict(sorted(of.items())) for name, of in {"language": languages, **lost}.items()},
            digests={"encoded": encoded.hexdigest},
        )

    def _sieved(self, part: PlannedPart) -> Iterator[tuple[pa.RecordBatch, Sieved]]:
        """Batches of documents, and what becomes of them."""
        found = read_table(self.out, Output(**part.work["duplicates"]), rows=self.batch_rows)
        duplicates = pa.Table.from_batches(found, schema=DUPLICATES)
        columns = [name for name in DOCUMENTS.names if name != "signature"]
        recipe, digest = self.recipes[part.source], self.list_digests.get(part.source)
        lists = url_lists(recipe.urls, digest) if digest else None
        row = 0
        for batch in read_table(self.out, Output(**part.work["documents"]), columns=columns, rows=self.batch_rows):
            yield batch, sieve(batch, first_row=row, duplicates=duplicates, recipe=recipe, lists=lists)
            row += batch.num_rows


def lost_by(reason: str) -> str:
    """The tally, by language, of the documents dropped for `reason`."""
    return f"language lost by {reason}"


def _lost(documents: pa.RecordBatch, dropped: pa.RecordBatch) -> Iterator[tuple[str, str]]:
    """(reason, language) of each row of `dropped`; all are of `documents`."""
    found = pc.index_in(dropped.column("id"), documents.column("id"))
    languages = documents.column("language").take(found).to_pylist()
    yield from zip(dropped.column("reason").to_pylist(), languages, strict=True)
