from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest

from schemas.documents import DOCUMENTS
from schemas.recipes import Dedupe
from transforms import measure
from transforms.measure import batches, documents
from transforms.outcomes import Page

WHERE = {"source": "web", "file": "crawl/ü.warc.gz"}


class Lengths:
    """A stand-in for the language model: the answer depends on the text alone."""

    def predict(self, text: str, k: int = 1) -> tuple[tuple[str, ...], object]:
        return (f"__label__l{len(text) % 7}",), np.array([len(text) % 101 / 101])


def rows_of(pages: list[Page]) -> pa.RecordBatch:
    return documents(pages, **WHERE, model=Lengths(), dedupe=Dedupe())


@pytest.fixture(scope="module")
def pages(corpus: Callable[[str], list[str]]) -> list[Page]:
    texts = [*corpus("wet"), "!?", "one", "a\nb", "😀 \u2028 \0"]
    when = datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)
    return [
        Page(offset=1000 * k, inner_offset=k % 3, text=t, record_id=f"r{k}" if k % 2 else None,
             url=None if k % 3 else "u", date=when if k % 5 else None, media_type="text/html", charset="utf-8")
        for k, t in enumerate(texts)
    ]


def test_rows_do_not_depend_on_their_batch(pages: list[Page]) -> None:
    whole = rows_of(pages)
    assert whole.schema == DOCUMENTS
    assert whole.num_rows == len(pages)
    whole.validate(full=True)
    for size in (1, 7):
        parts = [rows_of(pages[i : i + size]) for i in range(0, len(pages), size)]
        assert pa.Table.from_batches(parts).combine_chunks() == pa.Table.from_batches([whole]).combine_chunks()


def test_ids_digests_and_provenance(pages: list[Page]) -> None:
    rows = rows_of(pages).to_pylist()
    for page, row in zip(pages, rows, strict=True):
        name = b"web\0crawl/\xc3\xbc.warc.gz\0%d\0%d" % (page.offset, page.inner_offset)
        assert row["id"] == hashlib.blake2b(name, digest_size=16).digest()
        assert row["digest"] == hashlib.blake2b(page.text.encode(), digest_size=16).digest()
        assert {field: row[field] for field in vars(page)} == vars(page)
        assert (row["source"], row["file"]) == tuple(WHERE.values())
    assert len({row["id"] for row in rows}) == len(rows)


def test_signatures_are_null_only_without_words(pages: list[Page]) -> None:
    signatures = {row["text"]: row["signature"] for row in rows_of(pages).to_pylist()}
    assert len(signatures["one"]) == 4 * 14 * 8
    assert signatures["!?"] is None


def test_no_pages_are_no_rows() -> None:
    empty = rows_of([])
    assert (empty.schema, empty.num_rows) == (DOCUMENTS, 0)


def test_batches_are_bounded_in_rows_and_in_text(monkeypatch: pytest.MonkeyPatch) -> None:
    some = [Page(offset=k, inner_offset=0, text="x" * 10) for k in range(7)]
    assert [[p.offset for p in b] for b in batches(some, rows=3)] == [[0, 1, 2], [3, 4, 5], [6]]
    monkeypatch.setattr(measure, "BATCH_BYTES", 20)
    assert [[p.offset for p in b] for b in batches(some, rows=3)] == [[0, 1], [2, 3], [4, 5], [6]]
    assert list(batches([], rows=3)) == []
