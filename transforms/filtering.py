"""Documents and what dedupe found of them to the rows of clean/ and dropped/."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from schemas.documents import CLEAN, DROPPED
from schemas.recipes import Recipe
from transforms.rules import drop_reasons
from transforms.urls import UrlLists

EXACT, NEAR = "exact_duplicate", "near_duplicate"


@dataclass(frozen=True, kw_only=True)
class Sieved:
    """Each document of a batch in exactly one of the two."""

    clean: pa.RecordBatch
    dropped: pa.RecordBatch


def sieve(
    batch: pa.RecordBatch, *, first_row: int, duplicates: pa.Table, recipe: Recipe, lists: UrlLists | None = None
) -> Sieved:
    """Splits DOCUMENTS rows, the first being `first_row` of its part, by the recipe's lists of addresses and its rules,
    then by the part's DUPLICATES.

    `duplicates` has any rows of the same part; those outside the batch are ignored."""
    rows = np.arange(first_row, first_row + batch.num_rows)
    ids = batch.column("id")
    found = duplicates.filter(pc.is_in(duplicates.column("row"), pa.array(rows)))
    where = pa.array(np.searchsorted(rows, found.column("row").to_numpy()))
    cluster, size = ids.to_pylist(), np.ones(batch.num_rows, np.int64)
    lost = np.full(batch.num_rows, None, object)
    for k, verdict in zip(where.to_pylist(), found.to_pylist(), strict=True):
        cluster[k], size[k] = verdict["cluster"], verdict["cluster_size"]
        lost[k] = None if verdict["survivor"] else EXACT if verdict["exact"] else NEAR
    reasons = pc.coalesce(drop_reasons(batch, recipe=recipe, lists=lists), pa.array(lost, pa.string()))
    columns = {
        **dict(zip(batch.schema.names, batch.columns, strict=True)),
        "cluster": pa.array(cluster, pa.binary(16)),
        "cluster_size": pa.array(size),
    }
    clean = pa.RecordBatch.from_arrays([columns[name] for name in CLEAN.names], schema=CLEAN)
    dropped = pa.RecordBatch.from_arrays([ids, pa.array(rows), reasons], names=DROPPED.names)
    kept = pc.is_null(reasons)
    return Sieved(clean=clean.filter(kept), dropped=dropped.filter(pc.invert(kept)).cast(DROPPED))
