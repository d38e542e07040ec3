"""Two hosts, each a network namespace with an address of its own, train together through torchrun's rendezvous; the
cable between them is pulled, and put back."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time

import pytest

from tests.trainer.launch import QUICK, ROOT, losses, steps, train
from tests.trainer.shard_sets import make_data

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]
ADDRESSES = ("10.203.7.1", "10.203.7.2")
"""Seen by nobody but the two namespaces."""
STEPS = ["--steps", "120", "--checkpoint-every", "10", "--timeout-s", "20"]


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True)


@pytest.fixture
def hosts():
    """The names of two namespaces, joined by a cable whose ends are called eth0."""
    if not shutil.which("ip") or os.geteuid():
        pytest.skip("network namespaces want root and iproute2: apt-get install iproute2, and run as root")
    names = [f"winnow-{os.getpid()}-{number}" for number in range(2)]
    try:
        for name in names:
            ip("netns", "add", name)
            ip("-n", name, "link", "set", "lo", "up")
        ip("-n", names[0], "link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", names[1])
        for name, address in zip(names, ADDRESSES, strict=True):
            ip("-n", name, "address", "add", f"{address}/24", "dev", "eth0")
            ip("-n", name, "link", "set", "eth0", "up")
        yield names
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "delete", name], capture_output=True, check=False)


class Host:
    """A machine with something that starts torchrun again when it failed, as Slurm and JobSet do."""

    def __init__(self, name: str, address: str, arguments: list[str], log) -> None:
        self.starts = 0
        self._log = log
        self._command = [
            "ip", "netns", "exec", name, sys.executable, "-m", "torch.distributed.run", "--nnodes", "2",
            "--nproc-per-node", "1", "--max-restarts", "3", "--rdzv-backend", "c10d", "--rdzv-id", "cable",
            "--rdzv-endpoint", f"{ADDRESSES[0]}:29517", "--local-addr", address,
            # by itself torchrun asks what this machine's name resolves to, and that no namespace changes
            "--rdzv-conf", f"is_host={int(address == ADDRESSES[0])}", "-m", "trainer.train", *arguments,
        ]
        self._environment = {
            **os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "eth0",
        }
        self._start()

    def _start(self) -> None:
        self.starts += 1
        self.process = subprocess.Popen(
            self._command, stdout=self._log, stderr=self._log, env=self._environment, cwd=ROOT, start_new_session=True,
        )

    def done(self) -> bool:
        status = self.process.poll()
        if status:
            assert self.starts < 8, "it does not come back"
            self._start()
        return status == 0

    def stop(self) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, 9)
            self.process.wait()


@pytest.mark.parametrize(("seconds", "again"), [(5, False), (45, True)])
def test_a_host_that_is_cut_off_and_comes_back_costs_no_sample(hosts, tmp_path, seconds, again):
    """For less than --timeout-s, TCP sends again what was lost, and the run never knew. For longer, both ends give up,
    find each other anew, and go on from the last checkpoint."""
    data = make_data(tmp_path / "data", sources={"web": 300, "wiki": 100}, seq_len=32)
    command = ["--data", str(data), *QUICK, *STEPS]
    train([*command, "--out", str(tmp_path / "undisturbed")], world=2, logs=tmp_path)
    run = tmp_path / "run"
    with open(tmp_path / "a.log", "w") as a, open(tmp_path / "b.log", "w") as b:
        started = [Host(name, address, [*command, "--out", str(run)], log)
                   for name, address, log in zip(hosts, ADDRESSES, (a, b), strict=True)]
        try:
            deadline = time.monotonic() + 900
            while len(steps(run)) < 35:
                assert time.monotonic() < deadline, said(tmp_path)
                assert not all([host.done() for host in started]), said(tmp_path)
                time.sleep(0.01)
            ip("-n", hosts[1], "link", "set", "eth0", "down")
            cut = len(steps(run))
            time.sleep(seconds)
            assert len(steps(run)) <= cut + 1, "they still hear each other"
            ip("-n", hosts[1], "link", "set", "eth0", "up")
            while not all([host.done() for host in started]):
                assert time.monotonic() < deadline, said(tmp_path)
                time.sleep(0.2)
        finally:
            for host in started:
                host.stop()
    assert losses(run) == losses(tmp_path / "undisturbed")
    assert sorted(losses(run)) == list(range(1, 121))
    assert (max(line["attempt"] for line in steps(run)) > 0) == again


def said(folder) -> str:
    return "\n".join(f"{name}: {(folder / name).read_text()[-6000:]}" for name in ("a.log", "b.log"))
