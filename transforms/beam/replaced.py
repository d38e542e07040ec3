"""Rows of shards that had documents which are there no longer, noted by the part that makes its shards anew.

Old shards are replaced one by one and a part may be killed at any point, so what they held is written down first, in
takedown/index/, and compared with what is left afterwards, in takedown/rows/.
"""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from schemas.columns import ID
from schemas.errors import RunError
from schemas.records import Output
from schemas.stages import ENCODE
from transforms.beam import files
from transforms.beam.parts import PlannedPart
from transforms.beam.tables import read_table, write_table

INDEX = pa.schema([
    pa.field("shard", pa.string(), nullable=False), pa.field("row", pa.int64(), nullable=False),
    pa.field("id", ID, nullable=False),
])
"""A document that has a token in a row; shards are named as in shards/manifest.json."""
_ROWS = 1 << 16
INDEX_FOLDER, ROWS_FOLDER = "takedown/index", "takedown/rows"


def index_path(part: str, old: str) -> str:
    """Of the shards that a part made by plan key `old`, relative to the output."""
    return f"{INDEX_FOLDER}/{part}-{old[:16]}.parquet"


def rows_path(part: str, old: str, new: str) -> str:
    """Of the rows of these shards with a document that those of plan key `new` lack."""
    return f"{ROWS_FOLDER}/{part}-{old[:16]}-{new[:16]}.json"


def note_replaced(out: str, part: PlannedPart) -> None:
    """Writes both down, for the record `part.work['replaces']`; does nothing where it has been done."""
    old = part.work["replaces"]
    there = files.join(out, rows_path(part.part, old["plan_key"], part.plan_key))
    if files.size(there) is not None:
        return
    index = index_path(part.part, old["plan_key"])
    if files.size(files.join(out, index)) is None:
        shards = {name: Output(**o) for name, o in old["outputs"].items() if name.endswith(".arrow")}
        write_table(out, index, [_held(out, name, shard) for name, shard in sorted(shards.items())], INDEX)
    left = [
        batch.column("id") for clean in part.work["clean"]
        for batch in read_table(out, Output(**clean), columns=["id"], rows=_ROWS)
    ]
    gone = _gone(out, index, pa.chunked_array(left, ID).combine_chunks())
    rows: dict[str, list[int]] = {}
    for shard, row in sorted(set(zip(gone["shard"].to_pylist(), gone["row"].to_pylist(), strict=True))):
        rows.setdefault(shard, []).append(row)
    documents = sorted({i.hex() for i in gone["id"].to_pylist()})
    files.write_bytes(there, (json.dumps({"documents": documents, "rows": rows}, sort_keys=True) + "\n").encode())


def _held(out: str, name: str, shard: Output) -> pa.RecordBatch:
    """The INDEX rows of one shard."""
    path = files.join(out, ENCODE.folder, name)
    try:
        if files.size(path) != shard.bytes:
            raise ValueError("it is not the one that the run has made")
        with files.open_read(path) as file:
            documents = pa.ipc.open_file(file).get_batch(0).column("doc_ids")
    except (OSError, ValueError) as error:
        raise RunError(
            f"{path}: cannot be read: {error}. Put it back, or remove {files.join(out, 'takedown/before.json')} and go "
            "on without a list of the rows that are taken down."
        ) from error
    row = np.repeat(np.arange(len(documents)), np.diff(documents.offsets.to_numpy()))
    names = pa.array([name] * len(row), pa.string())
    return pa.RecordBatch.from_arrays([names, pa.array(row, pa.int64()), documents.flatten()], schema=INDEX)


def _gone(out: str, index: str, left: pa.Array) -> pa.Table:
    """The rows of the index whose document is none of `left`."""
    with files.open_read(files.join(out, index)) as file:
        table = pq.read_table(file)
    return table.filter(pc.invert(pc.is_in(table["id"], left)))
