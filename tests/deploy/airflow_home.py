"""An Airflow that is set up as deploy/airflow says, with the LocalExecutor, for tests of its DAG."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deploy.postgres import Postgres
from tests.deploy.schedules import ROOT, STAGES, Crawl, until

AIRFLOW = Path(os.environ.get("WINNOW_AIRFLOW", ROOT / ".airflow/bin/airflow")).absolute()
DAG = "winnow_clean"
TASKS = [*STAGES, "report"]


def start_postgres() -> Postgres:
    """The one in Airflow's environment. Skips where there is none."""
    found = list(AIRFLOW.parents[1].glob("lib/python*/site-packages/pgserver/pginstall"))
    if not AIRFLOW.exists() or not found:
        pytest.skip(f"there is no {AIRFLOW}, or no pgserver beside it: make test-airflow brings them, on x86-64")
    return Postgres(found[0].parents[1])


class Airflow:
    """A home, a database, a crawl and an output of its own."""

    def __init__(self, folder: Path, postgres: Postgres, **more: str) -> None:
        self.home, self.crawl, self.out = folder / "airflow", Crawl(folder), folder / "tokens"
        self.postgres, self.base = postgres, postgres.new_base()
        (self.home / "dags").mkdir(parents=True)
        shutil.copy(ROOT / "deploy/airflow/winnow_clean.py", self.home / "dags")
        self.environment = {
            "PATH": f"{AIRFLOW.parent}:/usr/bin:/bin", "HOME": os.environ["HOME"], "AIRFLOW_HOME": str(self.home),
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": postgres.address(self.base),
            "AIRFLOW__CORE__EXECUTOR": "LocalExecutor", "AIRFLOW__CORE__PARALLELISM": "4",
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False", "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
            "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False", "AIRFLOW__SCHEDULER__SCHEDULER_HEARTBEAT_SEC": "1",
            "AIRFLOW__LOGGING__LOGGING_LEVEL": "INFO", "PYTHONPATH": "", "WINNOW_SCHEDULE": "",
            "WINNOW_RETRY_MINUTES": "0", "WINNOW_PYTHON": str(self.python()), "WINNOW_OUTPUT": str(self.out),
            "WINNOW_INPUTS": f"--input '{self.crawl.pattern}'", "WINNOW_OPTIONS": "--batch-rows 512", **more,
            **{k: v for k, v in os.environ.items() if k.startswith("NUMBA_")},
        }
        self.run("db", "migrate")

    def python(self) -> Path:
        """A Python that has winnow, as an installed one has."""
        script = self.home / "python"
        script.write_text(f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} "$@"\n')
        script.chmod(0o755)
        return script

    def copy_dag(self, name: str) -> None:
        """A second DAG that writes to the same output: `max_active_runs` is of a DAG, and keeps no other's runs out."""
        text = (self.home / "dags/winnow_clean.py").read_text()
        assert text.count(f'"{DAG}"') == 1
        (self.home / f"dags/{name}.py").write_text(text.replace(f'"{DAG}"', f'"{name}"'))

    def run(self, *words: str) -> str:
        done = subprocess.run([AIRFLOW, *words], env=self.environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    @contextlib.contextmanager
    def scheduler(self, *dags: str) -> Iterator[None]:
        """Runs, with those DAGs read."""
        log = self.home / "scheduler.log"
        with log.open("w") as said:  # its server of logs, which would listen on all interfaces, is not needed
            scheduler = subprocess.Popen([AIRFLOW, "scheduler", "--skip-serve-logs"], env=self.environment, stdout=said,
                                         stderr=said, start_new_session=True)
            try:
                for dag in dags:
                    until(lambda dag=dag: self.ask(f"select 1 from serialized_dag where dag_id = '{dag}'"))
                assert "Loaded executor: LocalExecutor" in log.read_text()
                yield
            finally:
                os.killpg(scheduler.pid, signal.SIGTERM)
                scheduler.wait(60)

    def ask(self, query: str, *, run: str = "") -> list[list[str]]:
        return self.postgres.ask(self.base, query, run=run)

    def trigger(self, run: str, *, dag: str = DAG) -> None:
        self.run("dags", "trigger", dag, "--run-id", run)

    def ended(self, run: str) -> bool:
        ((state,),) = self.ask("select state from dag_run where run_id = :'run'", run=run)
        assert state != "failed", self.log(run)
        return state == "success"

    def finish(self, run: str) -> None:
        until(lambda: self.ended(run), seconds=1200)

    def tasks(self, run: str) -> dict[str, tuple[str, int]]:
        """Task to its state and its last try."""
        rows = self.ask("select task_id, state, try_number from task_instance where run_id = :'run'", run=run)
        return {task: (state, int(tried)) for task, state, tried in rows}

    def log(self, run: str) -> str:
        return "\n".join(p.read_text() for p in sorted((self.home / "logs").rglob(f"run_id={run}/**/*.log")))
