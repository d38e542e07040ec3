"""An index of a mirror's archives as Common Crawl makes it, made by another reader: Parquet tables and CDXJ lines."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import pyarrow as pa
import pyarrow.parquet as pq
from fastwarc.warc import ArchiveIterator, WarcRecordType

SNAPSHOT = "CC-MAIN-2026-43"
_STRINGS = ("url", "url_host_registered_domain", "url_host_tld", "content_languages", "content_mime_detected",
            "content_mime_type", "warc_filename")
SCHEMA = pa.schema(
    [(n, pa.string()) for n in _STRINGS] + [("fetch_status", pa.int16()), ("fetch_time", pa.timestamp("ms", tz="UTC"))]
    + [(n, pa.int32()) for n in ("warc_record_offset", "warc_record_length")]
)
"""Of the columns that winnow asks for: https://commoncrawl.org/columnar-index"""


@dataclass(frozen=True)
class Row:
    """A response as Common Crawl's table has it."""

    url: str
    url_host_registered_domain: str | None
    url_host_tld: str | None
    content_languages: str | None
    content_mime_detected: str | None
    content_mime_type: str | None
    fetch_status: int
    fetch_time: datetime
    warc_filename: str
    warc_record_offset: int
    warc_record_length: int

    @property
    def place(self) -> tuple[str, int]:
        return self.warc_filename, self.warc_record_offset

    @property
    def end(self) -> int:
        return self.warc_record_offset + self.warc_record_length


def members(path: Path) -> list[tuple[int, int]]:
    """(offset, length) of every record, each of which is a gzip member."""
    with path.open("rb") as file:
        starts = [r.stream_pos for r in ArchiveIterator(file, parse_http=False)]
    assert len(set(starts)) == len(starts), f"{path} has members of several records"
    ends = [*starts[1:], path.stat().st_size]
    return [(start, end - start) for start, end in zip(starts, ends, strict=True)]


def rows(root: Path, name: str, *, languages: Callable[[str, int], str | None]) -> list[Row]:
    """Of the responses of root/name; `languages` of (name, offset)."""
    lengths = dict(members(root / name))
    found = []
    with (root / name).open("rb") as file:
        for record in ArchiveIterator(file, record_types=WarcRecordType.response):
            headers = record.http_headers
            url = (record.headers.get("WARC-Target-URI") or "").strip("<>")
            host = (urlsplit(url).hostname or "").rstrip(".")
            labels = host.split(".")
            width = 3 if labels[-2:] == ["gov", "uk"] else 2
            mime = (record.http_content_type or "").lower() or None
            found.append(Row(
                url=url, url_host_registered_domain=".".join(labels[-width:]) if len(labels) > 1 else None,
                url_host_tld=labels[-1] or None, content_languages=languages(name, record.stream_pos),
                content_mime_detected=mime, content_mime_type=mime,
                fetch_status=int(headers.status_code or 0) if headers else 0, fetch_time=record.record_date,
                warc_filename=name, warc_record_offset=record.stream_pos, warc_record_length=lengths[record.stream_pos],
            ))  # fmt: skip
    return found


def write_parquet(root: Path, found: Iterable[Row], *, files: int, group: int = 64) -> list[str]:
    """Tables sorted by address as the crawl's are, and the list of them; beside each, one of another subset."""
    ordered = sorted(found, key=lambda r: (r.url_host_registered_domain or "", r.url))
    folder = f"cc-index/table/cc-main/warc/crawl={SNAPSHOT}"
    names = []
    for k in range(files):
        name = f"{folder}/subset=warc/part-{k:05}-x.c000.gz.parquet"
        own = ordered[len(ordered) * k // files : len(ordered) * (k + 1) // files]
        table = pa.Table.from_pylist([asdict(r) for r in own], schema=SCHEMA)
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, root / name, compression="gzip", row_group_size=group)
        names.append(name)
    others = [n.replace("subset=warc", "subset=crawldiagnostics") for n in names]
    listed(root, "cc-index-table.paths.gz", [*others, *names])
    return names


def write_cdxj(root: Path, found: Iterable[Row], *, files: int) -> list[str]:
    """The same as lines, which also tell of a failed fetch; gzip members of 30 lines each."""
    lines = [line(r) for r in sorted(found, key=lambda r: r.url)]
    names = [f"cc-index/collections/{SNAPSHOT}/indexes/cdx-{k:05}.gz" for k in range(files)]
    for k, name in enumerate(names):
        own = lines[k::files]
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(
            b"".join(gzip.compress("".join(own[at : at + 30]).encode()) for at in range(0, len(own), 30))
        )
    folder = f"cc-index/collections/{SNAPSHOT}"
    listed(root, "cc-index.paths.gz", [*names, f"{folder}/indexes/cluster.idx", f"{folder}/metadata.yaml"])
    return names


def line(row: Row) -> str:
    fields = {
        "url": row.url, "mime": row.content_mime_type, "mime-detected": row.content_mime_detected,
        "status": str(row.fetch_status), "digest": "X", "length": str(row.warc_record_length),
        "offset": str(row.warc_record_offset), "filename": row.warc_filename, "languages": row.content_languages,
    }
    time = row.fetch_time.astimezone(UTC).strftime("%Y%m%d%H%M%S")
    return f"org,x)/ {time} {json.dumps({k: v for k, v in fields.items() if v is not None})}\n"


def listed(root: Path, name: str, paths: list[str]) -> None:
    path = root / "crawl-data" / SNAPSHOT / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress("".join(f"{p}\n" for p in paths).encode()))


def neighbours(chosen: Iterable[Row], *, gap: int) -> list[tuple[str, int, int]]:
    """(file, start, end) of runs of rows with at most `gap` bytes between."""
    runs: list[tuple[str, int, int]] = []
    for row in sorted(chosen, key=lambda r: r.place):
        if runs and runs[-1][0] == row.warc_filename and row.warc_record_offset - runs[-1][2] <= gap:
            runs[-1] = (*runs[-1][:2], row.end)
        else:
            runs.append((*row.place, row.end))
    return runs
