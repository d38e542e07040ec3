"""A real engine whose inputs and output are on an object store: the bytes of a run on local files."""

from __future__ import annotations

import pytest

pytestmark = [pytest.mark.engines, pytest.mark.timeout(1200)]
ENGINES = ("prism", "spark", "flink")


@pytest.fixture(params=ENGINES)
def engine(request, place) -> list[str]:
    """Arguments of a run on it. It starts after `place`: its workers take their environment from whoever starts it."""
    found = request.getfixturevalue(request.param)
    return found if isinstance(found, list) else found.arguments


@pytest.mark.slow
@pytest.mark.parametrize("place", ["s3", "gs"], indirect=True)
def test_on_a_store_the_bytes_are_the_same(crawl, expected, place, engine):
    root = place.fill(crawl.folder, "in")
    crawl.run(root, f"{place.url}/out", *engine)
    assert place.promised("out") == expected
