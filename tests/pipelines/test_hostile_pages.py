"""Pages that crash and hang the extractor, planted among good ones in a run of ingest."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from pathlib import Path

import pytest

from tests.pipelines.hostile_pages import MARKS, costs_themselves_alone, crawl, ingested, needs_language_model, start
from transforms.beam.extractor_child import TEST_HOOK


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    needs_language_model()
    return crawl(tmp_path / "hostile" / "web", MARKS)


def test_they_cost_themselves_whoever_works(hostile: Path, tmp_path: Path) -> None:
    # the same bytes at the same places, with nobody to read the marks
    harmless = ingested(hostile, tmp_path / "good", **{TEST_HOOK: ""})
    one = ingested(hostile, tmp_path / "one")
    costs_themselves_alone(one, harmless)
    assert ingested(hostile, tmp_path / "two", "--workers=2") == one


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
