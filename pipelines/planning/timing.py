"""What a stage's needs come to with so many workers: CPU with starts, memory, and time. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from pipelines.planning.rates import StageRates
from pipelines.planning.spread import ZERO, Spread, exactly
from schemas.stages import DEDUPE, TOKENIZER


@dataclass(frozen=True, kw_only=True)
class StageEstimate:
    """One stage. `documents` came in (of ingest: went out), `largest_cpu_s` is the largest part's or what one process
    alone does, `out_bytes` stay in the output, `shuffle_bytes` cross between workers. Memory is the largest worker's
    and the launcher's; `wall_s` is for `workers` of the plan, each with a core that is its own."""

    stage: str
    parts: int
    documents: Spread
    cpu_s: Spread
    largest_cpu_s: Spread
    out_bytes: Spread
    shuffle_bytes: Spread
    worker_bytes: Spread
    launcher_bytes: Spread
    wall_s: Spread

    def shared(self, share: float, *, parts: int) -> StageEstimate:
        """Of so many of its parts, which are this share of its bytes."""
        amounts = ("documents", "cpu_s", "out_bytes", "shuffle_bytes", "wall_s")
        return replace(self, parts=parts, **{name: getattr(self, name).times(share) for name in amounts})


@dataclass(frozen=True, kw_only=True)
class Need:
    """What a stage needs beside starting. `units` is what `StageRates.beside` counts, `memory` what `Point.units` does;
    `largest` is the CPU of the largest part, `alone` of what one process does while the others wait."""

    stage: str
    parts: int
    documents: Spread
    units: Spread
    memory: Spread
    out: Spread
    cpu: Spread = ZERO
    largest: Spread = ZERO
    alone: Spread = ZERO
    shuffle: Spread = ZERO


def timed(need: Need, rates: StageRates, *, workers: int) -> StageEstimate:
    """With starts and empty parts, as time and memory for so many workers. A launcher that is alone works itself."""
    alone = workers == 1
    start = exactly(rates.launch_cpu if alone else rates.worker_cpu * workers).widened(START)
    begun = exactly(rates.launch_cpu + (0 if alone else rates.worker_cpu)).widened(START)
    largest = need.largest + exactly(rates.part_cpu)
    shared = need.cpu + need.units * rates.beside + exactly(rates.part_cpu * need.parts)
    worker, launcher = _memory(rates, need.memory, workers, growth=GROWS.get(need.stage))
    return StageEstimate(
        stage=need.stage, parts=need.parts, documents=need.documents, cpu_s=shared + start,
        largest_cpu_s=largest + need.alone, out_bytes=need.out + exactly(rates.part_out * need.parts),
        shuffle_bytes=need.shuffle, worker_bytes=worker, launcher_bytes=launcher,
        wall_s=begun + need.alone + _wall(shared, need.alone, largest, workers),
    )


def _wall(cpu: Spread, alone: Spread, largest: Spread, n: int) -> Spread:
    """Seconds of `n` workers for all that is not done `alone`: as if it could be cut anywhere, or, at most, as if the
    largest part were the last to begin. Graham 1966: no order of the parts takes longer."""
    return Spread(
        low=max((cpu.low - alone.low) / n, largest.low),
        mid=max((cpu.mid - alone.mid) / n + largest.mid * (1 - 1 / n) / 2, largest.mid),
        high=(cpu.high - alone.high) / n + largest.high * (1 - 1 / n),
    )


START = 1.25
"""How far the CPU of starting is trusted: imports, on a machine that does other things too."""
MEMORY = 1.15
"""How far a peak of memory is trusted: two runs of the same differ by as much, as libraries take memory in pieces."""
GROWS = {
    DEDUPE.name: Spread(low=100, mid=200, high=600), TOKENIZER.name: Spread(low=25, mid=60, high=75),
}
"""Stages whose memory follows the whole input, and bytes of it for each of `Need.memory`: documents from 147,040 to a
million; bytes of counts in six corpora (BENCHMARKS.md). The others' stays where the largest run left it."""


def _memory(rates: StageRates, units: Spread, workers: int, *, growth: Spread | None) -> tuple[Spread, Spread]:
    """The largest worker and the launcher, which is the worker too when it is alone."""
    points = (rates.one or rates.many) if workers == 1 else (rates.many or rates.one)
    launcher = _between([(p.units, p.launcher) for p in points], units, growth if workers == 1 else None)
    worker = _between([(p.units, p.worker) for p in points], units, growth)
    return (launcher, launcher) if workers == 1 and rates.one else (worker, launcher)


def _between(points: Sequence[tuple[float, int]], units: Spread, growth: Spread | None) -> Spread:
    """What lies between two runs on the line between them. Beyond the largest it stays, unless what grows comes to more
    on top of the smallest: by two runs that are close to each other no line can be drawn, as memory that was taken
    before is used again."""
    def at(n: float, slope: float) -> float:
        if not points:
            return 0.0
        (u0, b0), (u1, b1) = points[0], points[-1]
        if n >= u1:
            return max(b1, b0 + slope * (n - u0))
        if n > u0:
            (u0, b0), (u1, b1) = next(pair for pair in pairwise(points) if n < pair[1][0])
            return b0 + (b1 - b0) * (n - u0) / (u1 - u0)
        return b0

    by = growth or ZERO
    low, mid, high = at(units.low, by.low), at(units.mid, by.mid), at(units.high, by.high)
    return Spread(low=low, mid=mid, high=high).widened(MEMORY)
