"""deploy/cron: three months, tick by tick, by the script itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines import clean, exits
from pipelines.options import parse
from tests.deploy.schedules import ROOT, STAGES, Crawl, everything, extracted, kill, promised, until

TICK = ROOT / "deploy/cron/winnow-tick"


class Cron:
    """What cron does: runs the script and mails what it says."""

    def __init__(self, folder: Path) -> None:
        self.crawl, self.out = Crawl(folder), folder / "tokens"
        self.log, self.status = folder / "log/clean.log", folder / "status.json"

    def start(self) -> subprocess.Popen[str]:
        command = [TICK, self.log, f"--input={self.crawl.pattern}", f"--output={self.out}",
                   f"--status-file={self.status}", "--gc"]
        environment = {"PATH": "/usr/bin:/bin", "HOME": os.environ["HOME"], "WINNOW_PYTHON": sys.executable,
                       **{k: v for k, v in os.environ.items() if k.startswith("NUMBA_")}}
        return subprocess.Popen(command, cwd="/", env=environment, text=True, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT)

    def tick(self) -> tuple[int, str]:
        """Exit status and mail."""
        process = self.start()
        mail, _ = process.communicate(timeout=300)
        return process.returncode, mail

    def anew(self) -> Path:
        """The same in one run over all that is there now."""
        out = self.out.with_name("anew")
        clean.run([f"--input={self.crawl.pattern}", f"--output={out}"])
        return out


@pytest.fixture
def cron(tmp_path):
    return Cron(tmp_path)


def test_three_months_and_a_fourth_tick_that_has_nothing_to_do(cron):
    before: dict[str, int] = {}
    for month, files in (("2026-08", 1), ("2026-09", 2), ("2026-10", 1)):
        cron.crawl.arrives(month)
        assert cron.tick() == (0, ""), cron.log.read_text()
        now = extracted(cron.out)
        assert len(now) == len(before) + files and before.items() <= now.items(), "an old file was read again"
        before = now
    assert promised(cron.out) == promised(cron.anew())
    was, logged = everything(cron.out), len(cron.log.read_text())
    assert cron.tick() == (0, "")
    assert everything(cron.out) == was
    said = cron.log.read_text()[logged:]
    assert "nothing to do" in said and " in, " in said and "gc        nothing to remove" in said
    assert json.loads(cron.status.read_text())["state"] == "nothing to do"


def test_two_ticks_that_overlap_leave_one_run(cron):
    for month in ("2026-08", "2026-09"):
        cron.crawl.arrives(month)
    first = cron.start()
    until((cron.out / "documents/plan.jsonl").exists)
    logged = len(cron.log.read_text())
    assert cron.tick() == (exits.HELD, ""), "no mail while all is well"
    assert first.poll() is None, "the first was over before the second came"
    said = [line for line in cron.log.read_text()[logged:].splitlines() if "winnow: " in line]
    assert len(said) == 1 and "another run is writing here" in said[0]
    assert json.loads(cron.status.read_text())["process"] != first.pid  # the script's: Python is its child
    assert json.loads(cron.status.read_text())["state"] == "running"
    assert first.communicate(timeout=300)[0] == "" and first.returncode == 0
    assert promised(cron.out) == promised(cron.anew())


def test_a_tick_that_fails_is_mailed(cron):
    status, mail = cron.tick()
    assert (status, mail) == (exits.FAILED, f"winnow-tick: exit status 1, see {cron.log}\n")
    assert "no file matches" in cron.log.read_text()


@pytest.mark.slow
def test_a_tick_that_is_killed_in_each_stage(cron):
    for month in ("2026-08", "2026-09"):
        cron.crawl.arrives(month)
    for folder in STAGES.values():
        tick = cron.start()
        until((cron.out / folder / "plan.jsonl").exists)
        kill("pipelines.clean", cron.out)
        assert tick.communicate(timeout=60)[0] == f"winnow-tick: exit status 137, see {cron.log}\n"
        assert not (cron.out / "report.html").exists()
    assert cron.tick() == (0, "")
    assert promised(cron.out) == promised(cron.anew())


def test_the_crontab_is_one_whose_options_are_ours():
    import shlex

    lines = [x for x in (ROOT / "deploy/cron/winnow.crontab").read_text().splitlines() if x and not x.startswith("#")]
    (line,) = lines
    *when, command = line.split(None, 5)
    assert len(when) == 5 and all(field == "*" or field.isdigit() for field in when)
    assert "%" not in command, "cron makes a new line of it"
    script, log, *argv = shlex.split(command)
    assert script == "/opt/winnow/deploy/cron/winnow-tick" and log.endswith(".log")
    options = parse(argv, command="clean", about="", needs_input=True)
    assert options.gc == "remove" and options.inputs
    assert os.access(TICK, os.X_OK)
    subprocess.run(["sh", "-n", TICK], check=True)
