"""trafilatura with its defaults, on pages that are already read and decoded."""

from __future__ import annotations

from pathlib import Path

import trafilatura
from common import Figures, main, measured, rows, size_of


def extract(inputs: Path, scratch: Path) -> Figures:
    pages = rows(inputs / "pages.jsonl.gz", "html")
    trafilatura.extract(pages[0])  # loads its settings
    cost, found = measured(lambda: [trafilatura.extract(page) or "" for page in pages])
    result = f"{sum(map(bool, found)):,} texts, {size_of(found) / 1e6:.1f} MB"
    return Figures(cost=cost, documents=len(pages), size=size_of(pages), result=result)


if __name__ == "__main__":
    main({"extract": extract})
