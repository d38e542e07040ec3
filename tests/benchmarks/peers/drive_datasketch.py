"""datasketch: one MinHash a text, 112 permutations of word 5-grams, by the fastest call that it documents."""

from __future__ import annotations

from pathlib import Path

from common import Figures, main, measured, shingles, size_of, texts
from datasketch import MinHash


def signatures(inputs: Path, scratch: Path) -> Figures:
    documents = texts(inputs)
    blank = MinHash(num_perm=112, seed=1)

    def work() -> list[MinHash]:
        signed = []
        for text in documents:
            one = blank.copy()
            one.update_batch([shingle.encode() for shingle in shingles(text)])
            signed.append(one)
        return signed

    cost, signed = measured(work)
    return Figures(cost=cost, documents=len(documents), size=size_of(documents), result=f"{len(signed):,} signatures")


if __name__ == "__main__":
    main({"signatures": signatures})
