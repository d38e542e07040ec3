"""Pages that crash and hang the extractor, planted among good ones in a run of ingest."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from schemas.records import manifest_from_json
from transforms.beam.extractor_child import TEST_HOOK

ROOT = Path(__file__).parents[2]
MARKS = {4: "MARK-told MARK-abort", 7: "MARK-loop"}


def page(number: int, mark: str = "") -> bytes:
    body = f"<html><body><article><p>This is page {number}, and it has some text. {mark}</article></body></html>"
    block = b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\n\r\n" + body.encode()
    head = f"WARC/1.0\r\nWARC-Type: response\r\nContent-Type: application/http\r\nContent-Length: {len(block)}\r\n\r\n"
    return head.encode() + block + b"\r\n\r\n"


def start(folder: Path, out: Path, *options: str, **environment: str) -> subprocess.Popen[str]:
    hook = str(Path(__file__).with_name("hostile_extractor.py"))
    known = {**os.environ, "PYTHONPATH": str(ROOT), TEST_HOOK: hook}
    return subprocess.Popen(
        [sys.executable, "-m", "pipelines.ingest", f"--input=web={folder}", f"--output={out}", *options], cwd=ROOT,
        env={**known, "WINNOW_TOLD": str(folder.parent / "told"), **environment}, text=True, stderr=subprocess.PIPE,
        start_new_session=True,
    )


def ingested(folder: Path, out: Path, *options: str, **environment: str) -> tuple[list[dict], list[dict]]:
    """(documents, dead letters) of a run that ends well."""
    process = start(folder, out, *options, **environment)
    said = process.communicate()[1]
    assert process.returncode == 0, said
    manifest_from_json((out / "documents/manifest.json").read_text())
    return rows(out, "documents"), rows(out, "dead_letters")


def rows(out: Path, folder: str) -> list[dict]:
    return [row for path in sorted((out / folder).glob("*.parquet")) for row in pq.read_table(path).to_pylist()]


def crawl(folder: Path, marks: dict[int, str]) -> Path:
    folder.mkdir(parents=True)
    for name in ("a", "b"):
        (folder / f"{name}.warc").write_bytes(b"".join(page(k, marks.get(k, "")) for k in range(12)))
    return folder


@pytest.fixture
def hostile(tmp_path: Path, language_model_is_there: None) -> Path:
    return crawl(tmp_path / "hostile" / "web", MARKS)


@pytest.fixture
def language_model_is_there() -> None:
    path = Path(os.environ.get("WINNOW_LANGUAGE_MODEL") or Path.home() / ".cache" / "winnow" / "lid.176.ftz")
    if not path.is_file():
        pytest.skip(f"NO LANGUAGE MODEL at {path}: run `python -m pipelines.models` to fetch it")


def test_they_cost_themselves_whoever_works(hostile: Path, tmp_path: Path) -> None:
    # the same bytes at the same places, with nobody to read the marks
    everything = ingested(hostile, tmp_path / "good", **{TEST_HOOK: ""})
    assert (len(everything[0]), everything[1]) == (24, [])
    hurt = {len(page(0)) * 4, len(page(0)) * 4 + len(page(4, MARKS[4])) + 2 * len(page(0))}
    one = ingested(hostile, tmp_path / "one")
    assert one[0] == [d for d in everything[0] if d["offset"] not in hurt]
    assert [(d["file"], d["offset"] in hurt, d["reason"]) for d in one[1]] == [
        (f"{name}.warc", True, reason)
        for name in sorted({d["file"][0] for d in one[1]}, key=[d["file"][0] for d in one[1]].index)
        for reason in ("extractor_crashed", "extractor_exhausted")
    ]
    assert ingested(hostile, tmp_path / "two", "--workers=2") == one
    digest = {name: json.loads((tmp_path / name / "documents/manifest.json").read_text())["digest"]
              for name in ("one", "two")}
    assert digest["one"] == digest["two"]


@pytest.mark.slow
def test_a_rerun_after_a_kill_does_not_try_them_again(hostile: Path, tmp_path: Path) -> None:
    shutil.rmtree(hostile)
    folder = crawl(hostile, {**MARKS, 9: "MARK-sleep"})
    told = hostile.parent / "told"
    straight = ingested(folder, tmp_path / "straight", WINNOW_AWAKE="1")
    tries = told.read_text().count("tried")
    assert tries == 4, "each twice: in its batch, and alone"
    told.unlink()
    process = start(folder, out := tmp_path / "killed")
    deadline = time.monotonic() + 120
    while not any(f.read_text().count("reason") == 2 for f in (out / "verdicts").glob("part-*.json")):
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert not list((out / "documents").glob("part-*.json"))
    assert ingested(folder, out, WINNOW_AWAKE="1") == straight
    assert told.read_text().count("tried") == 4, "of the part that was begun none is tried again"
    kept = [json.loads(f.read_text()) for f in (out / "verdicts").glob("*.json")]
    assert {v["extractor"].split()[0] for k in kept for v in k["verdicts"].values()} == {"resiliparse"}
