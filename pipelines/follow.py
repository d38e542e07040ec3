"""Follows a job of Dataflow to its end: draws its progress, and asks before an interrupt cancels it."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from pipelines.dataflow import Job, Service
from pipelines.readable import our_words
from schemas.errors import RunError
from schemas.stages import Stage

TICK_S = 5.0
"""Between two questions to the service, which counts them against a quota of the project."""


def follow(service: Service, job: Job, stage: Stage, *, parts: int, ask: Callable[[str], str] | None = None,
           tick_s: float | None = None) -> None:
    """Returns when the job is done. Raises RunError, saying what to do next, when it failed, was cancelled or was left
    to itself. `ask` is how a person is asked, None where none is there to answer."""
    view = _View(stage=stage, parts=parts)
    tick_s = TICK_S if tick_s is None else tick_s
    while True:
        try:
            job = service.look(job)
            view.show(job, service)
            if not job.runs:
                break
            time.sleep(tick_s)
        except KeyboardInterrupt:
            view.clear()
            _interrupted(service, job, stage, ask)
    view.clear()
    if job.state == "DONE":
        return
    if job.state == "CANCELLED":
        raise RunError(
            f"{stage.name}: the job {job.name} was cancelled. Finished parts are kept: run the same command to go on."
        )
    said = service.errors(job)
    raise RunError(_failure(stage, job, said))


def _failure(stage: Stage, job: Job, said: list[str]) -> str:
    """What our own code said, if it did; else the last words of the service."""
    if ours := [words for text in said for words in our_words(text)]:
        return ours[-1]
    last = said[-1].strip().split("\n")[-1] if said else "the service gave no reason"
    return (
        f"{stage.name}: the job {job.name} ({job.id}) ended as {job.state}: {last}. Look at its page in the console; "
        "finished parts are kept, so run the same command again."
    )


def _interrupted(service: Service, job: Job, stage: Stage, ask: Callable[[str], str] | None) -> None:
    """Raises RunError unless the person chose to go on watching."""
    left = RunError(
        f"{stage.name}: the job {job.name} ({job.id}) runs on. Run the same command to see its progress again."
    )
    if ask is None:
        raise left
    try:
        answer = ask(f"\nCancel the job {job.name}? [y = cancel, n = go on watching, Ctrl-C = leave it running] ")
    except (KeyboardInterrupt, EOFError):
        raise left from None
    if answer.strip().lower() in ("y", "yes"):
        service.cancel(job)
        raise RunError(f"{stage.name}: the job {job.name} is being cancelled. Finished parts are kept.")


def person() -> Callable[[str], str] | None:
    """Asks at the terminal, if there is one."""
    return _at_terminal if sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty() else None


def _at_terminal(question: str) -> str:
    sys.stderr.write(question)
    sys.stderr.flush()
    line = sys.stdin.readline()
    if not line:
        raise EOFError
    return line


@dataclass(kw_only=True)
class _View:
    """One line, drawn again and again on a terminal; elsewhere a line for each new state."""

    stage: Stage
    parts: int
    started: float = field(default_factory=time.monotonic)
    state: str = ""

    def show(self, job: Job, service: Service) -> None:
        if sys.stderr.isatty():
            counters: dict[str, int] = {}
            with contextlib.suppress(Exception):  # no counters yet, or none today: they are not the work
                counters = service.counters(job)
            sys.stderr.write(f"\r\x1b[K{line(self.stage, job, counters, self.parts, time.monotonic() - self.started)}")
        elif job.state != self.state:
            sys.stderr.write(f"{self.stage.name:9} {job.name} ({job.id}) {job.state}\n")
        self.state = job.state
        sys.stderr.flush()

    def clear(self) -> None:
        if sys.stderr.isatty():
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()


def line(stage: Stage, job: Job, counters: dict[str, int], parts: int, seconds: float) -> str:
    """`ingest    RUNNING  3/8 parts  1,204 documents  01:05`; parts that were attempted twice count once too much."""
    done = min(counters.get("parts", 0), parts)
    return (
        f"{stage.name:9} {job.state}  {done}/{parts} parts  {counters.get('documents', 0):,} documents  "
        f"{int(seconds) // 60:02d}:{int(seconds) % 60:02d}"
    )
