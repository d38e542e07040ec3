"""deploy/airflow under Airflow itself: its parser, its scheduler, its executor, in an environment of its own."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines import clean, ingest, report
from pipelines import filter as sieve
from pipelines.options import parse
from tests.deploy.schedules import ROOT, STAGES, Crawl, everything, extracted, kill, processes, promised, until

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(3600)]
AIRFLOW = Path(os.environ.get("WINNOW_AIRFLOW", ROOT / ".airflow/bin/airflow")).absolute()
TASKS = [*STAGES, "report"]


class Airflow:
    """A home of its own: sqlite, and so the SequentialExecutor, which is all that Airflow 2 runs on it."""

    def __init__(self, folder: Path, **more: str) -> None:
        if not AIRFLOW.exists():
            pytest.skip(f"there is no {AIRFLOW}: make test-airflow brings it")
        self.home, self.crawl, self.out = folder / "airflow", Crawl(folder), folder / "tokens"
        (self.home / "dags").mkdir(parents=True)
        shutil.copy(ROOT / "deploy/airflow/winnow_clean.py", self.home / "dags")
        self.environment = {
            "PATH": f"{AIRFLOW.parent}:/usr/bin:/bin", "HOME": os.environ["HOME"], "AIRFLOW_HOME": str(self.home),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False", "AIRFLOW__CORE__EXECUTOR": "SequentialExecutor",
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

    def run(self, *words: str) -> str:
        done = subprocess.run([AIRFLOW, *words], env=self.environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def ask(self, query: str, *values: str) -> list[tuple]:
        with sqlite3.connect(self.home / "airflow.db", timeout=60) as base:
            return base.execute(query, values).fetchall()

    def trigger(self, name: str) -> None:
        self.run("dags", "trigger", "winnow_clean", "--run-id", name)

    def ended(self, name: str) -> bool:
        ((state,),) = self.ask("select state from dag_run where run_id = ?", name)
        assert state != "failed", self.log(name)
        return state == "success"

    def finish(self, name: str) -> None:
        until(lambda: self.ended(name), seconds=1200)

    def log(self, name: str) -> str:
        return "\n".join(p.read_text() for p in sorted((self.home / "logs").rglob(f"run_id={name}/**/*.log")))


@pytest.fixture
def airflow(tmp_path):
    return Airflow(tmp_path)


def commands(airflow: Airflow) -> dict[str, list[str]]:
    """Task to its words, and each task after the one before, as Airflow itself reads the file."""
    program = (
        "import json\n"
        "from airflow.models import DagBag\n"
        "bag = DagBag(include_examples=False)\n"
        "assert not bag.import_errors, bag.import_errors\n"
        "dag = bag.get_dag('winnow_clean')\n"
        "assert dag.max_active_runs == 1 and not dag.catchup\n"
        "tasks = dag.topological_sort()\n"
        "assert all(a.downstream_task_ids == {b.task_id} for a, b in zip(tasks, tasks[1:]))\n"
        "assert all(t.retries == 3 for t in tasks)\n"
        "print(json.dumps({t.task_id: getattr(t, 'arguments', None) or t.bash_command for t in tasks}))\n"
    )
    done = subprocess.run([AIRFLOW.with_name("python"), "-c", program], env=airflow.environment, capture_output=True,
                          text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("image", ["", "registry.example/winnow:1"])
def test_the_tasks_are_the_stages_and_their_options_are_ours(tmp_path, image):
    import shlex

    found = commands(Airflow(tmp_path, **({"WINNOW_IMAGE": image} if image else {})))
    assert list(found) == TASKS
    for stage, words in found.items():
        words = words if image else shlex.split(words)[2:]
        assert words[:2] == ["-m", f"pipelines.{stage}"]
        options = parse(words[2:], command=stage, about="", needs_input=stage == "ingest")
        assert options.output == str(tmp_path / "tokens") and options.batch_rows == 512
        assert bool(options.inputs) == (stage == "ingest")
    assert {m.run.__module__ for m in (clean, ingest, sieve, report)}  # the modules that the tasks name are there


def test_three_months_kills_and_two_ticks_at_once(airflow, tmp_path):
    """The first month's run is killed in each of its stages; the third is triggered together with a fourth tick."""
    said = (tmp_path / "scheduler.log").open("w")
    scheduler = subprocess.Popen([AIRFLOW, "scheduler"], env=airflow.environment, stdout=said, stderr=said,
                                 start_new_session=True)
    try:
        until(lambda: airflow.ask("select 1 from dag where dag_id = 'winnow_clean'"))
        airflow.crawl.arrives("2026-08")
        airflow.trigger("month-1")
        for stage, folder in STAGES.items():
            until((airflow.out / folder / "plan.jsonl").exists)
            kill(f"pipelines.{stage}", airflow.out)
        until(lambda: processes("pipelines.report", airflow.out))
        kill("pipelines.report", airflow.out)
        airflow.finish("month-1")
        tries = dict(airflow.ask("select task_id, try_number from task_instance where run_id = 'month-1'"))
        assert tries == dict.fromkeys(TASKS, 2)
        first = extracted(airflow.out)
        assert len(first) == 1
        airflow.crawl.arrives("2026-09")
        airflow.trigger("month-2")
        airflow.finish("month-2")
        second = extracted(airflow.out)
        assert len(second) == 3 and first.items() <= second.items(), "an old file was read again"
        airflow.crawl.arrives("2026-10")
        airflow.trigger("month-3")
        airflow.trigger("month-4")
        airflow.finish("month-3")
        third = extracted(airflow.out)
        was = everything(airflow.out)
        assert len(third) == 4 and second.items() <= third.items()
        airflow.finish("month-4")
    finally:
        os.killpg(scheduler.pid, signal.SIGTERM)
        scheduler.wait(60)
        said.close()
    spans = {run: airflow.ask("select min(start_date), max(end_date) from task_instance where run_id = ?", run)[0]
             for run in ("month-3", "month-4")}
    assert spans["month-3"][1] <= spans["month-4"][0], "two runs at once"
    now = everything(airflow.out)
    assert {name for name in now if now[name] != was.get(name)} <= {"report.html", "manifest.json"}
    log = airflow.log("month-4")
    assert all(f"{stage:9} already complete" in log for stage in STAGES), log
    anew = tmp_path / "anew"
    clean.run([f"--input={airflow.crawl.pattern}", f"--output={anew}"])
    assert promised(airflow.out) == promised(anew)
    assert (airflow.out / "manifest.json").read_bytes() == (anew / "manifest.json").read_bytes()


def test_a_task_that_finds_the_output_held_is_skipped(airflow):
    from pipelines.whole import locked

    airflow.crawl.arrives("2026-08")
    with locked(str(airflow.out)):
        said = airflow.run("tasks", "test", "winnow_clean", "ingest", "2026-08-01")
    assert "another run is writing here" in said and "Marking task as SKIPPED" in said
