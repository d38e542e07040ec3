"""The in-process runner, with its worker processes quiet and watched.

Beam's local runner waits for ever for a worker process that was killed. It does learn of the death: a thread of its own
fails with the exit code. That is where we end the run, naming the part that the worker was writing.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shlex
import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from typing import NoReturn

import grpc
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.transforms.environments import SubprocessSDKEnvironment

from pipelines import telling
from pipelines.exits import WORKER_LOST
from pipelines.options import Options
from schemas.stages import Stage
from transforms.beam import files
from transforms.beam.parts import PlannedPart

_DEATH = "Worker subprocess exited with return code"
"""What Beam 2.77's local_job_service raises in the thread that waits for a worker."""


def local_runner(options: Options) -> FnApiRunner:
    """Beam's in-process runner; with several workers, each a process whose chatter goes to OUT/workers.log."""
    logging.getLogger("apache_beam").setLevel(logging.CRITICAL)  # errors reach us as exceptions, and are told once
    if options.workers == 1:
        return FnApiRunner()
    log = os.path.join(options.output, "workers.log") if files.is_local(options.output) else os.devnull
    command = f"exec {shlex.quote(sys.executable)} -m apache_beam.runners.worker.sdk_worker_main 2>>{shlex.quote(log)}"
    return FnApiRunner(default_environment=SubprocessSDKEnvironment.from_command_string(command))


@contextlib.contextmanager
def scratch_folder(options: Options) -> Iterator[str | None]:
    """A folder for what crosses the local runner's shuffles, removed at the end; None where a cluster runs. One that a
    killed run left behind is removed first."""
    if not options.local:
        yield None
    elif not files.is_local(options.output):
        with tempfile.TemporaryDirectory(prefix="winnow-") as folder:
            yield folder
    else:
        folder = os.path.join(options.output, "scratch")
        shutil.rmtree(folder, ignore_errors=True)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def ending_with_its_workers(options: Options, stage: Stage, parts: Sequence[PlannedPart]) -> Iterator[None]:
    """While the block runs, the death of a worker process ends this process, with a message, within a second."""
    usual = threading.excepthook

    def told(failure: threading.ExceptHookArgs) -> None:
        if str(failure.exc_value).startswith(_DEATH):
            _give_up(options, stage, parts, int(str(failure.exc_value).removeprefix(_DEATH)))
        if not isinstance(failure.exc_value, grpc.RpcError):  # the torn connection to the worker: no news
            usual(failure)

    threading.excepthook = told
    try:
        yield
    finally:
        threading.excepthook = usual


def _give_up(options: Options, stage: Stage, parts: Sequence[PlannedPart], status: int) -> None:
    """Names what dead workers were writing, ends the others, and then this process: the runner would wait on."""
    half_written = files.half_written(options.output, worker_processes())
    writing = {os.path.basename(path).partition(".")[0] for path in half_written}
    names = ", ".join(f"{p.part} ({p.source}: {p.name})" for p in parts if p.part in writing) or "no part"
    how = f"was killed by {signal.Signals(-status).name}" if status < 0 else f"ended with exit status {status}"
    end_with_workers(
        f"{stage.name}: a worker process {how} while it wrote {names}. "
        f"If memory was short, use fewer --workers; its last words are in {options.output}/workers.log. "
        "Finished parts are kept: run the same command again.",
        status=WORKER_LOST,
    )


def end_with_workers(message: str, *, status: int) -> NoReturn:
    """Says why, and ends the worker processes and this one at once, whatever they are doing."""
    sys.stderr.write(f"\nwinnow: {message}\n")
    sys.stderr.flush()
    for process in worker_processes():
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
    with contextlib.suppress(Exception):
        telling.ended(status, message)
    os._exit(status)


def worker_processes() -> set[int]:
    """Process ids of this process's children (Linux; empty elsewhere), zombies left out."""
    children = set()
    for name in os.listdir("/proc") if os.path.isdir("/proc") else ():
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/stat") as stat:
                state, parent = stat.read().rpartition(")")[2].split()[:2]
        except OSError:
            continue
        if state != "Z" and int(parent) == os.getpid():
            children.add(int(name))
    return children
