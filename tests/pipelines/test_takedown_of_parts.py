"""A part of ingest that is brought up to a list is what it would have been with the list from the start."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from pipelines.models import language_model_path
from schemas.recipes import Dedupe, Extract
from schemas.records import to_json
from tests.pipelines.rights import table
from transforms.beam import files
from transforms.beam.ingest import IngestPart
from transforms.beam.parts import PlannedPart, record_path
from transforms.beam.takedown_list import LIST, Listed, list_text
from transforms.identity import document_id
from transforms.takedown import digest_of, takedown_of

PLAIN = PlannedPart(stage="ingest", part="part-1", plan_key="plain", source="web", name="a.warc", number=0, size=1)


def record(url: str, body: str) -> bytes:
    block = f"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nX-Robots-Tag: noai\r\n\r\n<p>{body}".encode()
    head = f"WARC/1.0\r\nWARC-Type: response\r\nWARC-Target-URI: {url}\r\nContent-Type: application/http\r\n"
    return f"{head}Content-Length: {len(block)}\r\n\r\n".encode() + block + b"\r\n\r\n"


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """A listed page and then bytes that are no record, twice; the same of a page that is not; one listed by its id."""
    path = tmp_path / "a.warc"
    path.write_bytes(
        record("https://gone.example/1", "first listed") + b"of the first, which lied about its length\r\n\r\n"
        + record("https://kept.example/1", "first kept") + b"of the kept one, which lied too\r\n\r\n"
        + record("https://a.gone.example/2", "second listed") + record("https://kept.example/2", "by its id")
        + b"of the one that was listed by its id"
    )
    return path


def made(out: Path, archive: Path, text: str, *, earlier: tuple[str, ...] = ()) -> tuple[PlannedPart, str]:
    """The part as `text` lists, in `out`, and its commit record."""
    takedown = takedown_of(text)
    listed = Listed(takedown=takedown, digest=digest_of(takedown))
    work = {"path": str(archive)}
    part = replace(PLAIN, work=work)
    if text:
        files.write_bytes(files.join(str(out), LIST), list_text(listed).encode())
        part = replace(PLAIN, plan_key=text, work={**work, "takedown": listed.digest, "earlier": list(earlier)})
    process = IngestPart(
        out=str(out), extracts={"web": Extract()}, dedupe=Dedupe(), model=language_model_path(None), batch_rows=2
    )
    found = to_json(process(part))
    process.teardown()
    files.write_bytes(record_path(str(out), "ingest", "part-1"), found.encode())
    return part, found


def test_replayed_or_from_the_start(archive: Path, tmp_path: Path) -> None:
    old, _ = made(tmp_path / "replayed", archive, "")
    whole = table(tmp_path / "replayed", "documents")
    assert [d["robots"] for d in whole] == ["noai"] * 4
    byte = whole[3]["offset"]
    listed = f"gone.example\n{document_id(source='web', file='a.warc', offset=byte, inner_offset=0).hex()}\n"
    _, first = made(tmp_path / "scratch", archive, listed)
    archive.rename(archive.with_name("away"))
    _, between = made(tmp_path / "replayed", archive, "gone.example\n", earlier=(old.plan_key,))
    _, second = made(tmp_path / "replayed", archive, listed, earlier=(old.plan_key, "gone.example\n"))
    _, third = made(tmp_path / "replayed", archive, listed, earlier=(listed,))
    assert json.loads(between)["counts"]["dropped"] == {"takedown": 2}
    assert first == second == third
    for out in (tmp_path / "scratch", tmp_path / "replayed"):
        assert [d["url"] for d in table(out, "documents")] == ["https://kept.example/1"]
        letters = table(out, "dead_letters")
        assert [(d["reason"], b"kept one" in d["record"], d["detail"] == "taken down") for d in letters] == [
            ("damaged", False, True), ("damaged", True, False), ("truncated", False, True),
        ]
        assert json.loads(first)["counts"]["dead_letters"] == {"damaged": 2, "truncated": 1}
    one, other = tmp_path / "scratch", tmp_path / "replayed"
    for name in ("documents/part-1.parquet", "dead_letters/part-1.parquet", "documents/part-1.json"):
        assert (one / name).read_bytes() == (other / name).read_bytes()
