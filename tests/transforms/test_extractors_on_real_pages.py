"""Both extractors against the texts that people marked on real pages, counted in words."""

from __future__ import annotations

import gzip
import json
import random
import re
from collections import Counter
from pathlib import Path

import pytest

from schemas.recipes import Extract, Extractor
from transforms.page import read_page

pytest.importorskip("trafilatura", reason="pip install 'winnow-data[precision]' brings it")

Pages = dict[str, tuple[bytes, str]]
FLOORS: dict[Extractor, tuple[float, float, float]] = {
    "resiliparse": (0.88, 0.98, 0.92),  # measured: 0.887, 0.988, 0.930
    "precision": (0.96, 0.97, 0.96),  # measured: 0.964, 0.975, 0.965
}
"""Precision, recall and F1, means over the pages."""


@pytest.fixture(scope="module")
def gold(data_folder: Path) -> Pages:
    """HTML and marked text, by the page's id."""
    folder = data_folder / "extraction" / "article-extraction-benchmark"
    marked = json.loads((folder / "ground-truth.json").read_text(encoding="utf-8"))
    return {
        page: (gzip.decompress((folder / "html" / f"{page}.html.gz").read_bytes()), fields["articleBody"])
        for page, fields in sorted(marked.items())
    }


def extracted(body: bytes, extractor: Extractor) -> str:
    return read_page(body, media_type="text/html", declared="utf-8", extract=Extract(extractor=extractor))[0]


def score(text: str, wanted: str) -> tuple[float, float, float]:
    """(precision, recall, F1) of the words of a text, as multisets."""
    words, marked = (Counter(re.findall(r"\w+", t.lower())) for t in (text, wanted))
    both = (words & marked).total()
    precision, recall = both / max(words.total(), 1), both / max(marked.total(), 1)
    return precision, recall, 2 * precision * recall / max(precision + recall, 1e-9)


def test_how_well_both_find_the_main_text(gold: Pages) -> None:
    assert len(gold) == 181
    means = {}
    for extractor, floors in FLOORS.items():
        texts = [extracted(body, extractor) for body, _ in gold.values()]
        assert all(texts)
        scores = [score(text, wanted) for text, (_, wanted) in zip(texts, gold.values(), strict=True)]
        means[extractor] = [sum(column) / len(scores) for column in zip(*scores, strict=True)]
        assert all(mean >= floor for mean, floor in zip(means[extractor], floors, strict=True)), means
    assert means["precision"][0] >= means["resiliparse"][0] + 0.05


def test_real_pages_in_any_order_give_the_same_texts(gold: Pages) -> None:
    few = sorted(gold)[::6]
    first = {page: extracted(gold[page][0], "precision") for page in few}
    for seed in range(2):
        order = few * 2
        random.Random(seed).shuffle(order)
        assert all(extracted(gold[page][0], "precision") == first[page] for page in order)
