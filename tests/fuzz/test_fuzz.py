"""Hostile records through reading, responses and extraction: no crash, no good record lost, bounded memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MAX_RSS_MIB = 2048 - 1
SLOW_PIECES = 7
PIECE = 3_000


def fuzzed(first: int, count: int) -> dict:
    done = subprocess.run(
        [sys.executable, "-W", "error", "tests/fuzz/fuzz.py", str(first), str(count)], cwd=ROOT, capture_output=True,
        text=True, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(done.stdout)


def check(found: dict, count: int) -> None:
    assert found["wrong"] == []
    assert sum(found["kinds"].values()) == found["cases"] == count
    assert not {"extractor_crashed", "extractor_exhausted"} & found["outcomes"].keys(), "held by the child, but look"
    assert max(found["rss_mib"], found["child_rss_mib"]) < MAX_RSS_MIB


def test_some_hundred_mutated_records() -> None:
    found = fuzzed(0, 450)
    check(found, 450)
    assert {"bomb", "deep", "charset", "nested_encodings", "length_lies"} <= found["kinds"].keys()
    assert found["outcomes"]["page"] > 450 and {"bad_encoding", "bad_http", "damaged"} <= found["outcomes"].keys()


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("piece", range(SLOW_PIECES))
def test_twenty_thousand_mutated_records(piece: int) -> None:
    found = fuzzed(piece * PIECE, PIECE)
    check(found, PIECE)
    assert {"million_deep"} <= found["kinds"].keys()
