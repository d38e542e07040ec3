"""The arithmetic of a plan: sizes of parts and rates to documents, CPU, bytes, memory and time, stage by stage. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from pipelines.planning.rates import HEAPS, KindRates, Rates, StageRates
from pipelines.planning.spread import ZERO, Spread, exactly, total
from schemas.recipes import Recipe
from schemas.stages import DEDUPE, ENCODE, FILTER, INGEST, TOKENIZER
from transforms import duplicates

TOKEN_BYTES = Spread(low=25, mid=40, high=55)
"""Of tokenizer.json for each token: 30 bytes of technical English, 51 of Greek, Japanese and Latgalian."""
UNPACKED = Spread(low=2.9, mid=3.2, high=3.9)
"""Bytes that cross the shuffle for each byte of a part's counts in Parquet: 2.9 of documentation and of JSON lines of it,
3.9 of Greek, Japanese and Latgalian."""


@dataclass(frozen=True, kw_only=True)
class Group:
    """Parts of one source and kind: their sizes in bytes."""

    source: str
    kind: str
    files: int
    sizes: tuple[int, ...]

    @property
    def bytes(self) -> int:
        return sum(self.sizes)


@dataclass(frozen=True, kw_only=True)
class Volume:
    """What becomes of a group."""

    documents: Spread
    text: Spread
    kept: Spread
    kept_text: Spread
    duplicates: Spread


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


@dataclass(frozen=True, kw_only=True)
class Job:
    """What is planned: groups, the recipe that decides for the run as a whole, worker processes."""

    groups: tuple[Group, ...]
    recipe: Recipe
    workers: int


def volume(group: Group, rates: KindRates) -> Volume:
    documents, text = rates.documents.times(group.bytes), rates.text.times(group.bytes)
    return Volume(
        documents=documents, text=text, kept=documents * rates.kept.at_most(1), duplicates=documents * rates.duplicates,
        kept_text=text * rates.kept_text.at_most(1),
    )


def stages(job: Job, rates: Rates) -> list[StageEstimate]:
    """Every stage of a run over the groups. `rates` must know each of their kinds."""
    of = [(g, rates.kinds[g.kind], volume(g, rates.kinds[g.kind])) for g in job.groups]
    documents = total(v.documents for _, _, v in of)
    parts = sum(len(g.sizes) for g in job.groups)
    kept, kept_text = total(v.kept for _, _, v in of), total(v.kept_text for _, _, v in of)
    counted = job.recipe.tokenizer.sample_per_million / 1e6
    counts = total(_counts(g, r, v, counted) for g, r, v in of)
    learnt = TOKEN_BYTES.times(job.recipe.tokenizer.vocab_size)
    largest = [(r, max(g.sizes), v.text.times(_share(g)), v.kept_text.times(_share(g))) for g, r, v in of]
    shard = job.recipe.encode.shard_text_bytes
    most = max((max(g.sizes) for g in job.groups), default=0)

    def stage(name: str, cpu: Spread, one: Spread, out: Spread, *, units: Spread, memory: Spread, docs: Spread = documents,
              shuffle: Spread = ZERO, n: int = parts, alone: Spread = ZERO) -> StageEstimate:
        of_stage = rates.stages[name]
        cpu = cpu + units * of_stage.beside + exactly(of_stage.part_cpu * n)
        return _timed(of_stage, name=name, parts=n, documents=docs, cpu=cpu,
                      largest=one + exactly(of_stage.part_cpu), out=out + exactly(of_stage.part_out * n), shuffle=shuffle, memory=memory, workers=job.workers, alone=alone)

    learning = counts * rates.learning
    shards = sum(max(1, math.ceil(v.kept_text.mid / shard)) for _, _, v in of)
    return [
        stage(INGEST.name, total(r.ingest_cpu.times(g.bytes) for g, r, _ in of),
              _largest(r.ingest_cpu.times(size) for r, size, _, _ in largest),
              total(r.ingest_out.times(g.bytes) for g, r, _ in of), units=documents, memory=exactly(most)),
        stage(DEDUPE.name, ZERO, ZERO, total(v.documents * r.dedupe_out for _, r, v in of), units=documents,
              memory=documents, shuffle=_dedupe_shuffle(job.recipe, of)),
        stage(FILTER.name, total(v.text * r.filter_cpu for _, r, v in of),
              _largest(t * r.filter_cpu for r, _, t, _ in largest),
              total(v.kept_text * r.filter_out for _, r, v in of), units=documents, memory=exactly(most)),
        stage(TOKENIZER.name, total(v.kept_text.times(counted) * r.count_cpu for _, r, v in of) + learning,
              _largest(t.times(counted) * r.count_cpu for r, _, _, t in largest), counts + learnt, units=counts, memory=counts,
              docs=kept, shuffle=counts * UNPACKED, alone=learning),
        stage(ENCODE.name, total(v.kept_text * r.encode_cpu for _, r, v in of),
              _largest(v.kept_text.at_most(2 * shard) * r.encode_cpu for _, r, v in of),
              total(v.kept_text * r.encode_out for _, r, v in of), units=kept_text, docs=kept, n=shards,
              memory=_largest(v.kept_text.at_most(shard) for _, _, v in of)),
    ]


def fit(stages: Sequence[StageEstimate], *, cores: int, memory: int) -> int:
    """Workers that a machine of so many cores and bytes of memory holds, beside one launcher, if the high estimate of
    memory comes true. May be 0."""
    room = memory - max((s.launcher_bytes.high for s in stages), default=0)
    worker = max((s.worker_bytes.high for s in stages), default=1)
    return max(0, min(cores, int(room // max(worker, 1))))


def _timed(rates: StageRates, *, name: str, parts: int, documents: Spread, cpu: Spread, largest: Spread, out: Spread,
           shuffle: Spread, memory: Spread, workers: int, alone: Spread) -> StageEstimate:
    start = rates.launch_cpu if workers == 1 else rates.worker_cpu * workers
    begun = rates.launch_cpu if workers == 1 else rates.worker_cpu + rates.launch_cpu
    shared = Spread(low=cpu.low - alone.low, mid=cpu.mid - alone.mid, high=cpu.high - alone.high)
    wall = Spread(  # no order of the parts is better than the first, or worse than the last of these
        low=max(shared.low / workers, largest.low) + alone.low,
        mid=max(shared.mid / workers + largest.mid * (1 - 1 / workers) / 2, largest.mid) + alone.mid,
        high=shared.high / workers + largest.high * (1 - 1 / workers) + alone.high,
    )
    worker, launcher = _memory(rates, memory, workers, grows=name in GROWS)
    return StageEstimate(
        stage=name, parts=parts, documents=documents, cpu_s=cpu + exactly(start).widened(1.25), largest_cpu_s=largest + alone,
        out_bytes=out, shuffle_bytes=shuffle, worker_bytes=worker, launcher_bytes=launcher,
        wall_s=wall + exactly(begun).widened(1.25),
    )


MEMORY = 1.15
"""How far a peak of memory is trusted: two runs of the same differ by as much, as libraries take memory in pieces."""
GROWS = (DEDUPE.name, TOKENIZER.name)
"""Stages whose memory follows the whole input: BENCHMARKS.md. The others' stays where the largest run left it."""


def _memory(rates: StageRates, units: Spread, workers: int, *, grows: bool) -> tuple[Spread, Spread]:
    """The largest worker and the launcher, which is the worker too when it is alone."""
    points = (rates.one or rates.many) if workers == 1 else (rates.many or rates.one)
    launcher = _between([(p.units, p.launcher) for p in points], units, grows=grows)
    worker = _between([(p.units, p.worker) for p in points], units, grows=grows)
    return (launcher, launcher) if workers == 1 and rates.one else (worker, launcher)


def _between(points: Sequence[tuple[float, int]], units: Spread, *, grows: bool) -> Spread:
    """What lies between two runs on the line between them; beyond the largest as there, or on along its line."""
    def at(n: float) -> float:
        if len(points) < 2 or n <= points[0][0]:
            return points[0][1] if points else 0.0
        beyond = n > points[-1][0]
        if beyond and not grows:
            return points[-1][1]
        (u0, b0), (u1, b1) = next((pair for pair in pairwise(points) if n <= pair[1][0]), tuple(points[-2:]))
        return max(b0, b0 + (b1 - b0) * (n - u0) / (u1 - u0)) if u1 > u0 else max(b0, b1)

    return Spread(low=at(units.low), mid=at(units.mid), high=at(units.high)).widened(MEMORY)


def _dedupe_shuffle(recipe: Recipe, of: Sequence[tuple[Group, KindRates, Volume]]) -> Spread:
    """Sixteen bytes a band and one digest of every document that is compared, and what each member of a cluster
    needs to be judged; of these there are fewer than twice the duplicates."""
    pairs = 16 * (recipe.dedupe.bands + 1)
    member = 16 + 16 + duplicates.MEMBER.itemsize + duplicates.VERDICT.itemsize
    compared = [v.documents if recipe.dedupe.before_rules else v.kept + v.duplicates for _, _, v in of]
    return total(c.times(pairs) for c in compared) + total(v.duplicates.times(1.5 * member) for _, _, v in of)


def _share(group: Group) -> float:
    return max(group.sizes) / group.bytes if group.bytes else 0.0


def _counts(group: Group, rates: KindRates, of: Volume, sampled: float) -> Spread:
    """Bytes of the counts of a group's parts, each of which has its own share of distinct pre-tokens."""
    if not group.bytes:
        return ZERO
    return total(_power(of.kept_text.times(sampled * size / group.bytes), rates.count_out) for size in group.sizes)


def _power(units: Spread, rate: Spread) -> Spread:
    return Spread(low=units.low**HEAPS, mid=units.mid**HEAPS, high=units.high**HEAPS) * rate


def _largest(spreads: Iterable[Spread]) -> Spread:
    return max(spreads, key=lambda s: s.high, default=ZERO)

