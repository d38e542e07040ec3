"""A page that crashes the extractor and one that hangs it cost exactly themselves on every engine, twice the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.pipelines.hostile_pages import (
    MARKS,
    costs_themselves_alone,
    crawl,
    hooked,
    ingested,
    needs_language_model,
    tries,
)
from transforms.beam.extractor_child import TEST_HOOK

pytestmark = [pytest.mark.engines, pytest.mark.timeout(1200)]


@pytest.fixture
def hostile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The crawl; and, for workers that the engine's fixture starts, the environment with the hook."""
    needs_language_model()
    folder = crawl(tmp_path / "hostile" / "web", MARKS)
    for name, value in hooked(folder).items():
        monkeypatch.setenv(name, value)
    return folder


SLOW = [pytest.param(name, marks=pytest.mark.slow) for name in ("spark", "spark_cluster", "flink")]


@pytest.fixture(params=["prism", *SLOW])
def engine(request: pytest.FixtureRequest, hostile: Path) -> list[str]:
    """Arguments of a run on it."""
    found = request.getfixturevalue(request.param)
    return found if isinstance(found, list) else found.arguments


def test_they_cost_themselves_twice_the_same(hostile: Path, engine: list[str], tmp_path: Path) -> None:
    here = ingested(hostile, tmp_path / "here")
    costs_themselves_alone(here, ingested(hostile, tmp_path / "harmless", **{TEST_HOOK: ""}))
    for run in ("one", "two"):
        before = tries(hostile)
        assert ingested(hostile, tmp_path / run, *engine) == here
        # of each archive one page tells: tried in its batch, then alone. The engine saw no failure
        assert tries(hostile) - before == 4
