"""Flink is promised a worker when it is there, is told when none can be, and no worker outlives its pool."""

from __future__ import annotations

import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest
from apache_beam.portability.api import beam_fn_api_pb2, beam_fn_api_pb2_grpc

from tests.pipelines.test_failures import children
from transforms.beam import worker_pool
from transforms.beam.worker_pool import ATTEMPTS, Pool, Worker, listens

ROOT = Path(__file__).parents[2]
UP = "import os, sys, time; os.write(int(sys.argv[3]), b'1'); time.sleep(600)"
"""A worker that is up at once and waits."""


class Control(beam_fn_api_pb2_grpc.BeamFnControlServicer):
    """The side of a TaskManager that workers connect to; keeps every stream open until the end."""

    def __init__(self):
        self.seen, self.over = queue.Queue(), threading.Event()

    def Control(self, requests, context):
        self.seen.put(dict(context.invocation_metadata())["worker_id"])
        self.over.wait(60)
        yield from ()


@pytest.fixture
def control():
    service, server = Control(), grpc.server(ThreadPoolExecutor(8))
    beam_fn_api_pb2_grpc.add_BeamFnControlServicer_to_server(service, server)
    port = server.add_insecure_port("localhost:0")
    server.start()
    service.address = f"localhost:{port}"
    yield service
    service.over.set()
    server.stop(None).wait()


@pytest.fixture
def pool():
    pool = Pool()
    yield pool
    pool.stop()


def asked(pool, control, name="1-1"):
    request = beam_fn_api_pb2.StartWorkerRequest(worker_id=name)
    request.control_endpoint.url = control
    return pool.StartWorker(request, None).error


def until(condition, seconds=120):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_worker_is_up_when_it_is_promised_and_one_that_is_killed_comes_again(pool, control):
    assert asked(pool, control.address) == ""
    assert control.seen.get(timeout=120) == "1-1"
    first = pool._workers["1-1"].process
    first.kill()
    assert control.seen.get(timeout=120) == "1-1", "its TaskManager may not have seen the first one"
    second = pool._workers["1-1"].process
    assert second.pid != first.pid
    pool.StopWorker(beam_fn_api_pb2.StopWorkerRequest(worker_id="1-1"), None)
    assert second.poll() == -signal.SIGTERM
    assert control.seen.empty(), "one that was stopped came again"


def test_one_that_dies_while_it_starts_is_started_anew(pool, control, tmp_path, monkeypatch):
    died = tmp_path / "died"
    monkeypatch.setattr(worker_pool, "START", f"""
import os, sys
with open({str(died)!r}, "a") as log:
    log.write("x")
if os.path.getsize({str(died)!r}) < {ATTEMPTS}:
    os.kill(os.getpid(), 9)
{UP}""")
    assert asked(pool, control.address) == ""
    assert died.read_text() == "x" * ATTEMPTS


def test_one_that_cannot_start_is_an_answer(pool, control, monkeypatch, capfd):
    monkeypatch.setattr(worker_pool, "START", "import sys; sys.exit(7)")
    said = asked(pool, control.address)
    assert said.startswith(f"the Python worker ended with exit status 7 before it reached its TaskManager, {ATTEMPTS} ")
    assert "\n" not in said
    assert capfd.readouterr().err.count("worker pool: worker 1-1 ended with exit status 7 before") == ATTEMPTS
    monkeypatch.setattr(worker_pool, "START", "import os; os.kill(os.getpid(), 9)")
    assert "was killed by SIGKILL before" in asked(pool, control.address)


def watched(control):
    """A worker that is up, and the thread that watches it."""
    worker = Worker(name="1-1", control=control)
    assert worker.start() == ""
    thread = threading.Thread(target=worker.watch)
    thread.start()
    return worker, thread


def test_none_is_started_anew_without_end(control, tmp_path, monkeypatch):
    ups = tmp_path / "ups"
    monkeypatch.setattr(worker_pool, "START", f"""
import os, sys, time
os.write(int(sys.argv[3]), b'1')
with open({str(ups)!r}, "a") as log:
    log.write("x")
time.sleep(600)""")
    worker, thread = watched(control.address)
    for attempt in range(1, ATTEMPTS + 1):
        until(lambda attempt=attempt: ups.exists() and ups.stat().st_size == attempt)
        worker.process.kill()
    last = worker.process
    thread.join(120)
    assert worker.process is last, "there was one more"
    worker.stop()
    assert not thread.is_alive()


def test_none_is_started_anew_for_a_task_manager_that_is_gone(monkeypatch):
    monkeypatch.setattr(worker_pool, "START", UP)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        assert listens(address)
        worker, thread = watched(address)
    assert not listens(address)
    worker.process.kill()
    thread.join(120)
    attempts = worker.attempts
    worker.stop()
    assert (attempts, thread.is_alive()) == (1, False)


def test_one_that_is_stopped_while_it_starts_is_not_started_again(monkeypatch):
    monkeypatch.setattr(worker_pool, "START", "import time; time.sleep(600)")
    worker = Worker(name="1-1", control="localhost:1")
    said = []
    thread = threading.Thread(target=lambda: said.append(worker.start()))
    thread.start()
    until(lambda: worker.process is not None)
    worker.stop()
    thread.join(120)
    assert said == ["worker 1-1 was stopped while it started"]
    assert (worker.attempts, worker.process.poll()) == (1, -signal.SIGTERM)


def test_the_same_name_again_ends_the_one_before(pool, control, monkeypatch):
    monkeypatch.setattr(worker_pool, "START", UP)
    assert asked(pool, control.address) == ""
    before = pool._workers["1-1"].process
    assert asked(pool, control.address) == ""
    assert before.poll() == -signal.SIGTERM
    assert pool._workers["1-1"].process.poll() is None


def command(*arguments):
    return subprocess.Popen(
        [sys.executable, "-m", "transforms.beam.worker_pool", *arguments], cwd=ROOT, text=True, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


def test_the_command_ends_with_its_workers(control):
    process = command("--port=0")
    with grpc.insecure_channel(process.stdout.readline().split()[-1]) as channel:
        request = beam_fn_api_pb2.StartWorkerRequest(worker_id="7-1")
        request.control_endpoint.url = control.address
        stub = beam_fn_api_pb2_grpc.BeamFnExternalWorkerPoolStub(channel)
        assert stub.StartWorker(request).error == ""
    [worker] = children(process.pid)
    process.terminate()
    process.communicate(timeout=120)
    assert process.returncode == 0
    assert not Path(f"/proc/{worker}").exists()


def test_a_port_that_is_taken_is_one_line():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        process = command("--host=127.0.0.1", f"--port={port}")
        _, said = process.communicate(timeout=120)
    assert process.returncode == 1
    assert said.splitlines()[-1].startswith(f"winnow: the worker pool cannot listen at 127.0.0.1:{port}. ")
