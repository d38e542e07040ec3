"""JSON lines to pages: `text`, and where they are there `id`, `url` or `metadata.url`, and a date."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, BinaryIO

from schemas.recipes import Extract
from transforms.inflate import Inflated
from transforms.outcomes import RECORD_SAMPLE, DeadLetter, Outcome, Page, RecordError, Skipped, lost_tail, parse_date
from transforms.page import tidy

DATES = ("date", "created", "timestamp", "added")
"""Dolma writes created and added, C4 timestamp. The first that is a date is taken."""


def read_jsonl(stream: Inflated, buffered: BinaryIO, *, extract: Extract, at: int = 0) -> Iterator[Outcome]:
    """One outcome a line; blank lines are no records. A line cut off by damage is lost with the tail. The next byte of
    `stream` is its inflated byte `at`."""
    start = at
    while line := buffered.readline(extract.max_record_bytes + 1):
        length, ended = len(line), line.endswith(b"\n")
        too_long = not ended and length > extract.max_record_bytes
        while not ended and (rest := buffered.readline(extract.max_record_bytes)):
            length, ended = length + len(rest), rest.endswith(b"\n")
        if stream.damage and not ended:
            break
        if too_long:
            yield Skipped("too_long")
        elif line.strip():
            yield _outcome(line, *stream.locate(start), extract=extract)
        start += length
    if stream.damage:
        yield lost_tail(stream, at=start, detail=stream.damage, record=line)


def _outcome(line: bytes, offset: int, inner_offset: int, *, extract: Extract) -> Outcome:
    try:
        return page_of(_fields(line), offset=offset, inner_offset=inner_offset, extract=extract)
    except RecordError as error:
        return DeadLetter(
            offset=offset, inner_offset=inner_offset, length=len(line), reason=error.reason, detail=error.detail,
            record=line[:RECORD_SAMPLE],
        )


def _fields(line: bytes) -> dict[str, Any]:
    try:
        fields = json.loads(line.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise RecordError("not_unicode", f"the line is not UTF-8: {error}") from error
    except (ValueError, RecursionError) as error:
        raise RecordError("bad_json", str(error)) from error
    if not isinstance(fields, dict):
        raise RecordError("bad_json", f"the line is a JSON {type(fields).__name__}, not an object")
    if not isinstance(fields.get("text"), str):
        raise RecordError("no_text", f"no string field 'text'; the fields are {', '.join(sorted(fields)[:20])}")
    return fields


def page_of(fields: dict[str, Any], *, offset: int, inner_offset: int, extract: Extract) -> Page | Skipped:
    """The page that a record of named fields is; `text` must be there, a string. Raises RecordError `not_unicode`."""
    text = tidy(fields["text"])
    if not text:
        return Skipped("empty_text")
    try:
        size = len(text.encode())
    except UnicodeEncodeError as error:
        raise RecordError("not_unicode", f"the text holds a lone surrogate: {error}") from error
    if size > extract.max_text_bytes:
        return Skipped("text_too_long")
    metadata = fields.get("metadata")
    url = fields.get("url") or (metadata.get("url") if isinstance(metadata, dict) else None)
    dates = (parse_date(fields[name]) for name in DATES if isinstance(fields.get(name), str))
    return Page(
        offset=offset, inner_offset=inner_offset, text=text, charset="utf-8", date=next(filter(None, dates), None),
        record_id=_string(fields.get("id")), url=_string(url),
    )


def _string(value: Any) -> str | None:
    """An id or address as UTF-8 can hold it; numbers are written out, anything else is none."""
    if isinstance(value, int):
        value = str(value)
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else None
