"""Rates from finished runs: their manifests say what became of each part, their metrics what it cost."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime

from pipelines.planning.finished import Finished, written
from pipelines.planning.rates import HEAPS, KindRates, Point, Rates, StageRates
from pipelines.planning.spread import ZERO, Spread, measured
from schemas.records import PartRecord
from schemas.stages import DEDUPE, ENCODE, FILTER, INGEST, STAGES, TOKENIZER
from transforms.beam.tokenizer import LEARNING

NOISE = 0.5
"""A run took more beside its parts than starting does if it was more by this share: starts differ by less."""
Pairs = list[tuple[float, float]]
"""(amount, units) of parts."""


def rates_of(runs: Sequence[Finished], *, base: Rates | None, command: str) -> Rates:
    """What the runs say together. Of what they cannot say, kinds that they did not read and the start of workers where
    each run had some work, `base` is taken."""
    kinds = dict(base.kinds) if base else {}
    real = [run for run in runs if not run.tiny]
    stages = {stage.name: _stage(runs, stage.name, base) for stage in STAGES}
    kinds |= {kind: _kind(real, kind, stages) for kind in sorted({k for run in real for k in run.kinds.values()})}
    learning = measured((run.cpu[TOKENIZER.name][LEARNING], _counts(run)) for run in real)
    return Rates(
        said=_said(command), kinds=kinds, learning=learning or (base.learning if base else ZERO),
        stages=stages,
    )


def _kind(runs: Sequence[Finished], kind: str, stages: Mapping[str, StageRates]) -> KindRates:
    """Rates of one kind, over all parts of it, beyond what an empty part takes."""
    def rate(of: Callable[[Finished, PartRecord], tuple[float, float]], stage: str) -> Spread:
        pairs = [of(run, part) for run in runs for part in run.manifests[stage].parts if run.kinds[part.part] == kind]
        return measured(pairs) or ZERO

    def cpu(run: Finished, part: PartRecord) -> float:
        return max(0.0, run.cpu[part.stage][part.part] - stages[part.stage].part_cpu)

    def out(part: PartRecord) -> float:
        return max(0.0, written(part) - stages[part.stage].part_out)

    texts = {p.part + run.out: p for run in runs for p in run.manifests[INGEST.name].parts}
    kept = {p.part + run.out: p for run in runs for p in run.manifests[FILTER.name].parts}
    i, d, f, t = (stage.name for stage in (INGEST, DEDUPE, FILTER, TOKENIZER))
    return KindRates(
        documents=rate(lambda _, p: (p.counts.went_out, p.input_bytes), i),
        text=rate(lambda _, p: (p.text_bytes, p.input_bytes), i),
        kept=rate(lambda _, p: (p.counts.went_out, p.counts.came_in), f),
        kept_text=rate(lambda run, p: (p.text_bytes, texts[p.part + run.out].text_bytes), f),
        duplicates=rate(lambda _, p: (sum(p.counts.dropped.values()), p.counts.came_in), d),
        ingest_cpu=rate(lambda run, p: (cpu(run, p), p.input_bytes), i),
        ingest_out=rate(lambda _, p: (out(p), p.input_bytes), i),
        dedupe_out=rate(lambda _, p: (out(p), p.counts.came_in), d),
        filter_cpu=rate(lambda run, p: (cpu(run, p), texts[p.part + run.out].text_bytes), f),
        filter_out=rate(lambda _, p: (out(p), p.text_bytes), f),
        count_cpu=rate(lambda run, p: (cpu(run, p), kept[p.part + run.out].text_bytes), t),
        count_out=rate(lambda run, p: (out(p), kept[p.part + run.out].text_bytes ** HEAPS), t),
        encode_cpu=measured(_encoded(runs, kind, cpu)) or ZERO,
        encode_out=measured(_encoded(runs, kind, lambda run, part: out(part))) or ZERO,
    )


def _encoded(runs: Sequence[Finished], kind: str, amount: Callable[[Finished, PartRecord], float]) -> Pairs:
    """Of shards: those of sources of which all parts are of this kind."""
    pairs = []
    for run in runs:
        kept = run.manifests[FILTER.name].parts
        for source in sorted({p.source for p in kept if run.kinds[p.part] == kind}):
            of = [p for p in kept if p.source == source]
            if all(run.kinds[p.part] == kind for p in of):
                shards = [p for p in run.manifests[ENCODE.name].parts if p.source == source]
                text = sum(p.text_bytes for p in of)
                pairs.append((sum(amount(run, p) for p in shards), float(text)))
    return pairs


def _kept_text(run: Finished) -> int:
    return sum(p.text_bytes for p in run.manifests[FILTER.name].parts)


def _counts(run: Finished) -> float:
    return sum(written(p) for p in run.manifests[TOKENIZER.name].parts)


def _units(run: Finished, stage: str) -> float:
    """What `StageRates.beside` counts."""
    if stage == TOKENIZER.name:
        return _counts(run)
    if stage == ENCODE.name:
        return float(_kept_text(run))
    return float(run.manifests[INGEST.name].counts.went_out)


def _memory_units(run: Finished, stage: str) -> float:
    """What `Point.units` counts."""
    if stage in (INGEST.name, FILTER.name):
        return float(max(p.input_bytes for p in run.manifests[INGEST.name].parts))
    return _units(run, stage)


def _stage(runs: Sequence[Finished], stage: str, base: Rates | None) -> StageRates:
    """The start is what the smallest run took beside its parts, if it had next to nothing to do; `beside` what the
    others took more than that."""
    before = base.stages[stage] if base else None
    start, tiny = {}, [r for r in runs if r.tiny]
    for several in (False, True):
        own = [r.beside(stage) / r.workers for r in tiny if r.several == several]
        if own:
            start[several] = min(own)
        elif before:
            start[several] = before.worker_cpu if several else before.launch_cpu
    real = [run for run in runs if not run.tiny]
    pairs: Pairs = [
        (max(0.0, run.beside(stage) - start.get(run.several, 0.0) * run.workers), _units(run, stage)) for run in real
    ]
    pairs = [(amount, units) for (amount, units), run in zip(pairs, real, strict=True)
             if amount > NOISE * start.get(run.several, 0.0) * run.workers]
    beside = measured(pairs) or (before.beside if before else ZERO)
    peaks = {several: _points([r for r in runs if r.several == several], stage) for several in (False, True)}
    return StageRates(
        part_cpu=min((c for r in tiny for c in r.cpu[stage].values()), default=before.part_cpu if before else 0.0),
        part_out=min(
            (written(p) for r in tiny for p in r.manifests[stage].parts), default=before.part_out if before else 0.0
        ),
        launch_cpu=start.get(False, 0.0), worker_cpu=start.get(True, 0.0), beside=beside,
        one=peaks[False] or (before.one if before else ()), many=peaks[True] or (before.many if before else ()),
    )


def _points(runs: Iterable[Finished], stage: str) -> tuple[Point, ...]:
    """Memory by units; what is larger is never said to need less."""
    points: list[Point] = []
    for run in sorted(runs, key=lambda r: _memory_units(r, stage)):
        launch = run.launches[stage]
        last = points[-1] if points else Point(units=0, worker=0, launcher=0)
        worker = launch.worker_peak_rss_bytes if run.several else launch.launcher_peak_rss_bytes
        points.append(Point(
            units=_memory_units(run, stage), worker=max(worker, last.worker),
            launcher=max(launch.launcher_peak_rss_bytes, last.launcher),
        ))
    return tuple(points)


def _said(command: str) -> dict[str, str]:
    """Where and when rates were measured."""
    here = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    try:
        asked = ["git", "rev-parse", "--short", "HEAD"]
        commit = subprocess.run(asked, cwd=here, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        commit = "unknown"
    return {"commit": commit, "machine": _machine(), "command": command, "date": datetime.now(UTC).date().isoformat()}


def _machine() -> str:
    try:
        with open("/proc/cpuinfo") as info:
            found = re.search(r"^model name\s*:\s*(.+)$", info.read(), re.MULTILINE)
    except OSError:
        found = None
    return f"{os.cpu_count()} cores of {found[1] if found else platform.processor() or platform.machine()}"

