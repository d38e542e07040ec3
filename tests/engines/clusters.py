"""A real Flink cluster on loopback: a JobManager and two TaskManagers, each a process, and Python workers for each.

Each TaskManager has a loopback address of its own for the name `pool`, as it would have on a machine of its own.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

from pipelines.engines.artifacts import FLINK
from tests.pipelines.test_failures import children

ROOT = Path(__file__).parents[2]
OPENS = [
    f"--add-opens=java.base/{name}=ALL-UNNAMED"
    for name in ("java.lang", "java.util", "java.net", "java.nio", "sun.nio.ch", "java.util.concurrent",
                 "java.lang.reflect", "java.text", "java.time", "java.io")
]
"""What Flink 1.19's own bin/config.sh asks of Java 17."""
WITH_US = ["setpriv", "--pdeathsig", "TERM"] if shutil.which("setpriv") else []
"""Ends a process when the tests that started it are killed (util-linux)."""
MEMORY = {  # of a TaskManager, MiB: about 512 of heap and what Flink sets aside beside it
    "task.heap.size": 384, "task.off-heap.size": 0, "framework.heap.size": 128, "framework.off-heap.size": 128,
    "network.min": 192, "network.max": 192, "managed.size": 128, "jvm-metaspace.size": 256, "jvm-overhead.min": 192,
    "jvm-overhead.max": 192,
}


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def alive(parent: int) -> list[int]:
    """Process ids of a process's children, the ended ones left out."""
    states = {}
    for pid in children(parent):
        with contextlib.suppress(OSError):
            states[pid] = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    return [pid for pid, state in states.items() if state != "Z"]


def connections(pid: int) -> int:
    """Established TCP connections of a process. A worker has one when its TaskManager can see it, and a second, for
    data, from its first bundle on."""
    with contextlib.suppress(OSError):
        tables = "".join(Path(f"/proc/{pid}/net/{name}").read_text() for name in ("tcp", "tcp6"))
        lines = [line.split() for line in tables.splitlines()]
        established = {f"socket:[{line[9]}]" for line in lines if line[3] == "01"}
        return sum(os.readlink(entry) in established for entry in Path(f"/proc/{pid}/fd").iterdir())
    return 0


@dataclass(kw_only=True)
class FlinkCluster:
    folder: Path
    rest: int = field(default_factory=free_port)
    pool: int = field(default_factory=free_port)
    managers: list[subprocess.Popen] = field(default_factory=list)
    """The TaskManagers."""
    others: list[subprocess.Popen] = field(default_factory=list)
    pools: list[subprocess.Popen] = field(default_factory=list)

    @property
    def arguments(self) -> list[str]:
        return [
            "--runner=FlinkRunner", f"--flink_master=localhost:{self.rest}", "--environment_type=EXTERNAL",
            f"--environment_config=pool:{self.pool}", "--parallelism=2",
        ]

    def start(self) -> None:
        (self.folder / "conf").mkdir(parents=True)
        settings = {
            "jobmanager.rpc.address": "localhost", "jobmanager.rpc.port": free_port(),
            "jobmanager.bind-host": "localhost",
            "taskmanager.bind-host": "localhost", "taskmanager.host": "localhost", "rest.address": "localhost",
            "rest.bind-address": "localhost", "rest.port": self.rest, "io.tmp.dirs": self.folder / "tmp",
            "jobmanager.memory.process.size": "1024m", "taskmanager.numberOfTaskSlots": 1, "parallelism.default": 2,
            "restart-strategy.type": "fixed-delay", "restart-strategy.fixed-delay.attempts": 5,
            "restart-strategy.fixed-delay.delay": "1 s", "heartbeat.interval": 1000, "heartbeat.timeout": 8000,
        }
        (self.folder / "tmp").mkdir()
        (self.folder / "conf/config.yaml").write_text("".join(f"{k}: {v}\n" for k, v in settings.items()))
        self.others.append(self._java(
            "job-manager", "org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint", "--executionMode",
            "cluster",
        ))
        for _ in range(2):
            self.add_manager()
        self.wait_for(2)

    def add_manager(self) -> None:
        number = len(self.managers) + 1
        address = f"127.0.0.{number}"
        hosts = self.folder / f"hosts-{number}"
        names = f"127.0.0.1 localhost {socket.gethostname()}\n"
        hosts.write_text(f"{names}{address} pool\n")
        with open(self.folder / f"pool-{number}.log", "w") as log:
            command = [sys.executable, "-m", "transforms.beam.worker_pool", f"--host={address}", f"--port={self.pool}"]
            pool = subprocess.Popen(
                [*WITH_US, *command], stdout=subprocess.PIPE, cwd=ROOT, stderr=log, start_new_session=True,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
            )
        assert pool.stdout.readline().startswith(b"listening")
        self.pools.append(pool)
        memory = [a for name, mib in MEMORY.items() for a in ("-D", f"taskmanager.memory.{name}={mib}m")]
        self.managers.append(self._java(
            f"task-manager-{number}", "org.apache.flink.runtime.taskexecutor.TaskManagerRunner", *memory, "-D",
            "taskmanager.cpu.cores=1", "-D", f"taskmanager.resource-id=manager-{number}",
            properties=[f"-Djdk.net.hosts.file={hosts}", "-XX:MaxMetaspaceSize=256m"],
        ))

    def wait_for(self, managers: int) -> None:
        deadline = time.monotonic() + 60
        while self.ask("overview").get("taskmanagers") != managers:
            assert time.monotonic() < deadline, self.ask("overview")
            time.sleep(0.2)

    def ask(self, what: str) -> dict:
        try:
            with urllib.request.urlopen(f"http://localhost:{self.rest}/{what}", timeout=5) as answer:
                return json.load(answer)
        except OSError:
            return {}

    def hosts_used(self) -> set[str]:
        """The TaskManagers that an operator of any job ran on."""
        return {
            manager["taskmanager-id"]
            for job in self.ask("jobs/overview")["jobs"]
            for vertex in self.ask(f"jobs/{job['jid']}")["vertices"]
            for manager in self.ask(f"jobs/{job['jid']}/vertices/{vertex['id']}/taskmanagers")["taskmanagers"]
        }

    def stop(self) -> None:
        for process in (*self.managers, *self.others, *self.pools):
            process.terminate()
        for process in (*self.managers, *self.others, *self.pools):
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if process.stdout:
                process.stdout.close()

    def _java(self, name: str, main: str, *arguments: str, properties: list[str] | None = None) -> subprocess.Popen:
        jars = f"{FLINK.distribution_folder}/*"
        options = [*OPENS, "-Xmx512m", f"-Dlog.file={self.folder / name}.log", *(properties or [])]
        command = [*WITH_US, "java", *options, "-cp", jars, main, "--configDir", str(self.folder / "conf"), *arguments]
        with open(self.folder / f"{name}.out", "w") as out:
            return subprocess.Popen(command, stdout=out, stderr=out, start_new_session=True)
