"""A standalone Spark cluster, with executors and Python workers of their own, gives the same bytes as the in-process
runner, whatever is killed meanwhile."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from schemas.records import manifest_from_json
from tests.engines.clusters import ROOT
from tests.pipelines.test_failures import children

pytestmark = [pytest.mark.engines, pytest.mark.timeout(1200)]


def test_the_sample_gives_the_same_bytes(job, finished, promised, spark_cluster, tmp_path):
    process = job.start(tmp_path / "run", *spark_cluster.arguments)
    _, said = process.communicate()
    assert process.returncode == 0, said
    assert promised(tmp_path / "run") == promised(finished)
    assert len(spark_cluster.ask()["completedapps"]) == 5, "a stage ran elsewhere"


@pytest.mark.slow
def test_a_worker_that_is_killed_costs_no_document(job, finished, spark_cluster, tmp_path):
    """Spark gives its work to another, and parts that were finished keep their records."""
    process, killed, records = killed_in_ingest(job, spark_cluster, tmp_path / "run", times=1)
    _, said = process.communicate()
    assert (process.returncode, killed) == (0, 1), said
    assert digest(tmp_path / "run") == digest(finished)
    assert {path: path.stat().st_mtime_ns for path in records} == records


@pytest.mark.slow
def test_workers_that_are_killed_again_and_again_end_the_job_with_one_message(job, finished, spark_cluster, tmp_path):
    process, killed, records = killed_in_ingest(job, spark_cluster, tmp_path / "run", times=1000)
    _, said = process.communicate()
    assert process.returncode == 1, said
    assert killed >= 2 and "Traceback" not in said, said
    [line] = [text for text in said.splitlines() if text.startswith("winnow: ")]
    assert line.startswith("winnow: ingest: the engine gave up: "), line
    assert line.endswith("run the same command again."), line
    again = subprocess.run(command(job, spark_cluster, tmp_path / "run"), cwd=ROOT, capture_output=True, text=True)
    assert again.returncode == 0, again.stderr
    assert digest(tmp_path / "run") == digest(finished)
    assert {path: path.stat().st_mtime_ns for path in records} == records


def command(job, cluster, out: Path) -> list[str]:
    return [sys.executable, "-m", "pipelines.ingest", *job.arguments(out, *cluster.arguments)]


def digest(out: Path) -> str:
    return manifest_from_json((out / "documents/manifest.json").read_text()).digest


def killed_in_ingest(job, cluster, out: Path, *, times: int) -> tuple[subprocess.Popen, int, dict[Path, int]]:
    """Kills Python workers from when a part is finished on: the command, how many, and the records there at first."""
    process = subprocess.Popen(command(job, cluster, out), cwd=ROOT, text=True, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 600
    dead: set[int] = set()
    records: dict[Path, int] = {}
    while process.poll() is None and len(dead) < times:
        assert time.monotonic() < deadline
        records = records or {path: path.stat().st_mtime_ns for path in (out / "documents").glob("part-*.json")}
        for worker in children(cluster.processes[-1].pid) if records else ():
            if worker not in dead:  # also one that has not reached its executor yet
                os.kill(worker, signal.SIGKILL)
                dead.add(worker)
        time.sleep(0.05)
    return process, len(dead), records
