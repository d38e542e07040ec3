"""A Flink cluster of two TaskManagers gives the same bytes as the in-process runner, whatever is killed meanwhile."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipelines import clean
from schemas.records import manifest_from_json
from tests.engines.clusters import ROOT, alive, connections

pytestmark = [pytest.mark.engines, pytest.mark.timeout(1800)]

DEDUPE_MOMENTS = (5, 20, 40)
"""Tasks of dedupe's job, of 66, that are finished when something is killed: workers have read and written by then."""
STAGE_FOLDERS = {"ingest": "documents", "dedupe": "duplicates"}


def test_the_sample_gives_the_same_bytes(job, finished, promised, flink, tmp_path):
    process = job.start(tmp_path / "run", *flink.arguments)
    _, said = process.communicate()
    assert process.returncode == 0, said
    assert promised(tmp_path / "run") == promised(finished)
    assert len({host for host in flink.hosts_used()}) == 2, "one TaskManager did all of it"


def test_a_worker_that_is_killed_while_it_starts_is_started_again(job, finished, promised, flink, tmp_path):
    process = job.start(tmp_path / "run", *flink.arguments)
    while not (workers := [pid for pool in flink.pools for pid in alive(pool.pid)]):
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.02)
    os.kill(workers[0], signal.SIGKILL)
    _, said = process.communicate()
    assert process.returncode == 0, said
    assert promised(tmp_path / "run") == promised(finished)
    assert "was killed by SIGKILL before it reached" in "".join(p.read_text() for p in flink.folder.glob("pool-*.log"))


@pytest.mark.slow
def test_real_archives_give_the_same_bytes(shared_data, promised, flink, tmp_path):
    inputs = [f"--input={shared_data}/warc/*.warc.gz", f"--input={shared_data}/wet/*.wet.gz"]
    clean.run([*inputs, f"--output={tmp_path / 'here'}"])
    command = [sys.executable, "-m", "pipelines.clean", *inputs, f"--output={tmp_path / 'there'}", *flink.arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert promised(tmp_path / "there") == promised(tmp_path / "here")


@pytest.mark.slow
@pytest.mark.parametrize("again", range(3))
@pytest.mark.parametrize("stage", ["ingest", "dedupe"])
@pytest.mark.parametrize("victim", ["manager", "worker"])
def test_what_is_killed_in_the_middle_costs_no_document(
    job, finished, promised, flink, tmp_path, victim, stage, again
):
    """The job goes on, or the same command does; parts that were finished keep their records."""
    out = tmp_path / "run"
    command = [sys.executable, "-m", f"pipelines.{stage}", f"--output={out}", *flink.arguments]
    if stage == "ingest":
        command += [a for a in job.arguments(out) if a.startswith("--input")]
    else:  # so that only dedupe and what follows is left
        shutil.copytree(finished, out)
        for folder in ("duplicates", "clean", "dropped", "tokenizer", "shards"):
            shutil.rmtree(out / folder)
    process = subprocess.Popen(command, cwd=ROOT, text=True, stderr=subprocess.PIPE)
    records = _records_when_killed(flink, process, out, victim, stage, done=again + 1)
    _, said = process.communicate()
    print(f"{victim} {stage} {again}: the first command ended with {process.returncode}")
    if process.returncode:
        assert "Traceback" not in said, said
        assert said.splitlines()[-1].startswith("winnow: "), said
        second = subprocess.run(command, cwd=ROOT, text=True, stderr=subprocess.PIPE)
        assert second.returncode == 0, second.stderr
    assert (out / STAGE_FOLDERS[stage] / "manifest.json").exists()
    job.run(out)  # what follows, in this process
    assert promised(out) == promised(finished)
    assert {path: path.stat().st_mtime_ns for path in records} == records
    for folder in ("documents", "clean"):
        counts = [manifest_from_json((f / folder / "manifest.json").read_text()).counts for f in (out, finished)]
        assert counts[0] == counts[1]


def _records_when_killed(cluster, process, out: Path, victim: str, stage: str, *, done: int) -> dict[Path, int]:
    """Kills when `done` parts of ingest are finished, or when dedupe's job is so far; the records there then."""
    deadline = time.monotonic() + 600
    while True:
        records = {path: path.stat().st_mtime_ns for path in (out / "documents").glob("part-*.json")}
        workers = [pid for pool in cluster.pools for pid in alive(pool.pid) if connections(pid) > 1]  # at work
        if stage == "ingest":  # its sample is read in a second: no time to ask Flink
            tasks, reached = {}, len(records) >= done
        else:
            jobs = cluster.ask("jobs/overview").get("jobs", [])
            tasks = jobs[0]["tasks"] if len(jobs) == 1 and jobs[0]["state"] == "RUNNING" else {}
            reached = tasks.get("finished", 0) >= DEDUPE_MOMENTS[done - 1] and tasks["running"] > 0
        if workers and reached:
            break
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    if victim == "worker":
        os.kill(workers[0], signal.SIGKILL)
    else:
        cluster.managers[0].send_signal(signal.SIGKILL)
    assert not (out / STAGE_FOLDERS[stage] / "manifest.json").exists(), f"{stage} was over"
    print(f"killed a {victim} after {len(records)} parts, {tasks.get('finished', 'some')} tasks")
    if victim == "manager":
        cluster.add_manager()
    return records
