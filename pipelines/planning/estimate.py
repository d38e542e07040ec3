"""The arithmetic of a plan: sizes of parts and rates to documents, CPU, bytes, memory and time, by stage. Pure."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pipelines.planning.rates import HEAPS, KindRates, Rates
from pipelines.planning.spread import ZERO, Spread, exactly, total
from pipelines.planning.timing import Need, StageEstimate, timed
from pipelines.planning.volumes import Group, Volume, volume
from schemas.recipes import Recipe
from schemas.stages import DEDUPE, ENCODE, FILTER, INGEST, TOKENIZER
from transforms import duplicates

TOKEN_BYTES = Spread(low=25, mid=40, high=55)
"""Of tokenizer.json for each token: 30 bytes of technical English, 51 of Greek, Japanese and Latgalian."""
UNPACKED = Spread(low=2.9, mid=3.2, high=3.9)
"""Bytes that cross the shuffle for each byte of a part's counts in Parquet: 2.9 of documentation in HTML or JSON lines,
3.9 of Greek, Japanese and Latgalian."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """What is planned: groups, the recipe that decides for the run as a whole, worker processes."""

    groups: tuple[Group, ...]
    recipe: Recipe
    workers: int


@dataclass(frozen=True, kw_only=True)
class _Flow:
    """What goes through all stages: groups with their rates and volumes, and sums over these."""

    job: Job
    rates: Rates
    of: Sequence[tuple[Group, KindRates, Volume]]

    @property
    def parts(self) -> int:
        return sum(len(g.sizes) for g, _, _ in self.of)

    @property
    def documents(self) -> Spread:
        return total(v.documents for _, _, v in self.of)

    @property
    def kept(self) -> Spread:
        return total(v.kept for _, _, v in self.of)

    @property
    def kept_text(self) -> Spread:
        return total(v.kept_text for _, _, v in self.of)

    @property
    def most(self) -> Spread:
        """Bytes of the largest part."""
        return exactly(max((max(g.sizes) for g, _, _ in self.of), default=0))


def stages(job: Job, rates: Rates) -> list[StageEstimate]:
    """Every stage of a run over the groups. `rates` must know each of their kinds."""
    kinds = [(g, rates.kinds[g.kind]) for g in job.groups]
    flow = _Flow(job=job, rates=rates, of=[(g, r, volume(g, r, g.known)) for g, r in kinds])
    needs = [_ingest(flow), _dedupe(flow), _filter(flow), _tokenizer(flow), _encode(flow)]
    return [timed(need, rates.stages[need.stage], workers=job.workers) for need in needs]


def _ingest(flow: _Flow) -> Need:
    return Need(
        stage=INGEST.name, parts=flow.parts, documents=flow.documents, units=flow.documents, memory=flow.most,
        cpu=total(r.ingest_cpu.times(g.bytes) for g, r, _ in flow.of),
        largest=_largest(r.ingest_cpu.times(max(g.sizes)) for g, r, _ in flow.of),
        out=total(r.ingest_out.times(g.bytes) for g, r, _ in flow.of),
    )


def _dedupe(flow: _Flow) -> Need:
    return Need(
        stage=DEDUPE.name, parts=flow.parts, documents=flow.documents, units=flow.documents, memory=flow.documents,
        out=total(v.documents * r.dedupe_out for _, r, v in flow.of), shuffle=_dedupe_shuffle(flow),
    )


def _filter(flow: _Flow) -> Need:
    return Need(
        stage=FILTER.name, parts=flow.parts, documents=flow.documents, units=flow.documents, memory=flow.most,
        cpu=total(v.text * r.filter_cpu for _, r, v in flow.of),
        largest=_largest(v.text.times(_share(g)) * r.filter_cpu for g, r, v in flow.of),
        out=total(v.kept_text * r.filter_out for _, r, v in flow.of),
    )


def _tokenizer(flow: _Flow) -> Need:
    settings = flow.job.recipe.tokenizer
    sampled = settings.sample_per_million / 1e6
    counts = total(_counts(g, r, v, sampled) for g, r, v in flow.of)
    counting = [(g, v.kept_text.times(sampled) * r.count_cpu) for g, r, v in flow.of]
    learning = counts * flow.rates.learning
    return Need(
        stage=TOKENIZER.name, parts=flow.parts, documents=flow.kept, units=counts, memory=counts,
        cpu=total(cpu for _, cpu in counting) + learning, alone=learning,
        largest=_largest(cpu.times(_share(g)) for g, cpu in counting),
        out=counts + TOKEN_BYTES.times(settings.vocab_size), shuffle=counts * UNPACKED,
    )


def _encode(flow: _Flow) -> Need:
    shard = flow.job.recipe.encode.shard_text_bytes
    sources = sorted({g.source for g in flow.job.groups})
    texts = [total(v.kept_text for g, _, v in flow.of if g.source == source) for source in sources]
    return Need(
        stage=ENCODE.name, documents=flow.kept, units=flow.kept_text,
        parts=sum(max(1, math.ceil(text.mid / shard)) for text in texts),
        memory=_largest(text.at_most(shard) for text in texts),
        cpu=total(v.kept_text * r.encode_cpu for _, r, v in flow.of),
        largest=_largest(v.kept_text.at_most(2 * shard) * r.encode_cpu for _, r, v in flow.of),
        out=total(v.kept_text * r.encode_out for _, r, v in flow.of),
    )


def fit(stages: Sequence[StageEstimate], *, cores: int, memory: int) -> int:
    """Workers that a machine of so many cores and bytes of memory holds, beside one launcher, if the high estimate of
    memory comes true. May be 0."""
    room = memory - max((s.launcher_bytes.high for s in stages), default=0)
    worker = max((s.worker_bytes.high for s in stages), default=1)
    return max(0, min(cores, int(room // max(worker, 1))))


def _dedupe_shuffle(flow: _Flow) -> Spread:
    """Sixteen bytes a band and one digest of every document that is compared, and what each member of a cluster
    needs to be judged; of these there are fewer than twice the duplicates."""
    recipe, of = flow.job.recipe, flow.of
    pairs = 16 * (recipe.dedupe.bands + 1)
    member = 16 + 16 + duplicates.MEMBER.itemsize + duplicates.VERDICT.itemsize
    compared = [v.documents if recipe.dedupe.before_rules else v.kept + v.duplicates for _, _, v in of]
    return total(c.times(pairs) for c in compared) + total(v.duplicates.times(1.5 * member) for _, _, v in of)


def _share(group: Group) -> float:
    return max(group.sizes) / group.bytes if group.bytes else 0.0


def _counts(group: Group, rates: KindRates, of: Volume, sampled: float) -> Spread:
    """Bytes of the counts of a group's parts, each of which has its own share of distinct pre-tokens."""
    if not (whole := group.bytes):
        return ZERO
    return total(
        _power(of.kept_text.times(sampled * size / whole), rates.count_out).times(parts)
        for size, parts in Counter(group.sizes).items()
    )


def _power(units: Spread, rate: Spread) -> Spread:
    return Spread(low=units.low**HEAPS, mid=units.mid**HEAPS, high=units.high**HEAPS) * rate


def _largest(spreads: Iterable[Spread]) -> Spread:
    return max(spreads, key=lambda s: s.high, default=ZERO)

