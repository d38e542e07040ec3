"""One process for native parsers: spawned, never forked, since a worker has threads; asked over pipes; bounded in what
it may use. It ends with its worker, however that ends."""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from schemas.errors import RunError
from schemas.recipes import Extract
from transforms.beam import extractor_child
from transforms.beam.extractor_child import DONE, OUT_OF_MEMORY, READY
from transforms.extraction import Answer, Question
from transforms.extraction_frames import LENGTH, pack_questions, unpack_answers

_HONEST_BYTES = 16 << 20
_CPU_SECONDS = 120
"""Of one page. The slowest pages tried, made to be slow, take 11 s at the bounds that each extractor keeps itself."""
_MEMORY_BYTES = 4 << 30
"""Of address space. 16 MiB of opening tags, the worst tried, take 1.9 GiB; real pages stay below 0.2."""
_STALL_S = 600.0
_CHUNK = 1 << 20
_FROM_OUTSIDE = (signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT)
"""No page sends these: an operator does, an engine, or a kernel without memory."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a child may use: CPU seconds for one page, bytes of address space in all."""

    cpu_seconds: int = _CPU_SECONDS
    memory_bytes: int = _MEMORY_BYTES


def limits_of(extract: Extract) -> Limits:
    """Limits far above what a page of the longest record that a recipe lets in needs."""
    times = max(1, -(-extract.max_record_bytes // _HONEST_BYTES))
    return Limits(cpu_seconds=_CPU_SECONDS * times, memory_bytes=_MEMORY_BYTES * times)


class ChildEndedError(Exception):
    """A child died before it had answered. `done` of the oldest questions asked it had dealt with; `reason` and
    `detail` are those of a dead letter; `outside` says that no page can have done it."""

    def __init__(self, *, done: int, reason: str, detail: str, outside: bool) -> None:
        super().__init__(detail)
        self.done, self.reason, self.detail, self.outside = done, reason, detail, outside


class Child:
    """One process. Raises RunError if it cannot be started."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._asked = 0
        self._read = bytearray()
        self._over = self._stalled = False
        held, self._lifeline = os.pipe()
        try:
            self._process = _spawn(limits, held)
        except (OSError, ValueError) as error:
            os.close(self._lifeline)
            raise RunError(f"the process for native parsers cannot be started: {error}. {REMEDY}") from error
        finally:
            os.close(held)
        assert self._process.stdin and self._process.stdout
        self._in, self._out = self._process.stdin.fileno(), self._process.stdout.fileno()
        os.set_blocking(self._in, False)
        for pipe in (self._in, self._out):
            with contextlib.suppress(OSError, AttributeError):  # fewer turns; only Linux can, and not for everybody
                fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _CHUNK)
        if (said := os.read(self._out, 1)) != READY:
            if said:
                self._process.kill()
            how = self._how()[1]
            self.end()
            raise RunError(f"the process for native parsers {how} before it was ready. {REMEDY}")

    def exchange(self, questions: Sequence[Question] = ()) -> list[Answer]:
        """Asks these, and waits for the answers to those asked the time before: none the first time. Raises
        ChildEndedError if it died before they were answered, and what the child raised beside a dead letter."""
        expected, self._asked = self._asked, len(questions)
        frame = memoryview(pack_questions(questions) if questions else b"")
        answers: list[Answer] | None = None if expected else []
        while True:
            answers = self._taken(expected) if answers is None else answers
            if answers is not None and (self._over or not frame):
                return answers  # if it is over, the next exchange finds that out
            if self._over:
                raise self._ended(expected)
            readable, writable = self._wait(frame)
            if writable:
                frame = self._write(frame)
            if readable:
                data = os.read(self._out, _CHUNK)
                self._read += data
                self._over = not data

    def end(self) -> None:
        """Ends the process at once, and waits for it."""
        os.close(self._lifeline)
        self._process.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):
                if pipe:
                    pipe.close()
        self._process.wait()

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def _taken(self, expected: int) -> list[Answer] | None:
        """The answers, once all are there."""
        head = expected + LENGTH.size
        if len(self._read) < head:
            return None
        [size] = LENGTH.unpack_from(self._read, expected)
        if len(self._read) < head + size:
            return None
        answers = unpack_answers(bytes(memoryview(self._read)[head : head + size]))
        del self._read[: head + size]
        return answers

    def _write(self, frame: memoryview) -> memoryview:
        try:
            return frame[os.write(self._in, frame[:_CHUNK]) :]
        except BlockingIOError:
            return frame
        except BrokenPipeError:
            return frame[:0]  # what it still said can be read

    def _wait(self, frame: memoryview) -> tuple[bool, bool]:
        """(whether to read, whether to write). A child that sleeps will sleep for ever, and is ended."""
        poll = select.poll()
        poll.register(self._out, select.POLLIN)
        if frame:
            poll.register(self._in, select.POLLOUT)
        while True:
            before = _cpu_ticks(self._process.pid)
            found = dict(poll.poll(_STALL_S * 1000))
            if found:
                return self._out in found, self._in in found
            if before is not None and before == _cpu_ticks(self._process.pid):
                self._stalled = True
                self._process.kill()

    def _ended(self, expected: int) -> ChildEndedError:
        done = min(expected, len(self._read) - len(self._read.lstrip(DONE)))
        reason, how, outside = self._how()
        return ChildEndedError(done=done, reason=reason, detail=f"the extractor's process {how}", outside=outside)

    def _how(self) -> tuple[str, str, bool]:
        status = self._process.wait()
        if self._stalled:
            return "extractor_exhausted", "stood still", False
        if status == -signal.SIGXCPU:
            return "extractor_exhausted", f"took more than {self.limits.cpu_seconds} CPU seconds", False
        if status == OUT_OF_MEMORY:
            return "extractor_exhausted", f"needed more than {self.limits.memory_bytes} bytes of memory", False
        if status < 0:
            return "extractor_crashed", f"was ended by {signal.Signals(-status).name}", -status in _FROM_OUTSIDE
        return "extractor_crashed", f"ended with exit status {status}", False


REMEDY = "Its last words are on the worker's standard error. Mend that and run the same command again."


def _spawn(limits: Limits, lifeline: int) -> subprocess.Popen[bytes]:
    program = [sys.executable, "-P", "-m", extractor_child.__name__]
    numbers = (limits.cpu_seconds, limits.memory_bytes, lifeline)
    # where this process found its modules, however it came by that
    path = os.pathsep.join([str(Path(__file__).resolve().parents[2]), *filter(None, sys.path)])
    return subprocess.Popen(
        [*program, *map(str, numbers)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, pass_fds=(lifeline,), bufsize=0,
        env={**os.environ, "PYTHONPATH": path},
    )


def _cpu_ticks(process: int) -> tuple[str, str] | None:
    """User and system time of a sleeping process; None of one that runs or waits for a disk, or without /proc."""
    with contextlib.suppress(OSError):
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        if fields[0] == "S":
            return fields[11], fields[12]
    return None
