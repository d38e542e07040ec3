"""OUT/.lock on an object store: one run at a time, by the store's clock, and a lost lock ends the run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from pipelines import lease
from pipelines.whole import LOCK_LOST, locked
from schemas.errors import RunError

ROOT = Path(__file__).parents[3]
HOLD = """
import sys, time
from pipelines import lease
from pipelines.whole import locked
lease.BEAT_S, lease.BEATS = float(sys.argv[2]), int(sys.argv[3])
with locked(sys.argv[1]):
    print("held", flush=True)
    time.sleep(100)
"""


@pytest.fixture
def hold():
    """Starts another process that holds the lock of an output."""
    started = []

    def start(out: str, beat: float = 10.0, beats: int = 6) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", HOLD, out, str(beat), str(beats)], cwd=ROOT, text=True, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        started.append(process)
        assert process.stdout.readline() == "held\n", process.stderr.read()
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def told(out: str) -> str:
    with pytest.raises(RunError) as raised, locked(out):
        raise AssertionError("the lock was given twice")
    return str(raised.value)


def written(s3, **changes) -> dict[str, object]:
    owner = {**json.loads(s3.get("out/.lock")), **changes}
    s3.put("out/.lock", json.dumps(owner).encode())
    return owner


def test_a_second_run_is_refused_with_the_owner_and_the_end(s3, hold):
    out = f"{s3.url}/out"
    first = hold(out)
    message = told(out)
    owner = f"process {first.pid} on {os.uname().nodename}"
    assert message.startswith(f"--output {out}: another run is writing here: {owner}")
    assert "its lock ends in " in message and 50 <= int(message.split("ends in ")[1].split()[0]) <= 60
    assert [key for key in list(s3.keys()) if "probe" in key] == []


def test_the_lock_is_free_when_the_run_has_ended(s3):
    for _ in range(3):
        with locked(f"{s3.url}/out"):
            assert "out/.lock" in list(s3.keys())
    assert json.loads(s3.get("out/.lock"))["released"] is True


def test_a_killed_run_of_this_machine_holds_nothing(s3, hold):
    first = hold(f"{s3.url}/out")
    first.kill()
    first.wait()
    with locked(f"{s3.url}/out"):
        assert json.loads(s3.get("out/.lock"))["process"] == os.getpid()


def test_a_dead_run_elsewhere_holds_it_until_it_runs_out(s3, hold):
    out = f"{s3.url}/out"
    hold(out).kill()
    written(s3, machine="another", lasts_s=3.0)
    assert "lock ends in " in told(out)
    time.sleep(4.1)  # Last-Modified has whole seconds
    with locked(out):
        assert json.loads(s3.get("out/.lock"))["process"] == os.getpid()


@pytest.mark.parametrize("wrong_by", [-86400, 86400])
def test_clocks_of_this_machine_decide_nothing(s3, hold, monkeypatch, wrong_by):
    out = f"{s3.url}/out"
    hold(out)
    written(s3, machine="another")
    right = time.time
    monkeypatch.setattr(time, "time", lambda: right() + wrong_by)
    assert "its lock ends in " in told(out)


def test_a_run_that_renews_keeps_it_beyond_its_term(s3, hold):
    out = f"{s3.url}/out"
    hold(out, 0.3, 10)
    time.sleep(5)
    assert "another run is writing here" in told(out)
    assert json.loads(s3.get("out/.lock"))["beat"] > 5


def test_of_two_that_find_it_free_one_gets_it(s3, monkeypatch):
    out, results = f"{s3.url}/out", []
    barrier, over = threading.Barrier(6), threading.Event()

    def run() -> None:
        barrier.wait()
        try:
            with lease.leased(out, lost=results.append):
                results.append("held")
                over.wait(20)
        except RunError as error:
            results.append(str(error))

    threads = [threading.Thread(target=run) for _ in range(6)]
    for thread in threads:
        thread.start()
    while len(results) < 6:
        time.sleep(0.01)
    over.set()
    for thread in threads:
        thread.join()
    assert results.count("held") == 1
    assert all("another run" in r for r in results if r != "held")


def test_a_lost_lock_ends_the_run(s3, hold):
    process = hold(f"{s3.url}/out", 0.2)
    written(s3, run="theirs", host="elsewhere", process=7)
    _, said = process.communicate(timeout=20)
    assert process.returncode == LOCK_LOST
    assert f"winnow: {s3.url}/out/.lock: the lock is now another run's (process 7 on elsewhere, since" in said
    assert json.loads(s3.get("out/.lock"))["run"] == "theirs", "it was taken back"


def test_a_lock_that_cannot_be_renewed_ends_the_run_before_it_runs_out(proxy, hold):
    proxy, s3 = proxy
    process = hold(f"{s3.url}/out", 0.3, 6)
    proxy.rule = lambda a: (403, b"<Error><Code>AccessDenied</Code></Error>")
    _, said = process.communicate(timeout=20)
    assert process.returncode == LOCK_LOST
    assert "permission denied (AccessDenied)" in said and "so this run ends" in said


def test_a_renewal_whose_answer_is_lost_is_no_loss(proxy):
    proxy, s3 = proxy
    lost: list[str] = []
    proxy.rule = lambda a: "lose answer" if a.method == "PUT" and a.path.endswith(".lock") and a.seen % 2 else None
    old, lease.BEAT_S = lease.BEAT_S, 0.1
    try:
        with lease.leased(f"{s3.url}/out", lost=lost.append):
            time.sleep(2)
    finally:
        lease.BEAT_S = old
    assert not lost and proxy.faults > 2
    assert json.loads(s3.get("out/.lock"))["beat"] > 2
