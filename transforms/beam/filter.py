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
from transforms.filtering import Sieved, sieve


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

    def __call__(self, part: PlannedPart) -> PartRecord:
        reasons: Counter[str] = Counter()
        languages: Counter[str] = Counter()
        text_bytes = 0
        with (
            TableWriter(self.out, f"{FILTER.folder}/{part.part}.parquet", CLEAN) as clean,
            TableWriter(self.out, f"dropped/{part.part}.parquet", DROPPED) as dropped,
        ):
            for sieved in self._sieved(part):
                clean.write(sieved.clean)
                dropped.write(sieved.dropped)
                reasons.update(sieved.dropped.column("reason").to_pylist())
                languages.update(sieved.clean.column("language").to_pylist())
                text_bytes += pc.sum(pc.binary_length(sieved.clean.column("text"))).as_py() or 0
        return PartRecord(
            stage=part.stage, part=part.part, plan_key=part.plan_key, source=part.source, name=part.name,
            outputs={"clean": clean.output, "dropped": dropped.output}, input_bytes=part.size, text_bytes=text_bytes,
            counts=Counts(
                came_in=part.work["documents"]["rows"], went_out=clean.output.rows,
                dropped=dict(sorted(reasons.items())),
            ),
            tallies={"language": dict(sorted(languages.items()))},
        )

    def _sieved(self, part: PlannedPart) -> Iterator[Sieved]:
        found = read_table(self.out, Output(**part.work["duplicates"]), rows=self.batch_rows)
        duplicates = pa.Table.from_batches(found, schema=DUPLICATES)
        columns = [name for name in DOCUMENTS.names if name != "signature"]
        recipe, digest = self.recipes[part.source], self.list_digests.get(part.source)
        lists = url_lists(recipe.urls, digest) if digest else None
        row = 0
        for batch in read_table(self.out, Output(**part.work["documents"]), columns=columns, rows=self.batch_rows):
            yield sieve(batch, first_row=row, duplicates=duplicates, recipe=recipe, lists=lists)
            row += batch.num_rows
