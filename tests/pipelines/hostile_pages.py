"""A small crawl with pages that crash and hang the extractor, and what a run of ingest makes of it, on any engine."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from schemas.records import manifest_from_json
from transforms.beam.extractor_child import TEST_HOOK

ROOT = Path(__file__).parents[2]
MARKS = {4: "MARK-told MARK-abort", 7: "MARK-loop"}
REASONS = ("extractor_crashed", "extractor_exhausted")


@dataclass(frozen=True, kw_only=True)
class Ingested:
    """`digest` is the manifest's: of the bytes of documents/ and dead_letters/."""

    documents: list[dict]
    dead_letters: list[dict]
    digest: str


def page(number: int, mark: str = "") -> bytes:
    body = f"<html><body><article><p>This is page {number}, and it has some text. {mark}</article></body></html>"
    block = b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\n\r\n" + body.encode()
    head = f"WARC/1.0\r\nWARC-Type: response\r\nContent-Type: application/http\r\nContent-Length: {len(block)}\r\n\r\n"
    return head.encode() + block + b"\r\n\r\n"


def crawl(folder: Path, marks: dict[int, str]) -> Path:
    """Two archives of twelve pages each, some of them marked for the hook."""
    folder.mkdir(parents=True)
    for name in ("a", "b"):
        (folder / f"{name}.warc").write_bytes(b"".join(page(k, marks.get(k, "")) for k in range(12)))
    return folder


def hooked(folder: Path) -> dict[str, str]:
    """The environment in which the marks do what they say. Workers of another process must be started in it."""
    hook = str(Path(__file__).with_name("hostile_extractor.py"))
    return {TEST_HOOK: hook, "WINNOW_TOLD": str(folder.parent / "told")}


def tries(folder: Path) -> int:
    """How often the pages that tell of it were tried, all runs together."""
    told = folder.parent / "told"
    return told.read_text().count("tried") if told.exists() else 0


def start(folder: Path, out: Path, *options: str, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "pipelines.ingest", f"--input=web={folder}", f"--output={out}", *options], cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), **hooked(folder), **environment}, text=True,
        stderr=subprocess.PIPE, start_new_session=True,
    )


def ingested(folder: Path, out: Path, *options: str, **environment: str) -> Ingested:
    """What a run that ends well wrote."""
    process = start(folder, out, *options, **environment)
    said = process.communicate()[1]
    assert process.returncode == 0, said
    return written(out)


def written(out: Path) -> Ingested:
    manifest = manifest_from_json((out / "documents/manifest.json").read_text())
    found = Ingested(documents=_rows(out, "documents"), dead_letters=_rows(out, "dead_letters"), digest=manifest.digest)
    assert manifest.counts.went_out == len(found.documents)
    assert sum(manifest.counts.dead_letters.values()) == len(found.dead_letters)
    return found


def needs_language_model() -> None:
    path = Path(os.environ.get("WINNOW_LANGUAGE_MODEL") or Path.home() / ".cache" / "winnow" / "lid.176.ftz")
    if not path.is_file():
        pytest.skip(f"NO LANGUAGE MODEL at {path}: run `python -m pipelines.models` to fetch it")


def costs_themselves_alone(found: Ingested, harmless: Ingested) -> None:
    """Asserts that of the crawl with MARKS, which `harmless` read with nobody to follow the marks, exactly the marked
    pages are dead letters, each with its own reason."""
    offsets = [len(page(0)) * 4, len(page(0)) * 6 + len(page(4, MARKS[4]))]
    assert (len(harmless.documents), harmless.dead_letters) == (24, [])
    assert found.documents == [d for d in harmless.documents if d["offset"] not in offsets]
    assert sorted((d["file"], d["offset"], d["reason"]) for d in found.dead_letters) == [
        (f"{name}.warc", offset, reason) for name in ("a", "b") for offset, reason in zip(offsets, REASONS, strict=True)
    ]


def _rows(out: Path, folder: str) -> list[dict]:
    return [row for path in sorted((out / folder).glob("*.parquet")) for row in pq.read_table(path).to_pylist()]
