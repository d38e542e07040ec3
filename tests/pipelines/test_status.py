"""How far a run is, told from outside: running, done, failed, stopped, and that looking disturbs nothing."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pipelines.lease import this_process
from pipelines.logs import JsonLines, formatted, log
from pipelines.state.holder import holder
from pipelines.state.lines import line, table
from pipelines.state.look import Looker
from pipelines.state.prometheus import exposition
from pipelines.watch import Progress
from pipelines.whole import locked
from schemas.errors import RunError
from schemas.records import Counts, PartRecord, to_json
from schemas.stages import FILTER, INGEST
from tests.pipelines.status_command import code, told
from transforms.beam import files, metrics
from transforms.beam.parts import PlannedPart, record_path, write_plan

ROOT = Path(__file__).parents[2]
HOLD = """
import sys, time
from pipelines.whole import locked
with locked(sys.argv[1]):
    print("held", flush=True)
    time.sleep(600)
"""


def test_a_finished_run(finished, capsys):
    assert code(str(finished)) == 0
    told = capsys.readouterr().out
    first, _, head, *rows = told.splitlines()
    assert first.startswith(f"{finished}: done, process {os.getpid()} on ")
    assert head.split()[:3] == ["stage", "state", "parts"]
    assert [row.split()[:4] for row in rows[:5]] == [
        ["ingest", "done", "7/7", "90"], ["dedupe", "done", "7/7", "81"], ["filter", "done", "7/7", "42"],
        ["tokenizer", "done", "7/7", "42"], ["encode", "done", "3/3", "42"],
    ]
    assert rows[0].split()[-2:] == ["14", "7"], "dropped and dead letters"


def test_the_same_as_json(finished, capsys):
    assert code(str(finished), "--json") == 0
    state = json.loads(capsys.readouterr().out)
    assert (state["run"], state["dead_letters"]) == ("done", 7)
    assert state["stages"][2]["counts"]["went_out"] == 42
    page = (finished / "report.html").read_text()
    assert all(alarm.split(":")[0] in page for alarm in state["alarms"])


def test_nothing_there(tmp_path):
    assert told(str(tmp_path / "none")) == f"winnow: {tmp_path}/none: no run has begun here. Give the --output of one."
    assert told("s4://x/y").startswith("winnow: OUT s4://x/y: files at s4:// cannot be used here")
    assert not (tmp_path / "none").exists()


def test_a_run_that_holds_its_lock_is_running_and_is_not_disturbed(tmp_path):
    out = str(tmp_path)
    with locked(out):
        assert code(out) == 10
        assert holder(out).owner.process == os.getpid()
        with pytest.raises(RunError, match="another run is writing here"):
            with locked(out):
                pass
        assert code(out) == 10, "the one that was refused has changed nothing"
    assert holder(out).state == "free"
    assert code(out) == 12, "it has ended well, and not all stages are done"


def test_a_look_never_keeps_a_run_from_starting(tmp_path):
    """Were the lock itself asked for, a run could be refused in that moment."""
    with locked(str(tmp_path)):
        pass
    over = threading.Event()

    def watch() -> None:
        while not over.is_set():
            holder(str(tmp_path))

    thread = threading.Thread(target=watch)
    thread.start()
    until = time.monotonic() + 1
    try:
        while time.monotonic() < until:
            with locked(str(tmp_path)):
                pass
    finally:
        over.set()
        thread.join()


def test_a_run_that_failed_says_why(tmp_path, capsys):
    with pytest.raises(RunError):
        with locked(str(tmp_path)):
            raise RunError("ingest: the disk is full.\nsecond line")
    assert code(str(tmp_path)) == 11
    assert capsys.readouterr().out.splitlines()[0].endswith(" ago: ingest: the disk is full.")
    assert holder(str(tmp_path)).owner.failed == "ingest: the disk is full."


def test_interrupted_is_stopped(tmp_path, capsys):
    with pytest.raises(KeyboardInterrupt):
        with locked(str(tmp_path)):
            raise KeyboardInterrupt
    assert code(str(tmp_path)) == 12
    assert capsys.readouterr().out.splitlines()[0].endswith(": interrupted")


def test_killed_is_stopped(tmp_path, capsys):
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"held\n"
    assert code(str(tmp_path)) == 10
    process.kill()
    process.communicate()
    assert code(str(tmp_path)) == 12
    assert "killed, or lost with its machine" in capsys.readouterr().out
    with locked(str(tmp_path)):
        assert code(str(tmp_path)) == 10


def test_a_lock_of_another_machine_is_believed(tmp_path):
    owner = dataclasses.replace(this_process(), host="elsewhere", process=1, machine="other/1")
    (tmp_path / ".lock").write_bytes(owner.to_bytes())
    state = Looker(out=str(tmp_path)).look()
    assert state.run == "running" and "as its lock says: another machine's process" in table(state)


def planned(name: str, size: int) -> PlannedPart:
    return PlannedPart(stage="ingest", part=name, plan_key="k", source="web", name=name, number=0, size=size)


def commit(out: Path, part: PlannedPart, documents: int, *, began_s: float, plan_key: str = "k") -> None:
    """A record, and metrics that say when the part began: seconds before now."""
    record = PartRecord(
        stage="ingest", part=part.part, plan_key=plan_key, source="web", name=part.name, input_bytes=part.size,
        counts=Counts(came_in=documents + 1, went_out=documents, dead_letters={"truncated": 1}),
    )
    files.write_bytes(record_path(str(out), "ingest", part.part), to_json(record).encode())
    started = datetime.fromtimestamp(time.time() - began_s, UTC).isoformat(timespec="microseconds")
    cost = {"stage": "ingest", "part": part.part, "plan_key": plan_key, "started": started, "wall_s": 1.0, "cpu_s": 1.0,
            "peak_rss_bytes": 1}
    metrics.save(metrics.path(str(out), "ingest", part.part), cost)


def test_rate_and_time_left_come_from_the_parts_of_this_launch(tmp_path):
    sizes = {"part-a": 5_000_000, "part-b": 10_000_000, "part-c": 20_000_000, "part-d": 1}
    parts = [planned(name, size) for name, size in sizes.items()]
    looker = Looker(out=str(tmp_path))
    with locked(str(tmp_path)):
        owner = json.loads((tmp_path / ".lock").read_text())
        owner["started"] = datetime.fromtimestamp(time.time() - 100, UTC).isoformat(timespec="seconds")
        (tmp_path / ".lock").write_text(json.dumps(owner))
        write_plan(str(tmp_path), INGEST, parts)
        commit(tmp_path, parts[0], 7, began_s=500)  # of an earlier launch
        commit(tmp_path, parts[3], 9, began_s=5, plan_key="of an older plan")
        state = looker.look()
        first = state.stages[0]
        assert (first.step, first.parts, first.done, first.counts.went_out) == ("running", 4, 1, 7)
        assert first.rate is None and first.left_s is None
        commit(tmp_path, parts[1], 4000, began_s=10)
        state = looker.look()
        first = state.stages[0]
        assert (first.done, first.bytes_done, first.bytes) == (2, 15_000_000, 35_000_001)
        # 10 MB in the 10 s since the first part of this launch began; 20 MB are left
        assert first.rate == pytest.approx(1e6, rel=0.1) and first.left_s == pytest.approx(20, rel=0.1)
        assert [s.step for s in state.stages[1:]] == ["waiting"] * 4
        assert line(state).startswith("running  ingest 2/4 parts  4,007 documents  ")
        assert line(state).endswith("  2 dead letters")


def test_each_record_is_read_once(tmp_path, monkeypatch):
    parts = [planned(f"part-{k}", 10) for k in range(5)]
    write_plan(str(tmp_path), INGEST, parts)
    for part in parts[:3]:
        commit(tmp_path, part, 1, began_s=1)
    (tmp_path / "run.json").write_text("{}")
    looker, asked = Looker(out=str(tmp_path)), []
    of = files.read_text
    monkeypatch.setattr(files, "read_text", lambda path: asked.append(path) or of(path))
    looker.look()
    assert sum("part-" in path for path in asked) == 5
    asked.clear()
    looker.look()
    assert sum("part-" in path for path in asked) == 2, "those that were not there"


def test_a_stage_that_is_done_again_is_not_done(finished, tmp_path):
    out = Path(shutil.copytree(finished, tmp_path / "run"))
    (out / "manifest.json").unlink()
    (out / "clean/manifest.json").unlink()
    state = Looker(out=str(out)).look()
    assert state.run == "stopped"
    assert [s.step for s in state.stages] == ["done", "done", "waiting", "waiting", "waiting"]
    assert (state.stages[2].stage, state.stages[2].done) == (FILTER.name, 7)


def test_prometheus_reads_it(finished, tmp_path):
    parser = pytest.importorskip("prometheus_client.parser")
    path = tmp_path / "winnow.prom"
    assert code(str(finished), f"--prometheus={path}") == 0
    found: dict = {}
    for family in parser.text_string_to_metric_families(path.read_text()):
        assert family.type == "gauge" and family.documentation
        for sample in family.samples:
            labels = {k: v for k, v in sample.labels.items() if k != "output"}
            assert sample.labels["output"] == str(finished)
            key = (sample.name, *sorted(labels.values()))
            assert key not in found
            found[key] = sample.value
    assert found["winnow_run_state", "done"] == 1 and found["winnow_run_state", "running"] == 0
    assert found["winnow_documents_out", "filter"] == 42 and found["winnow_parts_done", "encode"] == 3
    dead = {key[1:]: n for key, n in found.items() if key[0] == "winnow_dead_letters"}
    assert sum(dead.values()) == 7 and all("ingest" in key for key in dead)
    assert abs(found["winnow_looked_timestamp_seconds",] - time.time()) < 60


def test_names_that_need_escaping(tmp_path):
    parser = pytest.importorskip("prometheus_client.parser")
    out = tmp_path / 'a "b"\\nc\nd'
    with locked(str(out)):
        text = exposition(Looker(out=str(out)).look(), now=1.5)
    samples = [s for family in parser.text_string_to_metric_families(text) for s in family.samples]
    assert {s.labels["output"] for s in samples} == {str(out)}
    assert [s.value for s in samples if s.name == "winnow_looked_timestamp_seconds"] == [1.5]


# Logs


class Sink:
    def __init__(self) -> None:
        self.text = ""

    def write(self, text: str) -> int:
        self.text += text
        return len(text)

    def flush(self) -> None:
        """Nothing to do."""


def test_every_line_is_an_object(monkeypatch):
    sink = Sink()
    monkeypatch.setattr(sys, "stderr", sink)
    formatted("text")
    assert sys.stderr is sink
    formatted("json")
    formatted("json")
    assert isinstance(sys.stderr, JsonLines)
    print("one", "two\nthree", file=sys.stderr)
    sys.stderr.write("\n half")
    log("told", {"parts": 3})
    sys.stderr.write(" a line\n")
    found = [json.loads(text) for text in sink.text.splitlines()]
    assert [f["message"] for f in found] == ["one two", "three", "told", " half a line"]
    assert found[2]["parts"] == 3
    assert all(datetime.fromisoformat(f["time"]).tzinfo for f in found)


def test_the_last_words_are_json_too(tmp_path):
    said = subprocess.run(
        [sys.executable, "-m", "pipelines.clean", f"--input={tmp_path}/none", f"--output={tmp_path}/o",
         "--log-format=json"], cwd=ROOT, capture_output=True, text=True,
    )
    assert said.returncode == 1
    assert [json.loads(text)["message"][:16] for text in said.stderr.splitlines()] == ["winnow: --input "]


def test_a_log_line_of_progress(tmp_path, capsys):
    parts = {name: planned(name, 10_000_000) for name in ("part-a", "part-b")}
    progress = Progress(stage=INGEST, out=str(tmp_path), parts=parts)
    progress.begin()
    commit(tmp_path, parts["part-a"], 50, began_s=1)
    progress.started -= 10
    progress.log()
    assert capsys.readouterr().err == "ingest    1/2 parts  5 documents/s  1.0 MB/s  00:10 left\n"
