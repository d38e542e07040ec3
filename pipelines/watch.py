"""Progress of a stage on a terminal, from its commit records: Beam's local runner shows counters only at the end."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from schemas.records import part_from_json
from schemas.stages import Stage
from transforms.beam import files
from transforms.beam.parts import PlannedPart, record_path

TICK_S = 1.0


@contextlib.contextmanager
def shown(out: str, stage: Stage, parts: Sequence[PlannedPart]) -> Iterator[None]:
    """Draws one line again and again while the block runs, if stderr is a terminal and `out` is local."""
    if not sys.stderr.isatty() or not files.is_local(out):
        yield
        return
    over = threading.Event()
    progress = Progress(stage=stage, out=out, parts={p.part: p for p in parts})
    thread = threading.Thread(target=_show, args=(progress, over), daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        progress.clear()


def _show(progress: Progress, over: threading.Event) -> None:
    progress.show()
    while not over.wait(TICK_S):
        progress.show()


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

    def _look(self, part: PlannedPart) -> None:
        text = files.read_text(record_path(self.out, part.stage, part.part))
        with contextlib.suppress(ValueError):
            if text and (record := part_from_json(text)).plan_key == part.plan_key:
                self.found[part.part] = record.counts.went_out
