"""The tables of select/: where the records lie that an index names."""

from __future__ import annotations

import pyarrow as pa

from schemas.columns import Column, schema_of

PLACE_COLUMNS = (
    Column(name="file", type=pa.string(), meaning="logical name of the archive, as in documents/"),
    Column(name="offset", type=pa.int64(), meaning="byte in the file where the record, or its gzip member, starts"),
    Column(name="length", type=pa.int64(), meaning="its bytes in the file"),
)
FILE_COLUMNS = (
    PLACE_COLUMNS[0],
    Column(name="records", type=pa.int64(), meaning="how many of its records are selected"),
    Column(name="bytes", type=pa.int64(), meaning="the sum of their lengths"),
)

PLACES = schema_of(PLACE_COLUMNS)
"""Sorted by file, then offset."""
FILES = schema_of(FILE_COLUMNS)
"""Sorted by file: what PLACES adds up to, small enough to plan by."""
