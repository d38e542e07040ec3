"""Batches of any size to row groups of a fixed cut, so that a file's bytes do not tell how it was batched."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

GROUP_ROWS = 1024
GROUP_BYTES = 32 << 20


class RowGroups:
    """Cuts a stream of rows after every GROUP_ROWS rows, or where a group's strings reach GROUP_BYTES."""

    def __init__(self) -> None:
        self._waiting: list[pa.RecordBatch] = []
        self._rows = self._bytes = 0

    def add(self, batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
        """The groups that `batch` completes."""
        widths = _string_bytes(batch)
        while batch.num_rows:
            total = self._bytes + np.cumsum(widths)
            cut = min(int(np.searchsorted(total, GROUP_BYTES)) + 1, GROUP_ROWS - self._rows, batch.num_rows)
            self._waiting.append(batch.slice(0, cut))
            self._rows, self._bytes = self._rows + cut, int(total[cut - 1])
            batch, widths = batch.slice(cut), widths[cut:]
            if self._rows >= GROUP_ROWS or self._bytes >= GROUP_BYTES:
                yield from self.rest()

    def rest(self) -> Iterator[pa.RecordBatch]:
        """What waits for more, as the last group."""
        if self._waiting:
            yield pa.concat_batches(self._waiting)
        self._waiting, self._rows, self._bytes = [], 0, 0


def _string_bytes(batch: pa.RecordBatch) -> npt.NDArray[np.int64]:
    widths = np.zeros(batch.num_rows, np.int64)
    for column in batch.columns:
        if pa.types.is_string(column.type) or pa.types.is_binary(column.type):
            widths += pc.fill_null(pc.binary_length(column), 0).to_numpy(zero_copy_only=False)
    return widths
