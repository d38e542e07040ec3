"""A worker pool: starts and stops the Python workers of the Flink TaskManager on the same machine.

    python -m transforms.beam.worker_pool --port 50000

Flink waits without end for a worker that its pool has promised. Beam's own pool promises as soon as a process exists,
so a worker that is killed while it imports, or cannot import, stops the job for ever. This one promises when the worker
has reached its TaskManager, says in its answer why one could not, and starts those anew that die unasked.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import grpc
from apache_beam.portability.api import beam_fn_api_pb2, beam_fn_api_pb2_grpc
from apache_beam.runners.worker.sdk_worker import SdkHarness

from transforms.beam.lost_workers import hang_up

ATTEMPTS = 3
"""Times that one worker is started. Memory may be short for a moment; what fails thrice fails."""
GRACE_S = 10
"""After SIGTERM, as Beam's pool; a worker that is stopped has no part to finish."""
START = "import sys; from transforms.beam.worker_pool import work; work(sys.argv[1], sys.argv[2], int(sys.argv[3]))"


def work(control: str, worker: str, up: int) -> None:
    """The worker itself: tells its pool through the descriptor `up` that it has reached `control`, then works."""
    harness = SdkHarness(control, worker_id=worker, state_cache_size=0, data_buffer_time_limit_ms=-1)
    os.write(up, b"1")
    os.close(up)
    harness.run()


@dataclass(kw_only=True, eq=False)
class Worker:
    """One that a TaskManager has asked for. `process` is the newest that was started for it."""

    name: str
    control: str
    attempts: int = 0
    stopped: bool = False
    process: subprocess.Popen[bytes] | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)
    """Held to start and to stop, so that none is started that has been stopped."""

    def start(self) -> str:
        """Starts until a process is up. Why none is, or nothing."""
        while True:
            up, said = os.pipe()
            with self.lock:
                if self.stopped:
                    os.close(up)
                    os.close(said)
                    return f"worker {self.name} was stopped while it started"
                self.attempts += 1
                command = [sys.executable, "-c", START, self.control, self.name, str(said)]
                self.process = process = subprocess.Popen(command, pass_fds=[said], stdin=subprocess.DEVNULL)
            os.close(said)
            reached = os.read(up, 1)
            os.close(up)
            if reached:
                return ""
            why = ended(process.wait())
            tell(f"worker {self.name} {why} before it reached {self.control}")
            if self.attempts >= ATTEMPTS:
                return (
                    f"the Python worker {why} before it reached its TaskManager, {ATTEMPTS} times; its last words are "
                    f"in the output of the worker pool on {socket.gethostname()}"
                )

    def watch(self) -> None:
        """When it ends unasked while its TaskManager is there: tells that, or starts it anew if it was given nothing to
        do, as the TaskManager may not have seen it yet, and would wait."""
        while self.process:
            status = self.process.wait()
            if self.stopped or not status or self.attempts >= ATTEMPTS or not listens(self.control):
                return
            told = hang_up(self.control, self.name)
            tell(f"worker {self.name} {ended(status)}; its TaskManager had {'some' if told else 'no'} work for it")
            if told or self.start():
                return

    def stop(self) -> None:
        with self.lock:
            self.stopped = True
        if self.process:
            self.process.terminate()
            try:
                self.process.wait(GRACE_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


class Pool(beam_fn_api_pb2_grpc.BeamFnExternalWorkerPoolServicer):
    """What TaskManagers call; several may, if they number their workers apart."""

    def __init__(self) -> None:
        self._workers: dict[str, Worker] = {}

    def StartWorker(self, request: Any, context: Any) -> Any:  # noqa: N802 the service's name for it
        name = request.worker_id
        self._stop(name)
        worker = self._workers[name] = Worker(name=name, control=request.control_endpoint.url)
        why_not = worker.start()
        if not why_not:
            threading.Thread(target=worker.watch, daemon=True).start()
        return beam_fn_api_pb2.StartWorkerResponse(error=why_not)

    def StopWorker(self, request: Any, context: Any) -> Any:  # noqa: N802
        self._stop(request.worker_id)
        return beam_fn_api_pb2.StopWorkerResponse()

    def stop(self) -> None:
        for name in list(self._workers):
            self._stop(name)

    def _stop(self, name: str) -> None:
        worker = self._workers.pop(name, None)
        if worker:
            worker.stop()


def listens(address: str) -> bool:
    """Whether something takes connections at `host:port`."""
    host, _, port = address.rpartition(":")
    with contextlib.suppress(OSError), socket.create_connection((host.strip("[]"), int(port)), timeout=GRACE_S):
        return True
    return False


def ended(status: int) -> str:
    return f"was killed by {signal.Signals(-status).name}" if status < 0 else f"ended with exit status {status}"


def tell(line: str) -> None:
    print(f"worker pool: {line}", file=sys.stderr, flush=True)


def serve(host: str, port: int) -> None:
    """Until SIGTERM or SIGINT. They are not blocked: workers would inherit that, and could only be killed."""
    over = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: over.set())
    pool = Pool()
    server = grpc.server(ThreadPoolExecutor(64))
    beam_fn_api_pb2_grpc.add_BeamFnExternalWorkerPoolServicer_to_server(pool, server)
    try:
        bound = server.add_insecure_port(f"{host}:{port}")
    except RuntimeError:
        bound = 0
    if not bound:
        sys.exit(f"winnow: the worker pool cannot listen at {host}:{port}. Give a free --port of this machine.")
    server.start()
    print(f"listening at {host}:{bound}", flush=True)
    over.wait()
    server.stop(None)
    pool.stop()


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m transforms.beam.worker_pool", description="Starts the Python workers of a Flink TaskManager."
    )
    parser.add_argument("--port", type=int, required=True, help="the port that --environment_config names")
    parser.add_argument(
        "--host", default="localhost",
        help="address to listen at (default localhost, for a TaskManager on the same machine)",
    )
    given = parser.parse_args(argv)
    serve(given.host, given.port)


if __name__ == "__main__":
    main()
