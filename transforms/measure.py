"""Pages to the rows of documents/: everything that will ever be asked of a document, measured once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import pyarrow as pa

from schemas.documents import DOCUMENTS
from schemas.recipes import Dedupe
from transforms.identity import document_id, text_digests
from transforms.language import LanguageModel, identify
from transforms.language_tables import KernelModel
from transforms.outcomes import Page
from transforms.signals import measure
from transforms.signatures import sign

BATCH_BYTES = 8 << 20


def documents(
    pages: Sequence[Page], *, source: str, file: str, model: LanguageModel | KernelModel, dedupe: Dedupe
) -> pa.RecordBatch:
    """The DOCUMENTS rows of pages of one archive, in their order."""
    text = pa.array([p.text for p in pages], pa.string())
    ids = [document_id(source=source, file=file, offset=p.offset, inner_offset=p.inner_offset) for p in pages]
    language, confidence = identify(text, model)
    columns: list[pa.Array] = [
        pa.array(ids, pa.binary(16)),
        pa.array([source] * len(pages), pa.string()),
        pa.array([file] * len(pages), pa.string()),
        pa.array([p.offset for p in pages], pa.int64()),
        pa.array([p.inner_offset for p in pages], pa.int64()),
        pa.array([p.record_id for p in pages], pa.string()),
        pa.array([p.url for p in pages], pa.string()),
        pa.array([p.date for p in pages], pa.timestamp("s", tz="UTC")),
        pa.array([p.media_type for p in pages], pa.string()),
        pa.array([p.charset for p in pages], pa.string()),
        pa.array([p.extractor for p in pages], pa.string()),
        pa.array([p.robots for p in pages], pa.string()),
        text,
        language,
        confidence,
        *measure(text).columns,
        text_digests(text),
        sign(text, ngram=dedupe.ngram, permutations=dedupe.bands * dedupe.rows, seed=dedupe.seed),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=DOCUMENTS)


def batches(pages: Iterable[Page], *, rows: int) -> Iterator[list[Page]]:
    """Pages in lists of at most `rows`, and of at most about BATCH_BYTES of text."""
    batch: list[Page] = []
    size = 0
    for page in pages:
        batch.append(page)
        size += len(page.text)
        if len(batch) >= rows or size >= BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
