"""What a stage cost this launcher and its worker processes: OUT/metrics/<stage>.json. See `transforms.beam.metrics`."""

from __future__ import annotations

import contextlib
import dataclasses
import resource
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from pipelines.local import worker_processes
from transforms.beam import files, metrics

TICK_S = 0.25


@dataclass(frozen=True, kw_only=True)
class StageMetrics:
    """One launch of a stage. `cpu_s` is the launcher's and that of its children, user and system; if the stage ran
    elsewhere (`here` is False) that is only what launching cost. Peaks are bytes, the largest single process:
    the launcher looked at four times a second, the workers by their own high-water marks."""

    stage: str
    plan_key: str
    started: str
    """UTC, ISO 8601."""
    here: bool
    wall_s: float
    cpu_s: float
    launcher_peak_rss_bytes: int
    worker_peak_rss_bytes: int


def stage_path(out: str, stage: str) -> str:
    return files.join(out, metrics.FOLDER, f"{stage}.json")


@contextlib.contextmanager
def metered(out: str, stage: str, *, plan_key: str, here: bool) -> Iterator[None]:
    """Writes down what the block used, if it ends well."""
    utc, wall, cpu = metrics.now(), time.monotonic(), _cpu_s()
    watch = _Memory()
    thread = threading.Thread(target=watch.run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        watch.over.set()
        thread.join()
    found = StageMetrics(
        stage=stage, plan_key=plan_key, started=utc, here=here, wall_s=round(time.monotonic() - wall, 6),
        cpu_s=round(_cpu_s() - cpu, 6), launcher_peak_rss_bytes=watch.launcher, worker_peak_rss_bytes=watch.workers,
    )
    metrics.save(stage_path(out, stage), dataclasses.asdict(found))


@dataclass(kw_only=True)
class _Memory:
    """Looks at the memory of this process and of its children until it is `over`. Zeros without /proc."""

    over: threading.Event = field(default_factory=threading.Event)
    launcher: int = 0
    workers: int = 0

    def run(self) -> None:
        self.look()
        while not self.over.wait(TICK_S):
            self.look()
        self.look()

    def look(self) -> None:
        # The launcher's high-water mark would be that of all stages before; a worker lives for one stage.
        self.launcher = max(self.launcher, metrics.memory("self", "VmRSS"))
        self.workers = max([self.workers, *(metrics.memory(str(pid), "VmHWM") for pid in worker_processes())])


def _cpu_s() -> float:
    """Of this process and of its children that have ended: the workers end with their stage."""
    both = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(used.ru_utime + used.ru_stime for used in both)
