"""Writes the sample: the archives, and expected.json, which says what must become of each record."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

from pipelines.sample.archive import date, gzip_member, record_id, warc_record
from pipelines.sample.kinds import FILES, WARC_CUT, WARC_ONE_MEMBER, Block, Line, Page, Record
from pipelines.sample.pages import RECORDS
from pipelines.sample.prose import Prose, read_prose
from pipelines.sample.serve import prose_of, response, url


def write_sample(folder: str) -> None:
    """Writes the files of the sample and expected.json below `folder`, which is made if it is not there.

    The bytes are the same on every machine and at every time. Files of these names are replaced, others left alone.
    Raises OSError if the folder cannot be written to.
    """
    texts = read_prose()
    for file in FILES:
        path = Path(folder) / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file_bytes(file, texts))
    expected = json.dumps(expectation(), indent=1, ensure_ascii=False)
    (Path(folder) / "expected.json").write_text(expected + "\n", encoding="utf-8", newline="\n")


def file_bytes(file: str, texts: dict[str, Prose]) -> bytes:
    """One file of the sample."""
    records = [_bytes(record, position, texts) for position, record in enumerate(RECORDS) if record.file == file]
    if not file.endswith(".gz"):
        return b"".join(records)
    if file == WARC_ONE_MEMBER or file.endswith(".jsonl.gz"):
        return gzip_member(b"".join(records))
    members = [gzip_member(record) for record in records]
    if file == WARC_CUT:
        members[-1] = members[-1][: len(members[-1]) // 2]
    return b"".join(members)


def expectation() -> dict[str, object]:
    """What expected.json holds: each record's file, position in it from 0, name, id, address and fate, and totals.

    `record_id` and `url` are null where the record has none; for a JSON line they are its `id` and `url`.
    """
    rows: list[dict[str, object]] = []
    positions: Counter[str] = Counter()
    for record in RECORDS:
        in_json = "json" in record.file
        rows.append({
            "file": record.file,
            "position": positions[record.file],
            "name": record.name or None,
            "record_id": (record.name or None) if in_json else record_id(record.name),
            "url": _address(record),
            "fate": record.fate,
            "why": record.why,
        })
        positions[record.file] += 1
    return {
        "records": rows,
        "totals": dict(sorted(Counter(r.fate for r in RECORDS).items())),
        "files": {file: positions[file] for file in FILES},
    }


def _bytes(record: Record, position: int, texts: dict[str, Prose]) -> bytes:
    if isinstance(record, Line):
        return record.line + b"\n"
    if isinstance(record, Block):
        address = _address(record)
        return warc_record(
            record.record_type, name=record.name, when=date(position), content_type=record.content_type,
            block=record.block, more=(("WARC-Target-URI", address),) if address else (),
        )
    prose = prose_of(record, texts)
    if "json" in record.file:
        fields = {"id": record.name, "url": url(record), "date": date(position), "text": prose.text()}
        return json.dumps(fields, ensure_ascii=False).encode("utf-8") + b"\n"
    target = ("WARC-Target-URI", url(record))
    if record.file.startswith("wet/"):
        return warc_record("conversion", name=record.name, when=date(position), content_type="text/plain",
                           block=prose.text().encode("utf-8"), more=(target,))
    return warc_record("response", name=record.name, when=date(position), block=response(record, prose),
                       content_type="application/http; msgtype=response", more=(target,))


def _address(record: Record) -> str | None:
    """The record's address; a warcinfo and a line given as it is have none."""
    if isinstance(record, Page):
        return url(record)
    if isinstance(record, Block) and record.record_type != "warcinfo":
        return f"https://harbour.example/{record.name}"
    return None
