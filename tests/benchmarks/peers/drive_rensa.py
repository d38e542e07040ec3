"""rensa: RMinHash in batches, 112 permutations of word 5-grams."""

from __future__ import annotations

from pathlib import Path

import rensa
from common import Figures, main, measured, shingles, size_of, texts

BATCH = 1000


def signatures(inputs: Path, scratch: Path) -> Figures:
    documents = texts(inputs)

    def work() -> int:
        signed = 0
        for low in range(0, len(documents), BATCH):
            batch = [list(shingles(text)) for text in documents[low : low + BATCH]]
            rensa.RMinHash.digest_matrix_from_token_sets(batch, 112, 1)
            signed += len(batch)
        return signed

    cost, signed = measured(work)
    return Figures(cost=cost, documents=len(documents), size=size_of(documents), result=f"{signed:,} signatures")


if __name__ == "__main__":
    main({"signatures": signatures})
