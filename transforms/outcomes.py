"""What a reader makes of an archive: for each record a page, a reason to skip it, or a dead letter. Never nothing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from transforms.inflate import Inflated

RECORD_SAMPLE = 64 << 10
"""Bytes of a broken record that a dead letter keeps."""

DETAIL_CHARACTERS = 500


class RecordError(Exception):
    """A record that cannot become a document; `reason` is its dead letter's. `detail` may quote the record: it is made
    fit for a UTF-8 column, and short."""

    def __init__(self, reason: str, detail: str) -> None:
        detail = detail[:DETAIL_CHARACTERS].encode("utf-8", "replace").decode()
        super().__init__(f"{reason}: {detail}")
        self.reason, self.detail = reason, detail


@dataclass(frozen=True, kw_only=True)
class Page:
    """A record that gave text. Positions as in `schemas.documents.PROVENANCE`."""

    offset: int
    inner_offset: int
    text: str
    record_id: str | None = None
    url: str | None = None
    date: datetime | None = None
    media_type: str | None = None
    charset: str | None = None
    extractor: str | None = None
    robots: str | None = None


@dataclass(frozen=True)
class Skipped:
    """A record that was read, understood and not wanted."""

    reason: str


@dataclass(frozen=True, kw_only=True)
class DeadLetter:
    """A record, or the rest of a file, that no parser takes."""

    offset: int
    inner_offset: int
    length: int
    reason: str
    detail: str
    record: bytes


Outcome = Page | Skipped | DeadLetter


def lost_tail(stream: Inflated, *, at: int, detail: str, record: bytes = b"") -> DeadLetter:
    """The dead letter for a file that breaks: from inflated byte `at`, where the last whole record ends, up to the
    file's end it is lost, `truncated`; `damaged`, up to the end of a range that other records follow. `record` is what
    could still be read there."""
    stream.drain()
    offset, inner_offset = stream.locate(at)
    return DeadLetter(
        offset=offset, inner_offset=inner_offset, length=stream.file_bytes - offset,
        reason="damaged" if stream.bounded else "truncated", detail=detail, record=record[:RECORD_SAMPLE],
    )


def parse_date(text: str | None) -> datetime | None:
    """An ISO 8601 date to whole seconds, UTC when it names no zone; None when it is absent or is no such date."""
    if not text:
        return None
    try:
        date = datetime.fromisoformat(text.strip())
        return (date if date.tzinfo else date.replace(tzinfo=UTC)).astimezone(UTC).replace(microsecond=0)
    except (ValueError, OverflowError):
        return None
