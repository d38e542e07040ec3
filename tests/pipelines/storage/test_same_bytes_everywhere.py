"""Wherever inputs and output lie, and however many workers there are: the bytes of a run on local files."""

from __future__ import annotations

import pytest

from tests.pipelines.conftest import digests

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]


@pytest.fixture(scope="module", params=["demo", "archives"])
def crawl(request):
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="module")
def expected(crawl, tmp_path_factory):
    """sha256 of every promised file of a run on the originals, by one worker."""
    out = tmp_path_factory.mktemp("expected")
    crawl.run(str(crawl.folder), str(out))
    found = digests(out)
    assert {name.partition("/")[0] for name in found} == {"clean", "tokenizer", "shards"}
    return found


@pytest.mark.parametrize("workers", [1, 2])
def test_same_bytes(crawl, expected, place, workers):
    root = place.fill(crawl.folder, "in")
    crawl.run(root, f"{place.url}/out", f"--workers={workers}")
    assert place.promised("out") == expected
