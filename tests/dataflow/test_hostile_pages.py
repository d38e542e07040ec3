"""A page that crashes the extractor and one that hangs it cost exactly themselves in the graphs that are submitted."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines import ingest
from tests.pipelines.hostile_pages import (
    MARKS,
    costs_themselves_alone,
    crawl,
    hooked,
    ingested,
    needs_language_model,
    tries,
    written,
)
from transforms.beam.extractor_child import TEST_HOOK

NEEDS = "apache-beam[gcp] is not installed: `make test-dataflow` brings it"
pytest.importorskip("google.cloud.dataflow", reason=NEEDS)
pytestmark = pytest.mark.dataflow


@pytest.fixture
def hostile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The crawl; and the environment with the hook, for the worker that is started after."""
    needs_language_model()
    folder = crawl(tmp_path / "hostile" / "web", MARKS)
    for name, value in hooked(folder).items():
        monkeypatch.setenv(name, value)
    return folder


def test_they_cost_themselves_twice_the_same(hostile, cloud, worker, tmp_path) -> None:
    here = ingested(hostile, tmp_path / "here")
    costs_themselves_alone(here, ingested(hostile, tmp_path / "harmless", **{TEST_HOOK: ""}))
    inputs = cloud.load(hostile.parent)
    cloud.service.execute = worker
    for run in ("one", "two"):
        before = tries(hostile)
        ingest.run([*inputs, f"--output=gs://work/{run}", *cloud.arguments()])
        assert written(copied(cloud.storage, run, tmp_path / run)) == here
        assert tries(hostile) - before == 4, "of each archive one page tells: tried in its batch, then alone"
    assert [job["currentState"] for job in cloud.service.jobs.values()] == ["JOB_STATE_DONE"] * 2


def copied(storage, run: str, folder: Path) -> Path:
    """A folder with what lies below gs://work/RUN."""
    for (bucket, name), (data, _) in storage.objects.items():
        if bucket == "work" and name.startswith(f"{run}/"):
            path = folder / name.removeprefix(f"{run}/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
    return folder
