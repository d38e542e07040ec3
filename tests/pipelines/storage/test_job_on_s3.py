"""The main job with inputs and output on an object store: the bytes that it gives locally, whatever fails between."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from pipelines import clean
from pipelines.run import main
from schemas.errors import RunError
from schemas.stages import INGEST
from transforms.beam import parts

ROOT = Path(__file__).parents[3]


@dataclass(frozen=True)
class Run:
    arguments: list[str]
    out: str = "out"

    def __call__(self) -> None:
        clean.run(self.arguments)

    def start(self, *options: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "pipelines.clean", *self.arguments, *options], cwd=ROOT, text=True,
            stderr=subprocess.PIPE, start_new_session=True,
        )


def placed(job, s3) -> Run:
    """The sample in the bucket, and the job on it."""
    s3.fill(job.sample, "in")
    inputs = [f"--input={name}={s3.url}/in/{name}" for name in ("web", "wet", "json")]
    return Run([*inputs, f"--output={s3.url}/out"])


def test_same_bytes_and_no_listing_of_the_output(job, finished, promised, proxy):
    proxy, s3 = proxy
    run = placed(job, s3)
    run()
    assert s3.promised("out") == promised(finished)
    listed = {a.path for a in proxy.asked if a.listing}
    assert listed and all("prefix=in%2F" in path for path in listed), "manifests are followed, not listings"
    assert not s3.uploads()
    wrote = {key: when for key, when in s3.keys("out/").items() if not re.search(r"\.lock|report|run\.json", key)}
    run()
    assert {key: when for key, when in s3.keys("out/").items() if key in wrote} == wrote, "a finished run is kept"
    everything = b"".join(s3.get(key) for key in s3.keys("out/"))
    assert b"a-secret-that-must-not-be-told" not in everything and b"AKIDEXAMPLEXAMPLE" not in everything


@pytest.mark.slow
def test_two_workers(job, finished, promised, s3):
    process = placed(job, s3).start("--workers=2")
    _, said = process.communicate(timeout=300)
    assert process.returncode == 0, said
    assert s3.promised("out") == promised(finished)


@pytest.mark.slow
@pytest.mark.parametrize("folder", ["documents", "clean", "shards"])
def test_a_killed_run_goes_on(job, finished, promised, s3, folder):
    run = placed(job, s3)
    process = run.start()
    deadline = time.monotonic() + 300
    while not any(re.search(r"-[0-9a-f]+\.json", key) for key in s3.keys(f"out/{folder}/")):
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert "out/report.html" not in list(s3.keys()), "the run was over before it was killed"
    known = s3.keys("out/").items()
    before = {k: when for k, when in known if re.search(r"part-[0-9a-f]+\.json", k) and "metrics" not in k}
    time.sleep(1)  # Last-Modified has whole seconds
    run()
    assert s3.promised("out") == promised(finished)
    after = {k: when for k, when in s3.keys("out/").items() if k in before}
    assert before and after == before, "finished parts were redone"


FAULTS = {
    "503": lambda a: 503 if a.seen == 1 else None,
    "500": lambda a: 500 if a.seen <= 2 and a.method != "POST" else None,
    "cut upload": lambda a: "cut upload" if a.method == "PUT" and a.seen == 1 else None,
    "cut download": lambda a: "cut download" if a.method == "GET" and not a.listing and a.seen == 1 else None,
    "cut listing": lambda a: "cut download" if a.listing and a.seen <= 2 else None,
    "lose answer": lambda a: "lose answer" if a.method == "PUT" and a.seen == 1 else None,
    "delay": lambda a: "delay",
}


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS)
def test_a_store_that_fails(job, finished, promised, proxy, fault):
    proxy, s3 = proxy
    run = placed(job, s3)
    proxy.rule = FAULTS[fault]
    run()
    assert proxy.faults > (5 if fault == "cut listing" else 50)
    assert s3.promised("out") == promised(finished)
    assert not s3.uploads()


@pytest.mark.slow
def test_a_store_that_is_gone_for_good_in_the_middle(job, finished, promised, proxy):
    proxy, s3 = proxy
    run = placed(job, s3)
    refused = b"<Error><Code>AccessDenied</Code></Error>"
    proxy.rule = lambda a: (403, refused) if "/out/clean/" in a.path and a.method == "PUT" else None
    with pytest.raises(SystemExit) as ended:
        main(clean.run, run.arguments)
    told = r"^winnow: s3://.+/out/clean/.+: cannot be written: permission denied \(AccessDenied\)"
    assert re.search(told, str(ended.value))
    proxy.rule = lambda a: None
    run()
    assert s3.promised("out") == promised(finished)


@pytest.mark.slow
def test_a_store_that_lists_late(job, finished, promised, proxy):
    """What a listing leaves out is read by the same command as soon as it is listed; the output needs no listing."""
    proxy, s3 = proxy
    run = placed(job, s3)

    def omitting(listing: bytes) -> bytes:
        """As if the last object were too young."""
        within = rb"(?:(?!</Contents>).)*"
        return re.sub(rb"<Contents>" + within + b"sample-00001" + within + b"</Contents>", b"", listing, flags=re.S)

    proxy.rule = lambda a: omitting if a.listing else None
    run()
    assert proxy.faults and s3.promised("out") != promised(finished)
    proxy.rule = lambda a: omitting if a.listing and "prefix=out" in a.path else None
    run()
    assert s3.promised("out") == promised(finished)


def test_a_job_that_was_overtaken_publishes_nothing(s3):
    """Its launcher lost the lock, and another run has planned the stage with other parts."""
    out = f"{s3.url}/out"
    ours = parts.PlannedPart(stage="ingest", part="part-1", plan_key="a", source="web", name="x", number=0, size=1)
    parts.write_plan(out, INGEST, [ours])
    record = parts.PartRecord(
        stage="ingest", part="part-1", plan_key="b", source="web", name="x", counts=parts.part_from_json(
            json.dumps({"stage": "", "part": "", "plan_key": "", "source": "", "name": "", "counts": {}, "outputs": {}})
        ).counts,
    )
    blank = parts.Manifest(stage="ingest", plan_key="k", recipes={}, libraries={})
    with pytest.raises(RunError, match="another run has planned this stage anew"):
        parts._write_manifest([record], out, blank, {})
    assert "out/documents/manifest.json" not in list(s3.keys())
