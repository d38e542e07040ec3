"""What the loader hands on: some samples of the order, as plain numpy arrays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, kw_only=True)
class Rows:
    """n samples of t targets each, in the order they were asked for.

    samples     int64[n]             their places in the order
    tokens      uint16|uint32[n,t+1] the last token of a row is a target only
    n_real      int32[n]             tokens that are not padding, 2 to t + 1; 0: no target, or taken down
    start_row   int32[m]             for each document that starts in these rows: in which of the n ...
    start_at    int32[m]             ... and at which position, 0 to t; sorted by row, then position
    source      int16[n]             positions in the manifest's `sources`
    lang        int16[n]             positions in the manifest's `languages`

    A row that begins in the middle of a document has no start at position 0. Padding belongs to the last document.
    """

    samples: npt.NDArray[np.int64]
    tokens: npt.NDArray[np.unsignedinteger[Any]]
    n_real: npt.NDArray[np.int32]
    start_row: npt.NDArray[np.int32]
    start_at: npt.NDArray[np.int32]
    source: npt.NDArray[np.int16]
    lang: npt.NDArray[np.int16]

    def __len__(self) -> int:
        return len(self.samples)
