"""Who is told of a run: exit status, status file and webhook."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from pipelines import clean, exits, report
from pipelines.run import main
from pipelines.webhook import check_webhook, post
from pipelines.whole import locked
from schemas.errors import OptionError

ROOT = Path(__file__).parents[2]


class Listener:
    """Keeps what is posted, and answers with `answers` in turn, then with 204."""

    def __init__(self, *answers: int) -> None:
        self.heard: list[dict] = []
        self.answers = list(answers)
        listener = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                listener.heard.append(json.loads(body) | {"path": self.path})
                self.send_response(listener.answers.pop(0) if listener.answers else 204)
                self.send_header("Location", f"http://127.0.0.1:{listener.server.server_port}/elsewhere")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Says nothing."""

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook?token=s3cret"
        Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()


@pytest.fixture
def listener():
    listener = Listener()
    yield listener
    listener.server.shutdown()
    listener.server.server_close()


def status_of(argv: list[str], run=clean.run) -> int:
    try:
        main(run, argv)
    except SystemExit as ended:
        return ended.code
    return 0


def test_a_finished_run_has_nothing_to_do_and_says_so(job, finished, tmp_path, listener, capsys):
    out, file = tmp_path / "run", tmp_path / "status.json"
    shutil.copytree(finished, out)
    before = {p: p.stat().st_mtime_ns for p in out.rglob("*") if p.is_file() and p.name != ".lock"}
    telling = [f"--status-file={file}", f"--webhook={listener.url}"]
    assert status_of(job.arguments(out, *telling)) == 0
    said = capsys.readouterr().err
    assert "clean     nothing to do" in said and "s3cret" not in said
    assert {p: p.stat().st_mtime_ns for p in out.rglob("*") if p.is_file() and p.name != ".lock"} == before
    (heard,) = listener.heard
    assert heard.pop("path") == "/hook?token=s3cret"
    assert heard == json.loads(file.read_text())
    assert (heard["state"], heard["exit_code"], heard["command"]) == ("nothing to do", 0, "clean")
    for stage, folder in (("ingest", "documents"), ("encode", "shards")):
        manifest = json.loads((out / folder / ("stage.json" if stage == "encode" else "manifest.json")).read_text())
        assert heard["stages"][stage]["counts"] == manifest["counts"]
        assert heard["stages"][stage]["kept"]
    assert heard["stage"] == "encode" and heard["plan_id"] == manifest["plan_key"]


def test_work_is_done_where_anything_lacks(job, finished, tmp_path, capsys):
    out = Path(shutil.copytree(finished, tmp_path / "run"))
    (out / "report.html").unlink()
    job.run(out)
    assert "nothing to do" not in capsys.readouterr().err and (out / "report.html").exists()
    (out / "manifest.json").unlink()
    job.run(out)
    assert "nothing to do" not in capsys.readouterr().err and (out / "manifest.json").exists()


def test_a_run_that_fails(job, tmp_path, listener):
    file = tmp_path / "status.json"
    argv = ["--input=/nowhere/*.gz", f"--output={tmp_path}/run", f"--status-file={file}", f"--webhook={listener.url}"]
    assert status_of(argv) == exits.FAILED
    told = json.loads(file.read_text())
    assert (told["state"], told["exit_code"]) == ("failed", 1)
    assert told["message"].startswith("--input /nowhere/*.gz: no file matches.")
    assert told["text"].startswith(f"winnow clean {tmp_path}/run: --input /nowhere/*.gz")
    assert [h["exit_code"] for h in listener.heard] == [1]


@pytest.mark.parametrize("argv", [["--recpe=x"], ["--workers=0"], ["--workers=two"], ["--keep=shard"], ["--gc=all"]])
def test_a_wrong_command_line(argv, job, tmp_path):
    file = tmp_path / "status.json"
    assert status_of(job.arguments(tmp_path / "run", *argv, f"--status-file={file}")) == exits.OPTIONS
    assert json.loads(file.read_text())["state"] == "refused"
    assert not (tmp_path / "run").exists()


def test_another_run_holds_the_output_and_its_status_file(job, tmp_path, listener):
    out, file = tmp_path / "run", tmp_path / "status.json"
    file.write_text("of the run that goes on")
    with locked(str(out)):
        assert status_of(job.arguments(out, f"--status-file={file}", f"--webhook={listener.url}")) == exits.HELD
        assert status_of([f"--output={out}"], report.run) == exits.FAILED, "there is no run.json"
        (out / "run.json").write_text('{"schema_version": 1, "recipe": {}, "sources": {}}')
    assert file.read_text() == "of the run that goes on"
    assert [h["state"] for h in listener.heard] == ["held"]


def test_a_status_file_that_cannot_be_written_is_told_before_anything_runs(job, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    out = tmp_path / "run"
    assert status_of(job.arguments(out, f"--status-file={tmp_path}/file/status.json")) == exits.OPTIONS
    assert "winnow: --status-file" in capsys.readouterr().err
    assert not (out / "documents").exists()


def test_sigterm_is_told(job, tmp_path, listener):
    out, file = tmp_path / "run", tmp_path / "status.json"
    process = job.start(out, f"--status-file={file}", "--workers=2", WINNOW_WEBHOOK=listener.url)
    deadline = time.monotonic() + 120
    while not (out / "documents/plan.jsonl").exists():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)
    running = json.loads(file.read_text())
    assert (running["state"], running["exit_code"], running["stage"]) == ("running", None, "ingest")
    assert running["process"] == process.pid
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=60)
    assert process.returncode == exits.TERMINATED, said
    assert json.loads(file.read_text())["state"] == "terminated" == listener.heard[0]["state"]


def test_a_lost_worker_is_told(tmp_path):
    program = (
        "from pipelines import telling, local\n"
        f"telling.prepare('clean', ['--status-file={tmp_path}/s.json'])\n"
        "local.end_with_workers('ingest: a worker process was killed', status=3)\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, check=False)
    assert ended.returncode == 3
    assert json.loads((tmp_path / "s.json").read_text())["state"] == "worker lost"


def test_a_webhook_is_asked_again_where_that_may_help(listener):
    waits: list[float] = []
    listener.answers = [503, 429]
    assert post(listener.url, b"{}", wait=waits.append) == "" and len(listener.heard) == 3 and waits == [0.5, 1.0]
    for answer, asked in ((500, 3), (404, 1), (302, 1)):  # a redirect is not followed
        listener.heard, listener.answers = [], [answer] * 3
        assert post(listener.url, b"{}", wait=waits.append) == f"it answered {answer}"
        assert [h["path"] for h in listener.heard] == ["/hook?token=s3cret"] * asked


def test_nobody_listens_and_the_run_does_not_care(job, finished, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("pipelines.webhook.FIRST_WAIT_S", 0)
    out = shutil.copytree(finished, tmp_path / "run")
    assert status_of(job.arguments(out, "--webhook=http://127.0.0.1:9/s3cret")) == 0
    said = capsys.readouterr().err
    assert "--webhook: was not told: ConnectionRefusedError" in said and "s3cret" not in said


@pytest.mark.parametrize("url", ["https://host/a?b=c", "http://127.0.0.1:80/x", "http://localhost/x", "http://[::1]:9/"])
def test_addresses_that_are_posted_to(url):
    assert check_webhook(url) == url


@pytest.mark.parametrize("url", [
    "http://host/s3cret", "http://127.0.0.1.evil.example/s3cret", "ftp://host/s3cret", "https:///s3cret", "s3cret",
    "https://user:s3cret@host/", "https://host:port/s3cret", "https://host/s3cret\r\nX: y", "https://host/s3cret é",
    "http://10.0.0.1/s3cret", "http://[::1/s3cret",
])  # fmt: skip
def test_addresses_that_are_refused_without_being_told(url, job, tmp_path, capsys, monkeypatch):
    with pytest.raises(OptionError, match=r"^--webhook: ") as raised:
        check_webhook(url)
    assert "s3cret" not in str(raised.value)
    monkeypatch.setitem(os.environ, "WINNOW_WEBHOOK", url)
    assert status_of(job.arguments(tmp_path / "run")) == exits.OPTIONS
    assert "s3cret" not in capsys.readouterr().err and not (tmp_path / "run").exists()


def test_the_help_has_every_exit_status(capsys):
    with pytest.raises(SystemExit):
        main(clean.run, ["--help"])
    told = capsys.readouterr().out
    assert all(f" {status}  {meaning}" in told for status, meaning in exits.MEANINGS.items())
    assert exits.MEANINGS.keys() == exits.STATES.keys()
