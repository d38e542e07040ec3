"""The tables that carry documents: documents/, clean/, dropped/, duplicates/ and dead_letters/."""

from __future__ import annotations

import pyarrow as pa

from schemas.columns import ID, Column, schema_of
from schemas.signals import SIGNALS

PROVENANCE: tuple[Column, ...] = (
    Column(name="id", type=ID, meaning="document id: hash of source, file, offset and inner_offset"),
    Column(name="source", type=pa.string(), meaning="the input's name, a component of the training mixture"),
    Column(name="file", type=pa.string(), meaning="logical name of the archive: its path below the source's root"),
    Column(name="offset", type=pa.int64(),
           meaning="byte in the file where the record, or its gzip member, zstd frame or row group, starts"),
    Column(name="inner_offset", type=pa.int64(),
           meaning="byte in the inflated member or frame where the record starts; Parquet: its row in the row group"),
    Column(name="record_id", type=pa.string(), meaning="the archive's own name for the record", nullable=True),
    Column(name="url", type=pa.string(), meaning="address the page was fetched from", nullable=True),
    Column(name="date", type=pa.timestamp("s", tz="UTC"), meaning="when it was fetched, or made", nullable=True),
    Column(name="media_type", type=pa.string(), meaning="MIME type the server declared, lower case", nullable=True),
    Column(name="charset", type=pa.string(), meaning="character encoding the bytes were read with", nullable=True),
    Column(name="extractor", type=pa.string(), nullable=True,
           meaning="library that made text of HTML or wikitext, and its version; null if the record was text already"),
    Column(name="robots", type=pa.string(), nullable=True,
           meaning="what the page's meta elements and its server's headers ask of robots and miners of text: "
                   "directives, sorted, with commas, as noai,noindex,tdm-reservation; null if nothing"),
)
TEXT = Column(name="text", type=pa.string(), meaning="main text, UTF-8")
LANGUAGE: tuple[Column, ...] = (
    Column(name="language", type=pa.string(), meaning="label of lid.176, an ISO 639 code"),
    Column(name="language_confidence", type=pa.int32(), meaning="in ten-thousandths, rounded: 6500 is 0.65"),
)
IDENTITY: tuple[Column, ...] = (
    Column(name="digest", type=ID, meaning="BLAKE2b-128 of the text's UTF-8 bytes: equal texts have equal digests"),
    Column(name="signature", type=pa.binary(), nullable=True,
           meaning="MinHash: one little-endian uint32 a permutation; null when the text has no word"),
)
CLUSTER: tuple[Column, ...] = (
    Column(name="cluster", type=ID, meaning="smallest document id among its duplicates; its own id if it has none"),
    Column(name="cluster_size", type=pa.int64(), meaning="documents in the cluster, itself included"),
)

DOCUMENT_COLUMNS = (*PROVENANCE, TEXT, *LANGUAGE, *SIGNALS, *IDENTITY)
CLEAN_COLUMNS = (*PROVENANCE, TEXT, *LANGUAGE, *SIGNALS, IDENTITY[0], *CLUSTER)
DROPPED_COLUMNS = (
    PROVENANCE[0],
    Column(name="row", type=pa.int64(), meaning="its row in the part of the same name in documents/, from 0"),
    Column(name="reason", type=pa.string(),
           meaning="url, a directive of robots, language, the column of the first rule it broke, exact_duplicate or "
                   "near_duplicate"),
)
DUPLICATE_COLUMNS = (
    PROVENANCE[0],
    DROPPED_COLUMNS[1],
    *CLUSTER,
    Column(name="survivor", type=pa.bool_(), meaning="true for the one document of the cluster that is kept"),
    Column(name="exact", type=pa.bool_(), meaning="true if its text is byte for byte the survivor's"),
)
DEAD_LETTER_COLUMNS = (
    *PROVENANCE[1:5],
    Column(name="length", type=pa.int64(),
           meaning="bytes lost: of the record or, when the file broke, up to the next one or the file's end"),
    Column(name="reason", type=pa.string(), meaning="why no document came of it"),
    Column(name="detail", type=pa.string(), meaning="the parser's own words"),
    Column(name="record", type=pa.binary(), meaning="the first 64 KiB of what was read"),
)

DOCUMENTS = schema_of(DOCUMENT_COLUMNS)
CLEAN = schema_of(CLEAN_COLUMNS)
DROPPED = schema_of(DROPPED_COLUMNS)
DUPLICATES = schema_of(DUPLICATE_COLUMNS)
DEAD_LETTERS = schema_of(DEAD_LETTER_COLUMNS)
