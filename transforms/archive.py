"""Archives of any format we read, told apart by their content."""

from __future__ import annotations

import io
from collections.abc import Iterator

from schemas.recipes import Extract
from transforms import parquet
from transforms.arc import ARC, MAGIC
from transforms.extraction import Settle, here
from transforms.inflate import Inflated
from transforms.jsonl import read_jsonl
from transforms.outcomes import RECORD_SAMPLE, DeadLetter, Outcome
from transforms.warc import read_warc
from transforms.wikipedia import is_dump, read_wikipedia


def archive_format(head: bytes) -> str | None:
    """`warc` (WET included), `arc`, `jsonl`, `parquet` or `wikipedia` (a MediaWiki export), by the first inflated
    bytes; None when it is none of them."""
    if head.startswith(parquet.MAGIC):
        return "parquet"
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text.startswith(b"WARC/"):
        return "warc"
    if text.startswith(MAGIC):
        return "arc"
    if text.startswith(b"{"):
        return "jsonl"
    return "wikipedia" if is_dump(head) else None


def read_archive(
    stream: Inflated, *, extract: Extract, kind: str | None = None, settle: Settle = here
) -> Iterator[Outcome]:
    """Every record of an archive, in file order. `kind` is its format, where it is known already; `settle` has native
    parsers make the text of those records that need one. A file of no known format is one dead letter: `truncated` if
    it breaks before its format can be told, else `unknown_format`. An empty file has no records."""
    buffered = io.BufferedReader(stream, 1 << 16)
    head = buffered.peek(64)
    match kind or archive_format(head):
        case "warc":
            yield from read_warc(stream, buffered, extract=extract, settle=settle)
        case "arc":
            yield from read_warc(stream, buffered, extract=extract, settle=settle, grammar=ARC)
        case "jsonl":
            yield from read_jsonl(stream, buffered, extract=extract)
        case "parquet" if not stream.compression:
            yield from parquet.read_parquet(stream.raw, extract=extract)
        case "wikipedia":
            yield from read_wikipedia(stream, buffered, extract=extract, settle=settle)
        case None if stream.damage and not head:  # a crawl whose first member broke may have good ones
            yield from read_warc(stream, buffered, extract=extract, settle=settle)
        case _ if head or stream.damage:
            stream.drain()
            yield DeadLetter(
                offset=0, inner_offset=0, length=stream.file_bytes,
                reason="truncated" if stream.damage else "unknown_format",
                detail=stream.damage
                or "no WARC, ARC, JSON lines, Parquet or MediaWiki XML: the first bytes are those of `record`",
                record=bytes(head[:RECORD_SAMPLE]),
            )
