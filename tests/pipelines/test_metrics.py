"""What a run cost is written beside it: each part once, kept parts kept, and nothing decides by it."""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pipelines import metering
from pipelines.report_page import costs
from pipelines.report_page.costs import StageCost, cost_of
from schemas.records import Counts, Manifest, PartRecord, manifest_from_json
from schemas.stages import BY_NAME, ENCODE, FILTER, STAGES, TOKENIZER
from transforms.beam import metrics

ROOT = Path(__file__).parents[2]


def read(out: Path, stage: str) -> dict[str, dict]:
    return {path.stem: json.loads(path.read_text()) for path in sorted((out / "metrics" / stage).glob("*.json"))}


def manifest(out: Path, stage: str) -> Manifest:
    found = BY_NAME[stage]
    return manifest_from_json((out / found.folder / found.manifest).read_text())


@pytest.mark.parametrize("stage", STAGES, ids=lambda s: s.name)
def test_every_part_of_every_stage_has_its_cost(finished, stage):
    found = read(finished, stage.name)
    known = {p.part: p for p in manifest(finished, stage.name).parts}
    assert found.keys() - ({"learning"} if stage is TOKENIZER else set()) == known.keys()
    for name, part in known.items():
        cost = found[name]
        assert (cost["rows"], cost["bytes_in"]) == (part.counts.came_in, part.input_bytes)
        assert cost["plan_key"] == part.plan_key
        assert 0 < cost["wall_s"] < 300 and 0 <= cost["cpu_s"] < 300
        assert 10 << 20 < cost["peak_rss_bytes"] < 64 << 30
        age = datetime.now(UTC) - datetime.fromisoformat(cost["started"])
        assert 0 <= age.total_seconds() < 3 * 3600


@pytest.mark.parametrize("stage", STAGES, ids=lambda s: s.name)
def test_a_stage_costs_at_least_what_its_parts_cost(finished, stage):
    whole = json.loads((finished / "metrics" / f"{stage.name}.json").read_text())
    parts = read(finished, stage.name).values()
    assert whole["cpu_s"] >= sum(p["cpu_s"] for p in parts) - 0.02
    assert whole["wall_s"] >= max(p["wall_s"] for p in parts)
    assert all(whole["started"] < p["started"] for p in parts)
    assert whole["launcher_peak_rss_bytes"] > 10 << 20


def test_a_kept_part_keeps_its_cost_and_the_sum_says_so(job, finished, tmp_path):
    out = Path(shutil.copytree(finished, tmp_path / "run"))
    first = sorted((out / "clean").glob("part-*.json"))[0]
    first.unlink()
    (out / "clean/manifest.json").unlink()
    before = read(out, "filter")
    job.run(out)
    after = read(out, "filter")
    assert [name for name in before if before[name] != after[name]] == [first.stem]
    cost = cost_of(str(out), manifest(out, "filter"))
    launch = json.loads((out / "metrics/filter.json").read_text())
    assert (cost.kept, cost.measured, cost.parts) == (len(before) - 1, len(before), len(before))
    kept = sum(c["cpu_s"] for name, c in before.items() if name != first.stem)
    assert cost.cpu_s == pytest.approx(launch["cpu_s"] + kept)
    assert f"{len(before) - 1} of {len(before)} parts kept from before" in (out / "report.html").read_text()


def test_a_stage_already_complete_keeps_its_costs(job, finished, tmp_path):
    out = Path(shutil.copytree(finished, tmp_path / "run"))
    before = {p: p.stat().st_mtime_ns for p in (out / "metrics").rglob("*.json")}
    page = (out / "report.html").read_bytes()
    job.run(out)
    assert {p: p.stat().st_mtime_ns for p in (out / "metrics").rglob("*.json")} == before
    assert (out / "report.html").read_bytes() == page


def test_workers_are_measured(job, tmp_path):
    out = tmp_path / "run"
    process = job.start(out, "--workers=2")
    _, said = process.communicate()
    assert process.returncode == 0, said
    for stage in STAGES:
        whole = json.loads((out / "metrics" / f"{stage.name}.json").read_text())
        parts = read(out, stage.name).values()
        assert whole["worker_peak_rss_bytes"] > 50 << 20
        assert whole["cpu_s"] > sum(p["cpu_s"] for p in parts), "the workers' time is in the stage's"
        assert whole["worker_peak_rss_bytes"] >= 0.9 * max(p["peak_rss_bytes"] for p in parts)


def test_a_process_does_not_begin_with_the_memory_of_its_parent():
    block = b"x" * (400 << 20)
    program = "from transforms.beam.metrics import peak_rss; print(peak_rss())"
    said = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True,
        preexec_fn=lambda: None,  # makes subprocess fork
    )
    assert len(block) > int(said.stdout) > 10 << 20


def test_nothing_needs_the_metrics(job, finished, promised, tmp_path):
    out = Path(shutil.copytree(finished, tmp_path / "run"))
    shutil.rmtree(out / "metrics")
    (out / "report.html").unlink()  # or there is nothing to do
    job.run(out)
    assert not (out / "metrics").exists(), "a finished stage was done again"
    assert promised(out) == promised(finished)
    assert "Nothing was measured" in (out / "report.html").read_text()


@pytest.mark.parametrize("damage", ["", "{", "[1]", '{"a": 1}', "null", "\udcff"])
def test_a_broken_file_is_no_metrics(tmp_path, damage):
    path = tmp_path / "m.json"
    path.write_bytes(damage.encode("utf-8", "surrogateescape"))
    assert metrics.read(str(path), metrics.PartMetrics) is None
    assert metrics.read(str(tmp_path / "none.json"), metrics.PartMetrics) is None


# By hand


def written(out: Path, part: str, *, started: str, cpu_s: float, plan_key: str = "k") -> PartRecord:
    cost = {"stage": "filter", "part": part, "plan_key": plan_key, "started": started, "wall_s": 2 * cpu_s,
            "cpu_s": cpu_s, "peak_rss_bytes": 7 << 20, "bytes_in": 5, "rows": 3}
    metrics.save(metrics.path(str(out), "filter", part), cost)
    return PartRecord(stage="filter", part=part, plan_key="k", source="s", name=f"{part}.gz", counts=Counts(came_in=3),
                      input_bytes=1_000_000)


def launched(out: Path, **changes: object) -> None:
    launch = {"stage": "filter", "plan_key": "plan", "started": "2026-01-01T12:00:00", "here": True, "wall_s": 9.0,
              "cpu_s": 10.0, "launcher_peak_rss_bytes": 1 << 20, "worker_peak_rss_bytes": 2 << 20, **changes}
    metrics.save(metering.stage_path(str(out), "filter"), launch)


def stage_of(parts: list[PartRecord]) -> Manifest:
    return Manifest(stage="filter", plan_key="plan", recipes={}, libraries={}, parts=tuple(parts),
                    counts=Counts(came_in=30, went_out=20))


def cost(out: Path) -> StageCost:
    return cost_of(str(out), stage_of([
        written(out, "a", started="2026-01-01T11:59:59", cpu_s=1.5),
        written(out, "b", started="2026-01-01T12:00:01", cpu_s=4.0),
        written(out, "c", started="2026-01-01T12:00:02", cpu_s=64.0, plan_key="another plan"),
    ]))


def test_what_is_added_and_what_is_not(tmp_path):
    launched(tmp_path)
    found = cost(tmp_path)
    assert (found.measured, found.kept, found.parts, found.whole) == (2, 1, 3, False)
    assert found.cpu_s == 11.5, "the launch, and the part that was done before it"
    assert found.parts_cpu_s == 5.5
    assert [p.cost.part for p in found.slowest] == ["b", "a"]
    assert "1 of 3 parts not looked at" in costs.section([found]).text


def test_workers_elsewhere_are_known_by_their_parts_alone(tmp_path):
    launched(tmp_path, here=False)
    assert cost(tmp_path).cpu_s == 5.5
    launched(tmp_path, plan_key="of an older plan")
    assert cost(tmp_path).launch is None
    assert cost(tmp_path).cpu_s == 5.5


def test_rates_and_shares(tmp_path):
    launched(tmp_path, started="2026-01-01T00:00:00")
    found = cost_of(str(tmp_path), stage_of([written(tmp_path, "a", started="2026-01-01T12:00:00", cpu_s=1.0)]))
    text = costs.section([found]).text
    assert found.whole and found.cpu_s == 10.0
    assert '<td class="n">3.0</td><td class="n">0.100</td>' in text, "30 documents and 1 MB in 10 s"
    assert "filter: 10.00 s (100.0 %)" in text


def test_no_more_files_are_read_than_that(tmp_path, monkeypatch):
    monkeypatch.setattr(costs, "PARTS", 2)
    parts = [written(tmp_path, name, started="2026", cpu_s=1.0) for name in "abc"]
    assert cost_of(str(tmp_path), stage_of(parts)).measured == 2


def test_the_meter_counts_what_the_block_uses(tmp_path):
    with metering.metered(str(tmp_path), ENCODE.name, plan_key="k", here=True):
        until = time.process_time() + 0.3
        block = bytearray(os.urandom(1 << 20) * 200)
        while time.process_time() < until:
            pass
    found = json.loads((tmp_path / "metrics/encode.json").read_text())
    del block
    assert 0.3 <= found["cpu_s"] < 3 and found["wall_s"] >= 0.3
    assert 200 << 20 < found["launcher_peak_rss_bytes"] <= resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def test_a_block_that_fails_leaves_nothing(tmp_path):
    with pytest.raises(KeyError), metering.metered(str(tmp_path), FILTER.name, plan_key="k", here=True):
        raise KeyError
    assert not (tmp_path / "metrics").exists()
