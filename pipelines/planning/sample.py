"""What the inputs' own pages become and cost: ranges of each source go through all stages here, and what they become is
thrown away. The ranges are spread evenly over a source's files: the same inputs give the same ones."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from apache_beam.options.pipeline_options import PipelineOptions

from pipelines.dedupe import dedupe
from pipelines.encode import encode
from pipelines.filter import sieve
from pipelines.ingest_parts import run_ingest
from pipelines.options import Options
from pipelines.planning.finished import written
from pipelines.planning.kinds import by_kind
from pipelines.planning.rates import HEAPS, KindRates, Rates
from pipelines.planning.spread import LEAST, Spread
from pipelines.run import Work
from pipelines.settings import Settings, write_settings
from pipelines.spans import splittable
from pipelines.tokenizer import tokenizer
from schemas.records import PartRecord
from transforms.beam import metrics
from transforms.beam.parts import PlannedPart
from transforms.identity import fingerprint, part_name

RANGES = 12
"""Of each source: enough to see how much they differ."""
WHOLE = 4
"""A file of which no part can be read alone is read whole, if it has at most so many times the bytes asked for; and
with such files the sample has at most about so many times these."""
ERRORS = 2.0
"""Standard errors that low and high lie from the mean: 19 of 20 means do not lie further."""


def sampled(
    options: Options, settings: Settings, planned: Work, kinds: Mapping[tuple[str, str], str], base: Rates
) -> tuple[dict[tuple[str, str], str], Rates]:
    """The kinds of files by (source, name), those of each source its own kinds, and rates for these. Files of which no
    range can be read alone, and which are too large to be read whole, keep what `base` says."""
    chosen = {group: _ranges(of, options) for group, of in by_kind(planned.parts, kinds).items()}
    everything = sorted((p for of in chosen.values() for p in of), key=lambda p: p.part)
    if not everything:
        return dict(kinds), base
    numbered = [dataclasses.replace(part, number=k) for k, part in enumerate(everything)]
    found = _measured(options, settings, dataclasses.replace(planned, parts=numbered), base)
    renamed, known = dict(kinds), dict(base.kinds)
    for (source, kind), of in chosen.items():
        if not of:
            continue
        own = f"{kind}, sampled"
        while own in known:
            own += f" for {source}"
        known[own] = _rates(found, {part.part for part in of}, base.kinds[kind])
        renamed |= {(s, name): own for (s, name), k in kinds.items() if (s, k) == (source, kind)}
    return renamed, dataclasses.replace(base, kinds=known)


def _ranges(parts: Sequence[PlannedPart], options: Options) -> list[PlannedPart]:
    """Ranges of `options.plan.sample` bytes together, or whole parts where there are no ranges, all if that is all;
    none where a part that chance has chosen is too large to be read whole. Records that an index chose are not asked:
    where they lie is known in the run's output alone."""
    parts = [p for p in parts if "path" in p.work]
    wanted, whole = options.plan.sample, sum(p.size for p in parts)
    if whole <= wanted:
        return list(parts)
    length = max(1, wanted // RANGES)
    chosen: dict[str, PlannedPart] = {}
    for k in range(RANGES):
        # every fifth position, round and round: those that are left out at the end come from everywhere
        part, at = _at(parts, whole * (2 * (5 * k % RANGES) + 1) // (2 * RANGES))
        start = int(part.work.get("start", 0))
        if "letters" not in part.work and splittable(str(part.work["path"]), options.reach.network):
            first = start + max(0, min(at - length // 2, part.size - length))
            part = _range(part, first, min(first + length, start + part.size))
        elif part.size > WHOLE * wanted:
            return []  # a sample without such files would be one of small files
        chosen[part.part] = part
        if sum(p.size for p in chosen.values()) >= WHOLE * wanted:
            break
    return list(chosen.values())


def _at(parts: Sequence[PlannedPart], position: int) -> tuple[PlannedPart, int]:
    """The part in which a byte of all of them lies, and where in it."""
    for part in parts:
        if position < part.size:
            return part, position
        position -= part.size
    return parts[-1], max(0, parts[-1].size - 1)


def _range(part: PlannedPart, start: int, end: int) -> PlannedPart:
    work = {**{k: v for k, v in part.work.items() if k != "digest"}, "start": start, "end": end}
    return dataclasses.replace(
        part, part=part_name(source=part.source, file=part.name, span=(start, end)), size=end - start, work=work,
        plan_key=fingerprint([part.plan_key, start, end]),
    )


@dataclass(frozen=True, kw_only=True)
class _Part:
    """What a range became: amounts beyond what an empty part takes."""

    read: PartRecord
    kept: PartRecord
    cpu: float
    written: float
    clean: float
    counts: float
    count_cpu: float
    encode_cpu: float
    shards: float


def _measured(options: Options, settings: Settings, planned: Work, rates: Rates) -> dict[str, _Part]:
    """What the ranges became, by part. Documents that are in several are duplicates of each other, as in the run."""
    with tempfile.TemporaryDirectory(prefix="winnow-plan-") as out, contextlib.redirect_stderr(io.StringIO()):
        here = dataclasses.replace(
            options, output=out, workers=1, local=True,
            beam=PipelineOptions(["--runner=FnApiRunner", "--direct_num_workers=1"]),
        )
        write_settings(out, settings)
        documents = run_ingest(here, settings, planned)
        dedupe(here, settings)
        sieved = sieve(here, settings)
        kept = {p.part: p for p in sieved.parts}
        counted = tokenizer(here, settings).parts if sieved.counts.went_out else ()
        encoded = encode(here, settings).parts if counted else ()
        counts = {p.part: p for p in counted}

        def cpu(part: PartRecord) -> float:
            cost = metrics.read(metrics.path(out, part.stage, part.part), metrics.PartMetrics)
            return max(0.0, cost.cpu_s - rates.stages[part.stage].part_cpu) if cost else 0.0

        def more(part: PartRecord) -> float:
            return max(0.0, written(part) - rates.stages[part.stage].part_out)

        def of(part: PartRecord) -> _Part:
            clean, count = kept[part.part], counts.get(part.part)
            of_source = sum(p.text_bytes for p in sieved.parts if p.source == part.source)
            share = clean.text_bytes / of_source if of_source else 0.0
            shards = [p for p in encoded if p.source == part.source]
            return _Part(
                read=part, kept=clean, cpu=cpu(part), written=more(part), clean=more(clean),
                counts=more(count) if count else 0.0, count_cpu=cpu(count) if count else 0.0,
                encode_cpu=share * sum(map(cpu, shards)), shards=share * sum(map(more, shards)),
            )

        return {part.part: of(part) for part in documents.parts}


def _rates(found: dict[str, _Part], names: set[str], base: KindRates) -> KindRates:
    """`base` with what the parts of these names became, as far as there was something to see."""
    parts = [part for name, part in found.items() if name in names]

    def rate(what: Callable[[_Part], tuple[float, float]], name: str) -> Spread:
        return mean([what(p) for p in parts]) or getattr(base, name)

    return dataclasses.replace(
        base,
        documents=rate(lambda p: (p.read.counts.went_out, p.read.input_bytes), "documents"),
        text=rate(lambda p: (p.read.text_bytes, p.read.input_bytes), "text"),
        ingest_cpu=rate(lambda p: (p.cpu, p.read.input_bytes), "ingest_cpu"),
        ingest_out=rate(lambda p: (p.written, p.read.input_bytes), "ingest_out"),
        kept=rate(lambda p: (p.kept.counts.went_out, p.kept.counts.came_in), "kept"),
        kept_text=rate(lambda p: (p.kept.text_bytes, p.read.text_bytes), "kept_text"),
        filter_out=rate(lambda p: (p.clean, p.kept.text_bytes), "filter_out"),
        count_cpu=rate(lambda p: (p.count_cpu, p.kept.text_bytes), "count_cpu"),
        count_out=rate(lambda p: (p.counts, p.kept.text_bytes ** HEAPS), "count_out"),
        encode_cpu=rate(lambda p: (p.encode_cpu, p.kept.text_bytes), "encode_cpu"),
        encode_out=rate(lambda p: (p.shards, p.kept.text_bytes), "encode_out"),
    )


def mean(pairs: Sequence[tuple[float, float]]) -> Spread | None:
    """The ratio of all amounts to all units of (amount, units), with ERRORS standard errors on either side, by the
    jackknife: how much it changes when one pair is left out. LEAST away at least; None without units."""
    known = [(a, u) for a, u in pairs if u > 0]
    amount, units, n = sum(a for a, _ in known), sum(u for _, u in known), len(known)
    if not units:
        return None
    mid = amount / units
    if n < 2:
        return Spread(low=mid, mid=mid, high=mid).widened(LEAST**2)
    without = [(amount - a) / (units - u) for a, u in known]
    centre = sum(without) / n
    error = ERRORS * ((n - 1) / n * sum((w - centre) ** 2 for w in without)) ** 0.5
    return Spread(low=max(0.0, min(mid - error, mid / LEAST)), mid=mid, high=max(mid + error, mid * LEAST))
