"""What goes on while a stage runs: progress from commit records, and workers that die.

Beam's local runner shows counters only at the end, and waits for ever for a worker process that was killed. So a thread
beside it counts the commit records of the stage's parts, and watches the worker processes.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from pipelines.options import Options
from schemas.records import part_from_json
from schemas.stages import Stage
from transforms.beam import files
from transforms.beam.parts import PlannedPart, record_path

TICK_S = 0.5
PROGRESS_S = 1.0


@contextlib.contextmanager
def watched(options: Options, stage: Stage, parts: Sequence[PlannedPart]) -> Iterator[None]:
    """Shows progress on a terminal while the block runs, and ends the process if a worker of it dies."""
    if not files.is_local(options.output):
        yield
        return
    over = threading.Event()
    progress = None
    if sys.stderr.isatty():
        progress = Progress(stage=stage, out=options.output, parts={p.part: p for p in parts})
    watcher = threading.Thread(target=_watch, args=(options, stage, progress, over), daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()
        if progress:
            progress.clear()


def _watch(options: Options, stage: Stage, progress: Progress | None, over: threading.Event) -> None:
    workers: set[int] = set()
    shown = 0.0
    while not over.wait(TICK_S):
        if options.local and options.workers > 1:
            alive = worker_processes()
            lost = workers - alive
            if lost and not over.wait(TICK_S):  # workers also end with their stage: give it time to say so
                _give_up(options, stage, lost, alive)
            workers |= alive
        if progress and time.monotonic() - shown >= PROGRESS_S:
            progress.show()
            shown = time.monotonic()


def _give_up(options: Options, stage: Stage, lost: set[int], alive: set[int]) -> None:
    """Names what the lost workers were writing, then ends the others and this process: the runner would wait on."""
    writing = [f for pid in sorted(lost) for f in files.parts_written_by(options.output, pid)]
    names = ", ".join(sorted({os.path.relpath(f, options.output) for f in writing})) or "no part at that moment"
    sys.stderr.write(
        f"\nwinnow: {stage.name}: worker process {', '.join(map(str, sorted(lost)))} was killed while it wrote {names}. "
        "If it was short of memory, use fewer --workers. Finished parts are kept: run the same command again.\n"
    )
    sys.stderr.flush()
    for pid in alive:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    os._exit(3)


def worker_processes() -> set[int]:
    """Process ids of Beam's worker processes below this one (Linux; empty elsewhere)."""
    parents: dict[int, int] = {}
    workers: set[int] = set()
    for name in os.listdir("/proc") if os.path.isdir("/proc") else ():
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/stat") as stat, open(f"/proc/{name}/cmdline", "rb") as command:
                state, parent = stat.read().rpartition(")")[2].split()[:2]
                line = command.read()
        except OSError:
            continue
        if state != "Z":
            parents[int(name)] = int(parent)
            if b"sdk_worker_main" in line and not line.startswith(b"/bin/sh"):
                workers.add(int(name))
    return {pid for pid in workers if os.getpid() in _ancestors(pid, parents)}


def _ancestors(pid: int, parents: dict[int, int]) -> Iterator[int]:
    while pid in parents:
        pid = parents[pid]
        yield pid


@dataclass(kw_only=True)
class Progress:
    """One line that is drawn again: parts, documents/s, bytes/s, time left, all from commit records."""

    stage: Stage
    out: str
    parts: dict[str, PlannedPart]
    started: float = field(default_factory=time.monotonic)
    found: dict[str, int] = field(default_factory=dict)
    """Documents out of each part that is done."""
    before: frozenset[str] | None = None
    """Parts that an earlier run had done: they say nothing about speed."""

    def show(self) -> None:
        for part, planned in self.parts.items():
            if part not in self.found:
                self._look(planned)
        if self.before is None:
            self.before = frozenset(self.found)
        sys.stderr.write(f"\r\x1b[K{self.line(time.monotonic() - self.started)}")
        sys.stderr.flush()

    def line(self, seconds: float) -> str:
        """`ingest  3/8 parts  1,204 documents/s  5.1 MB/s  00:42 left`."""
        new = self.found.keys() - (self.before or frozenset())
        documents = sum(self.found[p] for p in new) / seconds
        rate = sum(self.parts[p].size for p in new) / seconds
        left = sum(p.size for name, p in self.parts.items() if name not in self.found)
        eta = "--:--" if not rate else f"{int(left / rate) // 60:02d}:{int(left / rate) % 60:02d}"
        return (
            f"{self.stage.name:9} {len(self.found)}/{len(self.parts)} parts  {documents:,.0f} documents/s  "
            f"{rate / 1e6:.1f} MB/s  {eta} left"
        )

    def clear(self) -> None:
        sys.stderr.write("\r\x1b[K")
        sys.stderr.flush()

    def _look(self, part: PlannedPart) -> None:
        text = files.read_text(record_path(self.out, part.stage, part.part))
        with contextlib.suppress(ValueError):
            if text and (record := part_from_json(text)).plan_key == part.plan_key:
                self.found[part.part] = record.counts.went_out
