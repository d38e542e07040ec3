"""Several processes: those that were told different things, replicas, and the GPU's script where there is no GPU."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.trainer.launch import QUICK, ROOT, start, steps, train
from tests.trainer.shard_sets import make_data


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return make_data(tmp_path_factory.mktemp("data"), sources={"web": 300, "wiki": 100}, seq_len=32)


def test_processes_that_were_told_different_things_all_stop(data, tmp_path):
    command = ["--data", str(data), "--out", str(tmp_path / "run"), *QUICK]
    started = start(command, world=2, logs=tmp_path, last=["--seed", "1"])
    assert started.wait() == [1, 1], started.said()
    for rank, log in enumerate(started.logs):
        (line,) = [line for line in log.read_text().splitlines() if line.startswith("winnow")]
        assert line.startswith(f"winnow (rank {rank}): the data set and the run is ("), line
        assert line.endswith("Give every process the same command, and files that all of them see alike.")
    assert not steps(tmp_path / "run")


@pytest.mark.slow
def test_replicas_change_no_loss(data, tmp_path):
    """HSDP, two copies of the weights spread over two processes each, beside FSDP over four."""
    for name, more in (("fsdp", ()), ("hsdp", ("--replicas", "2"))):
        command = ["--data", str(data), "--out", str(tmp_path / name), *QUICK, "--steps", "6", *more]
        train(command, world=4, logs=tmp_path / name)
    pairs = zip(steps(tmp_path / "fsdp"), steps(tmp_path / "hsdp"), strict=True)
    for one, other in pairs:
        assert one["loss"] == pytest.approx(other["loss"], abs=1e-5)
        assert one["grad_norm"] == pytest.approx(other["grad_norm"], rel=1e-4)


@pytest.mark.slow
def test_the_script_for_a_gpu_runs_without_one(tmp_path):
    command = [sys.executable, "tests/benchmarks/gpu.py", str(tmp_path), "--dry-run"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env={"PYTHONPATH": str(ROOT), "PATH": ""})
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads((tmp_path / "gpu.json").read_text())
    assert found["dry_run"] and not found["not_run"]
    assert found["killed and resumed"]["same_to_the_last_bit"] == found["killed and resumed"]["steps_logged"] > 20
