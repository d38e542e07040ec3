"""What is killed goes on as if nothing had happened: the same losses to the last bit."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from tests.trainer.launch import QUICK, Started, losses, start, steps, train
from tests.trainer.shard_sets import make_data
from trainer import checkpoints


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return make_data(tmp_path_factory.mktemp("data"), sources={"web": 300, "wiki": 100}, seq_len=32)


@pytest.fixture(scope="module")
def undisturbed(data, tmp_path_factory):
    """step: its loss, of two processes that nothing happens to."""
    run = tmp_path_factory.mktemp("undisturbed")
    train(arguments(data, run), world=2, logs=run)
    found = losses(run)
    assert sorted(found) == list(range(1, 21)) and all(len(v) == 1 for v in found.values())
    assert min(found[20]) < 0.9 * min(found[1])  # it learns, so a wrong batch or moment would show
    return found


def arguments(data: Path, run: Path, *more: str) -> list[str]:
    return ["--data", str(data), "--out", str(run), *QUICK, *more]


def until(holds, started: Started) -> None:
    deadline = time.monotonic() + 120
    while not holds():
        assert time.monotonic() < deadline, started.said()
        assert all(p.poll() in (None, 0) for p in started.processes), started.said()
        time.sleep(0.0005)


@pytest.mark.parametrize(("rank", "after"), [
    (1, 13), *(pytest.param(*case, marks=pytest.mark.slow) for case in ((0, 3), (1, 7), (0, 19)))
])
def test_a_process_killed_in_any_step(data, undisturbed, tmp_path, rank, after):
    started = start(arguments(data, tmp_path), world=2, logs=tmp_path)
    until(lambda: len(steps(tmp_path)) >= after, started)
    os.kill(started.processes[rank].pid, signal.SIGKILL)
    started.kill_the_rest()
    train(arguments(data, tmp_path), world=2, logs=tmp_path)
    assert losses(tmp_path) == undisturbed
    assert {line["attempt"] for line in steps(tmp_path)} == {0, 1}


@pytest.mark.parametrize("rank", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_a_process_killed_in_the_middle_of_a_checkpoint(data, undisturbed, tmp_path, rank):
    """The one of step 10 is being written: it has a folder, and no COMPLETE."""
    torn = tmp_path / "checkpoints/step-00000010"
    started = start(arguments(data, tmp_path), world=2, logs=tmp_path)
    until(torn.is_dir, started)
    os.kill(started.processes[rank].pid, signal.SIGKILL)
    started.kill_the_rest()
    assert torn.is_dir() and not (torn / "COMPLETE").exists(), "it was too late: the checkpoint is whole"
    assert checkpoints.latest(tmp_path).step == 5
    said = train(arguments(data, tmp_path), world=2, logs=tmp_path)
    assert "goes on after step 5" in said
    assert losses(tmp_path) == undisturbed
    assert checkpoints.latest(tmp_path).step == 20


def test_sigterm_saves_and_the_same_command_goes_on(data, undisturbed, tmp_path):
    started = start(arguments(data, tmp_path, "--checkpoint-every", "1000"), world=2, logs=tmp_path)
    until(lambda: len(steps(tmp_path)) >= 7, started)
    started.processes[1].terminate()  # one is enough: the others hear of it with the next loss
    assert started.wait() == [0, 0], started.said()
    done = max(losses(tmp_path))
    assert 7 <= done < 20
    assert f"saved after step {done}" in started.said()
    assert checkpoints.latest(tmp_path).step == done
    train(arguments(data, tmp_path), world=2, logs=tmp_path)
    assert losses(tmp_path) == undisturbed
    assert len(steps(tmp_path)) == 20  # nothing was done twice


@pytest.mark.slow
def test_another_number_of_processes_goes_on(data, undisturbed, tmp_path):
    """2, then 4, then 1: the same samples, and the same losses but for the order of sums."""
    for world, last in ((2, 7), (4, 13), (1, 20)):
        train(arguments(data, tmp_path, "--steps", str(last)), world=world, logs=tmp_path)
    lines = steps(tmp_path)
    assert [line["world"] for line in lines] == [2] * 7 + [4] * 6 + [1] * 7
    assert [line["samples"] for line in lines] == list(range(8, 168, 8))
    for line in lines:
        assert line["loss"] == pytest.approx(min(undisturbed[line["step"]]), abs=1e-5)
