"""The main job, submitted to a service that runs the very graphs that were staged: the same bytes as in process."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from pipelines import clean
from pipelines.sample.write import write_sample

NEEDS = "apache-beam[gcp] is not installed: `make test-dataflow` brings it"
pytest.importorskip("google.cloud.dataflow", reason=NEEDS)
pytestmark = pytest.mark.dataflow
ROOT = Path(__file__).parents[2]
PROMISED = ("clean/", "tokenizer/", "shards/")


def test_same_bytes_as_in_process(cloud, worker, tmp_path, capfd):
    write_sample(str(tmp_path / "sample"))
    inputs = cloud.load(tmp_path / "sample")
    names = ("web", "wet", "json")
    clean.run([*(f"--input={n}={tmp_path / 'sample' / n}" for n in names), f"--output={tmp_path / 'here'}"])
    capfd.readouterr()
    cloud.service.execute = worker
    there = [*inputs, "--output=gs://work/run", *cloud.arguments()]
    clean.run(there)
    here = digests_here(tmp_path / "here")
    assert len(here) > 10
    assert digests_there(cloud.storage) == here
    jobs = list(cloud.service.jobs.values())
    assert [j["currentState"] for j in jobs] == ["JOB_STATE_DONE"] * 5
    assert [j["name"].split("-")[1] for j in jobs] == ["ingest", "dedupe", "filter", "tokenizer", "encode"]
    assert cloud.service.counters[jobs[0]["id"]]["parts"] == 7
    # a finished run is not submitted again
    clean.run(there)
    assert len(cloud.service.jobs) == 5


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_same_bytes_of_real_archives(cloud, worker, tmp_path):
    """WARC, WET and the smallest whole dump of a Wikipedia, as in tests/pipelines/storage."""
    shared = ROOT.parent / "shared" / "data"
    if not shared.is_dir():
        pytest.skip(f"the real archives are not at {shared}; they are not part of the repository")
    for pattern in ("warc/*.warc.gz", "wet/*.wet.gz", "wikipedia/ltgwiki-*.bz2"):
        found = sorted(shared.glob(pattern))
        assert found, pattern
        for path in found:
            cloud.storage.put("crawl", path.relative_to(shared).as_posix(), path.read_bytes())
    patterns = ("{}/warc/*.warc.gz", "{}/wet/*.wet.gz", "wiki={}/wikipedia/ltgwiki-*.bz2@wikipedia")
    clean.run([*(f"--input={p.format(shared)}" for p in patterns), f"--output={tmp_path / 'here'}"])
    cloud.service.execute = worker
    clean.run([*(f"--input={p.format('gs://crawl')}" for p in patterns), "--output=gs://work/run", *cloud.arguments()])
    here = digests_here(tmp_path / "here")
    assert {name.partition("/")[0] + "/" for name in here} == set(PROMISED)
    assert digests_there(cloud.storage) == here
    assert [j["currentState"] for j in cloud.service.jobs.values()] == ["JOB_STATE_DONE"] * 5


def digests_here(out: Path) -> dict[str, str]:
    files = [p for p in out.rglob("*") if p.is_file()]
    named = {p.relative_to(out).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}
    return {name: digest for name, digest in named.items() if name.startswith(PROMISED)}


def digests_there(storage) -> dict[str, str]:
    named = {n.removeprefix("run/"): hashlib.sha256(d).hexdigest() for (b, n), (d, _) in storage.objects.items()}
    return {name: digest for name, digest in named.items() if name.startswith(PROMISED)}
