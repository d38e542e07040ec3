"""Wherever inputs and output lie, and however many workers there are: the bytes of a run on local files."""

from __future__ import annotations

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]


@pytest.mark.parametrize("workers", [1, 2])
def test_same_bytes(crawl, expected, place, workers):
    root = place.fill(crawl.folder, "in")
    crawl.run(root, f"{place.url}/out", f"--workers={workers}")
    assert place.promised("out") == expected
