"""Documents that must not be trained on any more: their rows give no loss, and no other row changes its place."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from schemas.columns import ID
from schemas.errors import RunError
from trainer.dataset import DataSet

_ID = re.compile(r"[0-9a-fA-F]{32}")
_ROW = re.compile(r"(.*\S)\s+([0-9]{1,18})")


@dataclass(frozen=True, kw_only=True)
class Takedown:
    """`documents`: ids of 16 bytes. `rows`: (shard's path as the manifest has it, row in it) -> where it was listed."""

    documents: frozenset[bytes] = frozenset()
    rows: Mapping[tuple[str, int], str] = field(default_factory=dict)


def read_takedown(path: str) -> Takedown:
    """A text file with a line each: a document's id, 32 hexadecimal digits, or a shard's path, a space and a row.

    `#` starts a comment at the start of a line or after a space. Raises RunError, with the number of the line, on
    anything else, and if the file cannot be read.
    """
    try:
        with open(path, encoding="utf-8") as file:
            lines = file.read().split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise RunError(f"{path}: the takedown list cannot be read ({error}); without it nothing is trained") from error
    documents: set[bytes] = set()
    rows: dict[tuple[str, int], str] = {}
    for number, line in enumerate(lines, 1):
        text = re.sub(r"(^|\s)#.*", "", line).strip()
        if _ID.fullmatch(text):
            documents.add(bytes.fromhex(text))
        elif listed := _ROW.fullmatch(text):
            rows[listed[1], int(listed[2])] = f"{path}, line {number}"
        elif text:
            raise RunError(f"{path}, line {number}: {text[:80]!r} is neither the 32 hexadecimal digits of a document "
                           "nor a shard's path and a row")
    return Takedown(documents=frozenset(documents), rows=rows)


def masked_rows(data: DataSet, split: str, takedown: Takedown) -> dict[str, npt.NDArray[np.int64]]:
    """By source, the rows of `split` that hold a token of one of the documents or are listed themselves, ascending.

    They are rows as stored, counted through the source's shards. A source without one has no entry. Reads the
    `doc_ids` of every shard, 16 bytes a document. Raises RunError on a listed shard or row that does not exist.
    """
    _check(data, takedown)
    wanted = pa.array(sorted(takedown.documents), ID)
    masked = {}
    for source in data.rows(split):
        found, before = [np.empty(0, np.int64)], 0
        for shard in data.shards(split, source):
            listed = [row for path, row in takedown.rows if path == shard.path]
            holding = _holding(data.mapped(shard).rows.column("doc_ids"), wanted) if len(wanted) else found[0]
            found.append(before + np.union1d(np.array(listed, np.int64), holding))
            before += shard.rows
        if len(rows := np.concatenate(found)):
            masked[source] = rows
    return masked


def _holding(documents: pa.ListArray, wanted: pa.Array) -> npt.NDArray[np.int64]:
    """The rows whose list has one of `wanted`."""
    hits = np.flatnonzero(pc.is_in(documents.values, wanted).to_numpy(zero_copy_only=False))
    rows: npt.NDArray[np.int64] = np.searchsorted(documents.offsets.to_numpy(), hits, side="right") - 1
    return np.unique(rows)


def _check(data: DataSet, takedown: Takedown) -> None:
    known = {s.path: s.rows for split in data.manifest.splits.values() for s in split}
    for (path, row), where in takedown.rows.items():
        if path not in known:
            raise RunError(f"{where}: {data.path} has no shard {path}; give paths as the manifest has them")
        if row >= known[path]:
            raise RunError(f"{where}: {path} has rows 0 to {known[path] - 1}, not {row}")
