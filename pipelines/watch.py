"""Progress of a stage on a terminal, from its commit records: Beam's local runner shows counters only at the end."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from pipelines.logs import log
from schemas.errors import RunError
from schemas.records import part_from_json
from schemas.stages import Stage
from transforms.beam import files
from transforms.beam.parts import PlannedPart, record_path

TICK_S = 1.0
LOG_S = 60.0


@contextlib.contextmanager
def shown(out: str, stage: Stage, parts: Sequence[PlannedPart]) -> Iterator[None]:
    """While the block runs, draws one line again and again if stderr is a terminal, else says it once a minute. On an
    object store that takes a request a part that is not done, so there too it is once a minute."""
    over = threading.Event()
    progress = Progress(stage=stage, out=out, parts={p.part: p for p in parts})
    drawn = sys.stderr.isatty() and files.is_local(out)
    thread = threading.Thread(target=_show if drawn else _log, args=(progress, over), daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        if drawn:
            progress.clear()


def _show(progress: Progress, over: threading.Event) -> None:
    progress.show()
    while not over.wait(TICK_S):
        progress.show()


def _log(progress: Progress, over: threading.Event) -> None:
    if files.is_local(progress.out):
        progress.begin()  # on a store nobody asks before there may be something to say
    while not over.wait(LOG_S):
        with contextlib.suppress(RunError):  # a store that fails is the run's affair
            progress.log()


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

    def begin(self) -> None:
        """Looks at what is done; the first look tells what an earlier run had done."""
        left = [planned for part, planned in self.parts.items() if part not in self.found]
        texts = files.asked(files.read_text, [record_path(self.out, p.stage, p.part) for p in left])
        for planned, text in zip(left, texts, strict=True):
            self._take(planned, text)
        if self.before is None:
            self.before = frozenset(self.found)

    def log(self) -> None:
        """The line for a log, with what it says as fields where logs are JSON."""
        self.begin()
        seconds = time.monotonic() - self.started
        log(self.line(seconds), {
            "stage": self.stage.name, "parts": len(self.parts), "parts_done": len(self.found),
            "seconds": round(seconds, 1), "documents": sum(self.found.values()),
            "bytes": sum(p.size for p in self.parts.values()),
            "bytes_done": sum(self.parts[name].size for name in self.found),
        })

    def show(self) -> None:
        self.begin()
        sys.stderr.write(f"\r\x1b[K{self.line(time.monotonic() - self.started)}")
        sys.stderr.flush()

    def line(self, seconds: float) -> str:
        """`ingest  3/8 parts  1,204 documents/s  5.1 MB/s  00:42 left`."""
        new = self.found.keys() - (self.before or frozenset())
        seconds = max(seconds, TICK_S / 1000)
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

    def _take(self, part: PlannedPart, text: str | None) -> None:
        with contextlib.suppress(ValueError):
            if text and (record := part_from_json(text)).plan_key == part.plan_key:
                self.found[part.part] = record.counts.went_out
