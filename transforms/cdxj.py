"""CDXJ, an index as lines `KEY TIMESTAMP {JSON}`: https://pywb.readthedocs.io/en/latest/manual/indexing.html"""

from __future__ import annotations

import calendar
import io
import itertools
import json
import re
from collections.abc import Iterator
from typing import Any, BinaryIO
from urllib.parse import urlsplit

import pyarrow as pa
import pyarrow.compute as pc

from transforms.index_rows import Filters
from transforms.inflate import Inflated

ROWS = 1 << 14
MAX_LINE = 1 << 20
"""Bytes; an address is cut at 64 KiB by those who write indexes."""
_TIME = re.compile(r"[0-9]{14}")
_NO_PAGES = "/(?:crawldiagnostics|robotstxt)/"
"""Folders of Common Crawl's archives beside warc/, whose index has all three; its Parquet keeps them apart."""
_TYPES = {
    "url": pa.string(), "domain": pa.string(), "tld": pa.string(), "mime": pa.string(), "languages": pa.string(),
    "status": pa.int64(), "fetched": pa.int64(), "file": pa.string(), "offset": pa.int64(), "length": pa.int64(),
}


class BadLineError(Exception):
    """A line that is no CDXJ, or what ends the file before its end."""


def read_cdxj(raw: BinaryIO, *, filters: Filters) -> Iterator[pa.RecordBatch]:
    """The lines as columns of `transforms.index_rows`, with `file`, `offset` and `length`. `domain` is that of the
    filter's which the host is or lies below, since no line says what is registered. Raises BadLineError."""
    stream = Inflated(raw)
    rows = _rows(io.BufferedReader(stream, 1 << 16), filters)
    while batch := list(itertools.islice(rows, ROWS)):
        columns = zip(*batch, strict=True)
        arrays = [pa.array(c, t) for c, t in zip(columns, _TYPES.values(), strict=True)]
        yield pa.record_batch(arrays, names=list(_TYPES))
    if stream.damage:
        raise BadLineError(f"it is damaged: {stream.damage}")


def _rows(lines: BinaryIO, filters: Filters) -> Iterator[tuple[Any, ...]]:
    number = 0
    while line := lines.readline(MAX_LINE + 1):
        number += 1
        if len(line) > MAX_LINE:
            raise BadLineError(f"line {number} is longer than {MAX_LINE >> 20} MiB")
        if not line.strip() or line.startswith((b"#", b"!")):  # a remark; pywb's own notes
            continue
        try:
            _, time, fields = line.decode().split(" ", 2)
            yield _row(time, json.loads(fields), filters)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise BadLineError(f"line {number} is no CDXJ: {type(error).__name__}: {error}") from error


def _row(time: str, fields: dict[str, Any], filters: Filters) -> tuple[Any, ...]:
    if not _TIME.fullmatch(time):
        raise ValueError(f"{time[:20]!r} is no time")
    url, status = str(fields["url"]), str(fields.get("status"))
    host = _host(url)
    mime = fields.get("mime-detected") or fields.get("mime")
    domain = next((d for d in filters.domain if host == d or host.endswith(f".{d}")), None)
    return (
        url, domain, host.rpartition(".")[2] or None, mime, fields.get("languages"),
        int(status) if status.isdecimal() else None,
        calendar.timegm(tuple(int(time[a:b]) for a, b in ((0, 4), (4, 6), (6, 8), (8, 10), (10, 12), (12, 14)))),
        str(fields["filename"]), int(fields["offset"]), int(fields["length"]),
    )


def _host(url: str) -> str:
    try:
        return (urlsplit(url).hostname or "").rstrip(".")
    except ValueError:
        return ""


def of_pages(files: pa.Array) -> pa.Array:
    """Whether each archive is one of pages, where Common Crawl tells by the name."""
    return pc.invert(pc.match_substring_regex(files, _NO_PAGES))
