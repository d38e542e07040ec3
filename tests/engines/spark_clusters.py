"""A standalone Spark cluster on loopback: a master and a worker, each a process of Spark's distribution, and a pool of
Python workers beside the worker. The executor, a third process, is the worker's to start."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

from pipelines.engines.artifacts import SPARK
from tests.engines.clusters import OPENS, ROOT, WITH_US, free_port

CORES = 2


@dataclass(kw_only=True)
class SparkCluster:
    folder: Path
    port: int = field(default_factory=free_port)
    web: int = field(default_factory=free_port)
    pool: int = field(default_factory=free_port)
    processes: list[subprocess.Popen] = field(default_factory=list)
    """Master, worker, pool."""

    @property
    def arguments(self) -> list[str]:
        return [
            "--runner=SparkRunner", f"--spark_master_url=spark://localhost:{self.port}",
            f"--environment_config=localhost:{self.pool}",
        ]

    def start(self) -> None:
        self.folder.mkdir(parents=True)
        package = "org.apache.spark.deploy"
        address = ["--host", "localhost"]
        self.processes.append(self._java(
            "master", f"{package}.master.Master", *address, "--port", str(self.port), "--webui-port", str(self.web)
        ))
        self._wait_for(lambda found: found.get("status") == "ALIVE")
        work = ["--cores", str(CORES), "--memory", "1g", "--work-dir", str(self.folder / "work"), "--webui-port", "0"]
        self.processes.append(self._java(
            "worker", f"{package}.worker.Worker", *address, *work, f"spark://localhost:{self.port}"
        ))
        self._wait_for(lambda found: found.get("aliveworkers") == 1)
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        with open(self.folder / "pool.log", "w") as log:
            command = [sys.executable, "-m", "transforms.beam.worker_pool", "--host=127.0.0.1", f"--port={self.pool}"]
            pool = subprocess.Popen(
                [*WITH_US, *command], stdout=subprocess.PIPE, cwd=ROOT, stderr=log, start_new_session=True,
                env={**os.environ, "PYTHONPATH": str(ROOT), "PATH": path},
            )
        self.processes.append(pool)
        assert pool.stdout.readline().startswith(b"listening")

    def ask(self) -> dict:
        """What the master says of itself, its workers and its applications."""
        try:
            with urllib.request.urlopen(f"http://localhost:{self.web}/json/", timeout=5) as answer:
                return json.load(answer)
        except OSError:
            return {}

    def stop(self) -> None:
        for process in reversed(self.processes):
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if process.stdout:
                process.stdout.close()
        shutil.rmtree(self.folder / "work", ignore_errors=True)  # each job leaves 0.4 GB of jars there

    def _wait_for(self, there) -> None:
        deadline = time.monotonic() + 60
        while not there(self.ask()):
            assert time.monotonic() < deadline, (self.ask(), (self.folder / "master.log").read_text())
            time.sleep(0.2)

    def _java(self, name: str, main: str, *arguments: str) -> subprocess.Popen:
        """Told of loopback by environment, since executors have only that from their worker."""
        home = SPARK.distribution_folder.parent
        command = [*WITH_US, "java", *OPENS, "-Xmx256m", "-cp", f"{SPARK.distribution_folder}/*", main, *arguments]
        known = {"SPARK_HOME": str(home), "SPARK_SCALA_VERSION": "2.12", "SPARK_LOCAL_HOSTNAME": "localhost"}
        with open(self.folder / f"{name}.log", "w") as log:
            return subprocess.Popen(
                command, stdout=log, stderr=log, start_new_session=True, cwd=self.folder, env={**os.environ, **known}
            )
