"""Starts the processes of a run as torchrun would, one by one, so that a test can kill any of them."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
QUICK = [
    "--model", "tiny", "--steps", "20", "--global-batch", "8", "--micro-batch", "2", "--warmup", "2", "--no-peak",
    "--no-tensorboard", "--deterministic", "--eval-every", "0", "--checkpoint-every", "5", "--timeout-s", "60",
    "--schedule", "wsd", "--decay", "0",
]
"""The rate does not depend on --steps, so that a run of fewer steps is the beginning of a longer one."""


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@dataclass(kw_only=True)
class Started:
    """The processes of one attempt, by rank; what they print lies in `logs`."""

    processes: list[subprocess.Popen]
    logs: list[Path]

    def wait(self, seconds: float = 180) -> list[int]:
        """The exit codes."""
        return [process.wait(seconds) for process in self.processes]

    def said(self) -> str:
        return "\n".join(log.read_text() for log in self.logs)

    def kill_the_rest(self) -> None:
        """What torchrun does when one of its processes has died."""
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
        self.wait()


def start(arguments: Sequence[str], *, world: int, logs: Path, last: Sequence[str] = ()) -> Started:
    """`last`: arguments that only the last rank is given."""
    port, files, processes = free_port(), [], []
    logs.mkdir(parents=True, exist_ok=True)
    for rank in range(world):
        files.append(logs / f"rank-{rank}-{port}.log")
        torchrun = {
            "RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": world, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port,
        }
        environment = {
            **os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **{k: str(v) for k, v in torchrun.items()},
        }
        with open(files[-1], "w") as log:
            own = last if rank == world - 1 else ()
            processes.append(subprocess.Popen(
                [sys.executable, "-m", "trainer.train", *arguments, *own], stdout=log, stderr=log, env=environment,
                cwd=ROOT,
            ))
    return Started(processes=processes, logs=files)


def train(arguments: Sequence[str], *, world: int, logs: Path) -> str:
    """Runs to the end, and returns what was said."""
    started = start(arguments, world=world, logs=logs)
    codes = started.wait()
    assert codes == [0] * world, started.said()
    return started.said()


def steps(run: Path) -> list[dict]:
    """The lines of all attempts at a step, in the order they were written; a torn last line is left out."""
    path = run / "metrics.jsonl"
    lines = path.read_text().split("\n")[:-1] if path.exists() else []
    return [line for line in map(json.loads, lines) if line["event"] == "step"]


def losses(run: Path) -> dict[int, set[float]]:
    """Every loss that was logged of a step: more than one where attempts differ."""
    found: dict[int, set[float]] = {}
    for line in steps(run):
        found.setdefault(line["step"], set()).add(line["loss"])
    return found
