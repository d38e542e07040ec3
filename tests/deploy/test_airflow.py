"""deploy/airflow under Airflow itself, in an environment of its own: parser, scheduler, LocalExecutor on PostgreSQL."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
from pathlib import Path

import pytest

from pipelines import clean, exits, ingest, report
from pipelines import filter as sieve
from pipelines.options import parse
from pipelines.whole import locked
from schemas.errors import HeldError
from tests.deploy.airflow_home import AIRFLOW, DAG, TASKS, Airflow, start_postgres
from tests.deploy.schedules import ROOT, STAGES, everything, extracted, kill, processes, promised, stopped, until

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(3600)]
ALL_DONE = dict.fromkeys(TASKS, ("success", 1))


@pytest.fixture(scope="module")
def postgres():
    server = start_postgres()
    yield server
    server.stop()


@pytest.fixture
def airflow(tmp_path, postgres):
    return Airflow(tmp_path, postgres)


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
def test_the_tasks_are_the_stages_and_their_options_are_ours(tmp_path, postgres, image):
    import shlex

    found = commands(Airflow(tmp_path, postgres, **({"WINNOW_IMAGE": image} if image else {})))
    assert list(found) == TASKS
    for stage, words in found.items():
        words = words if image else shlex.split(words)[2:]
        assert words[:2] == ["-m", f"pipelines.{stage}"]
        options = parse(words[2:], command=stage, about="", needs_input=stage == "ingest")
        assert options.output == str(tmp_path / "tokens") and options.batch_rows == 512
        assert bool(options.inputs) == (stage == "ingest")
    assert {m.run.__module__ for m in (clean, ingest, sieve, report)}  # the modules that the tasks name are there


def same_as_anew(airflow: Airflow, anew: Path) -> bool:
    """As one run over all that is there now."""
    clean.run([f"--input={airflow.crawl.pattern}", f"--output={anew}"])
    manifests = [(out / "manifest.json").read_bytes() for out in (airflow.out, anew)]
    return promised(airflow.out) == promised(anew) and manifests[0] == manifests[1]


def test_three_months_kills_and_two_ticks_at_once(airflow, tmp_path):
    """The first month's run is killed in each of its stages; the third is triggered together with a fourth tick."""
    with airflow.scheduler(DAG):
        airflow.crawl.arrives("2026-08")
        airflow.trigger("month-1")
        for stage, folder in STAGES.items():
            until((airflow.out / folder / "plan.jsonl").exists)
            kill(f"pipelines.{stage}", airflow.out)
        until(lambda: processes("pipelines.report", airflow.out))
        kill("pipelines.report", airflow.out)
        airflow.finish("month-1")
        assert airflow.tasks("month-1") == dict.fromkeys(TASKS, ("success", 2))
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
    assert airflow.tasks("month-3") == airflow.tasks("month-4") == ALL_DONE
    ((one_by_one,),) = airflow.ask(
        "select (select max(end_date) from task_instance where run_id = 'month-3')"
        " <= (select min(start_date) from task_instance where run_id = 'month-4')")
    assert one_by_one == "t", "two runs at once"
    now = everything(airflow.out)
    assert {name for name in now if now[name] != was.get(name)} <= {"report.html", "manifest.json"}
    log = airflow.log("month-4")
    assert all(f"{stage:9} already complete" in log for stage in STAGES), log
    assert same_as_anew(airflow, tmp_path / "anew")


def start_tick(airflow: Airflow) -> subprocess.Popen[bytes]:
    """Of deploy/cron, on the output that the DAG has."""
    return subprocess.Popen(
        [ROOT / "deploy/cron/winnow-tick", airflow.home / "tick.log", f"--input={airflow.crawl.pattern}",
         "--batch-rows=512", f"--output={airflow.out}"], env=airflow.environment)


def test_runs_that_overlap_leave_one_and_the_same_bytes(airflow, tmp_path):
    """What `max_active_runs` cannot keep apart: another DAG, or cron, at the output of this one. They are there
    at once: who has the output is stopped in its first stage until the other has ended. Or another run comes in
    between two stages, or between two tries of one."""
    skipped = dict.fromkeys(TASKS, ("skipped", 0)) | {"ingest": ("skipped", 1)}
    airflow.copy_dag("winnow_other")
    with airflow.scheduler(DAG, "winnow_other"):
        airflow.crawl.arrives("2026-08")
        airflow.trigger("first")
        until((airflow.out / "documents/plan.jsonl").exists)
        with stopped("pipelines.ingest", airflow.out):
            assert start_tick(airflow).wait(120) == exits.HELD
            airflow.trigger("other", dag="winnow_other")
            airflow.finish("other")
            assert airflow.tasks("other") == skipped
            assert airflow.tasks("first")["ingest"] == ("running", 1)
        airflow.finish("first")
        assert airflow.tasks("first") == ALL_DONE and same_as_anew(airflow, tmp_path / "anew-1")

        airflow.crawl.arrives("2026-09")
        tick = start_tick(airflow)
        until(lambda: not (airflow.out / "manifest.json").exists())
        with stopped("pipelines.clean", airflow.out):
            airflow.trigger("beside-the-tick")
            airflow.finish("beside-the-tick")
            assert airflow.tasks("beside-the-tick") == skipped
        assert tick.wait(300) == exits.DONE and same_as_anew(airflow, tmp_path / "anew-2")

        airflow.crawl.arrives("2026-10")
        airflow.trigger("between")
        until(lambda: not (airflow.out / "manifest.json").exists())
        with lock_of(airflow):  # between ingest and dedupe
            airflow.finish("between")
        assert airflow.tasks("between") == skipped | {"ingest": ("success", 1), "dedupe": ("skipped", 1)}
        airflow.trigger("killed")
        until(lambda: processes("pipelines.dedupe", airflow.out))
        kill("pipelines.dedupe", airflow.out)
        with lock_of(airflow):  # before Airflow tries again
            airflow.finish("killed")
        assert airflow.tasks("killed") == skipped | {"ingest": ("success", 1), "dedupe": ("skipped", 2)}
        airflow.trigger("last")
        airflow.finish("last")
        assert airflow.tasks("last") == ALL_DONE and same_as_anew(airflow, tmp_path / "anew-3")


@contextlib.contextmanager
def lock_of(airflow: Airflow):
    """The output's, once the process that has it ends."""
    with contextlib.ExitStack() as held:
        def taken() -> bool:
            with contextlib.suppress(HeldError):
                held.enter_context(locked(str(airflow.out)))
                return True
            return False

        until(taken)
        yield


def test_a_task_that_finds_the_output_held_is_skipped(airflow):
    airflow.crawl.arrives("2026-08")
    with locked(str(airflow.out)):
        said = airflow.run("tasks", "test", DAG, "ingest", "2026-08-01")
    assert "another run is writing here" in said and "Marking task as SKIPPED" in said


def test_the_readme_says_what_this_is(postgres):
    ((server,),) = postgres.ask("postgres", "show server_version")
    (airflow,) = re.findall(r"^apache-airflow==(\S+)$", (ROOT / "deploy/airflow/requirements.lock").read_text(), re.M)
    assert subprocess.check_output([AIRFLOW, "version"], text=True).split()[-1] == airflow
    readme = (ROOT / "deploy/README.md").read_text()
    assert f"Airflow {airflow}, scheduler and LocalExecutor on PostgreSQL {server}," in readme
