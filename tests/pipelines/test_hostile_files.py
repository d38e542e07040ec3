"""Broken archives through the stage: counts and bytes add up, and what was lost can be tried again."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from pipelines import ingest
from schemas.errors import RunError
from schemas.records import Manifest, manifest_from_json

TEXTS = [f"This is document number {k}, with some words of its own. " * 3 for k in range(8)]


def record(text: str) -> bytes:
    block = text.encode()
    head = f"WARC/1.0\r\nWARC-Type: conversion\r\nContent-Type: text/plain\r\nContent-Length: {len(block)}\r\n\r\n"
    return gzip.compress(head.encode() + block + b"\r\n\r\n", mtime=0)


def run(*options: str) -> None:
    ingest.run(list(options))


def manifest_of(out: Path) -> Manifest:
    return manifest_from_json((out / "documents/manifest.json").read_text())


def rows(out: Path, table: str) -> list[dict]:
    return [r for p in manifest_of(out).parts for r in pq.read_table(out / p.outputs[table].path).to_pylist()]


def account(out: Path) -> None:
    manifest = manifest_of(out)
    for part in manifest.parts:
        part.counts.check(part.name)
    letters = rows(out, "dead_letters")
    assert Counter(row["reason"] for row in letters) == manifest.counts.dead_letters
    lost: Counter[str] = Counter()
    for row in letters:
        lost[row["reason"]] += row["length"]
    assert lost == manifest.tallies["bytes lost"]
    assert manifest.counts.went_out == len(rows(out, "documents"))


def test_every_malformed_file_at_once(shared_data: Path, tmp_path: Path) -> None:
    folder = shared_data / "malformed"
    run(f"--input={folder}", f"--output={tmp_path / 'a'}")
    account(tmp_path / "a")
    assert len(manifest_of(tmp_path / "a").parts) == len(list(folder.iterdir()))
    assert {"damaged", "truncated", "unknown_format"} <= manifest_of(tmp_path / "a").counts.dead_letters.keys()
    run(f"--replay={tmp_path / 'a' / 'dead_letters'}", f"--output={tmp_path / 'b'}")
    account(tmp_path / "b")
    found = [{(r["file"], r["offset"], r["inner_offset"]) for r in rows(tmp_path / k, "dead_letters")} for k in "ab"]
    assert found[0] == found[1], "nothing was mended, so the same are lost"
    assert not rows(tmp_path / "b", "documents")


@pytest.fixture
def crawl(tmp_path: Path) -> Path:
    """Three files: one broken in the middle, one cut off, one good."""
    folder = tmp_path / "crawl"
    folder.mkdir()
    members = [record(text) for text in TEXTS]
    at = sum(map(len, members[:2]))
    good = b"".join(members)
    (folder / "good.warc.gz").write_bytes(good)
    (folder / "bad.warc.gz").write_bytes(good[: at + 20] + b"\xff" * 20 + good[at + 40 :])
    (folder / "cut.warc.gz").write_bytes(good[:-40])
    return folder


def test_a_replay_gives_what_was_lost_and_only_that(crawl: Path, tmp_path: Path) -> None:
    run(f"--input={crawl}", f"--output={tmp_path / 'a'}")
    account(tmp_path / "a")
    assert manifest_of(tmp_path / "a").counts.dead_letters == {"damaged": 1, "truncated": 1}
    for name in ("bad", "cut"):
        (crawl / f"{name}.warc.gz").write_bytes((crawl / "good.warc.gz").read_bytes())
    replay = (f"--replay={tmp_path / 'a' / 'dead_letters'}", f"--output={tmp_path / 'b'}")
    run(*replay)
    account(tmp_path / "b")
    run(f"--input={crawl}", f"--output={tmp_path / 'mended'}")
    first, again, whole = (rows(tmp_path / name, "documents") for name in ("a", "b", "mended"))
    assert len(again) == 2 and not rows(tmp_path / "b", "dead_letters")
    assert sorted([*first, *again], key=lambda r: r["id"]) == sorted(whole, key=lambda r: r["id"])
    parts = [json.loads(path.read_text())["part"] for path in sorted((tmp_path / "b/documents").glob("part-*.json"))]
    assert len(parts) == 2 and set(parts) < {p.part for p in manifest_of(tmp_path / "a").parts}
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "b").rglob("*.parquet")}
    run(*replay)
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "b").rglob("*.parquet")} == before, "it was complete"


def test_what_cannot_be_replayed_is_said(crawl: Path, tmp_path: Path) -> None:
    out = tmp_path / "a"
    with pytest.raises(RunError, match="either --input or --replay"):
        run(f"--output={out}")
    with pytest.raises(RunError, match="either --input or --replay"):
        run(f"--input={crawl}", f"--replay={out}/dead_letters", f"--output={out}")
    with pytest.raises(RunError, match=r"no run\.json"):
        run(f"--replay={out}/dead_letters", f"--output={tmp_path / 'b'}")
    run(f"--input={crawl}", f"--output={out}")
    with pytest.raises(RunError, match="is no folder of dead letters"):
        run(f"--replay={out}", f"--output={tmp_path / 'b'}")
    with pytest.raises(RunError, match="lies in --output"):
        run(f"--replay={out}/dead_letters/", f"--output={out}")
    (crawl / "cut.warc.gz").unlink()
    with pytest.raises(RunError, match=r"cut\.warc\.gz: cannot be had"):
        run(f"--replay={out}/dead_letters", f"--output={tmp_path / 'b'}")
    run(f"--input={crawl / 'good.warc.gz'}", f"--output={tmp_path / 'good'}")
    with pytest.raises(RunError, match="nothing to try again"):
        run(f"--replay={tmp_path / 'good'}/dead_letters", f"--output={tmp_path / 'b'}")
