"""Everything the page says, from the output directory of a finished run."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass

from pipelines.planning.made import planned_stages
from pipelines.planning.timing import StageEstimate
from pipelines.report_page import clusters, compression, costs, facts, histograms, samples, yields
from pipelines.report_page.reading import Reader, whole_file
from pipelines.run import needed
from pipelines.settings import Settings, read_settings
from pipelines.whole import check_whole
from schemas import shards
from schemas.errors import RunError
from schemas.records import Manifest, Output
from schemas.stages import DEDUPE, ENCODE, FILTER, INGEST, STAGES, TOKENIZER
from transforms.beam import files
from transforms.beam.parts import manifest_path

SOURCES = 8
"""Sources of which kept documents are shown."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """A run, looked at. The manifests are without their parts: a run may have 100,000 of them."""

    settings: Settings
    ingest: Manifest
    dedupe: Manifest
    sieve: Manifest
    tokenizer: Manifest
    encode: Manifest
    shards: shards.ShardManifest
    learnt: facts.Learnt
    rule_sets: tuple[facts.RuleSet, ...]
    arrived: dict[str, facts.Sums]
    kept: dict[str, facts.Sums]
    kept_samples: dict[str, list[samples.Row]]
    dropped_samples: dict[str, list[samples.Dropped]]
    dead_samples: dict[str, list[samples.Row]]
    clusters: clusters.Shown
    costs: tuple[costs.StageCost, ...]
    plan: dict[str, StageEstimate]
    yields: tuple[yields.Yield, ...]
    alarms: tuple[str, ...]
    densities: tuple[compression.Density, ...]
    spreads: tuple[histograms.Spread, ...]
    parts: int
    cluster_parts: int
    duplicate_parts: int
    stopped: bool

    @property
    def stages(self) -> tuple[Manifest, ...]:
        return self.ingest, self.dedupe, self.sieve, self.tokenizer, self.encode


def gather(out: str) -> Found:
    """Raises RunError where a stage is missing or what it wrote has changed, ConservationError where counts differ.

    One manifest is held with its parts at a time: what the samples need is chosen from it and the rest let go."""
    settings = read_settings(out)
    for stage in STAGES:
        if files.size(manifest_path(out, stage)) is None:
            needed(out, stage)
    reader = Reader(out=out)
    sieve = needed(out, FILTER)
    if sieve.recipes != settings.rules():
        raise RunError(f"{out}: filter was run with another recipe than the run now has. Run pipelines.clean again.")
    drop_parts = facts.first_parts(sieve.parts, lambda p: p.counts.dropped, enough=samples.EACH)
    kept_parts = facts.first_parts(sieve.parts, lambda p: {p.source: p.counts.went_out}, enough=samples.EACH)
    kept_parts = dict(sorted(kept_parts.items())[:SOURCES])
    drops, clean = _outputs(sieve, "dropped", drop_parts.values()), _outputs(sieve, "clean", kept_parts.values())
    kept_sums, spent, sieve = facts.sums_by_source(sieve.parts), [costs.cost_of(out, sieve)], _bare(sieve)
    rule_sets = tuple(facts.rule_sets(sieve.recipes))
    dedupe = needed(out, DEDUPE)
    with_duplicates = [p.part for p in dedupe.parts if p.outputs["duplicates"].rows]
    searched = _outputs(dedupe, "duplicates", [with_duplicates[: clusters.PARTS]])
    spent.append(costs.cost_of(out, dedupe))
    verdicts, dedupe = _outputs(dedupe, "duplicates", drop_parts.values()), _bare(dedupe)
    ingest = needed(out, INGEST)
    dead_parts = facts.first_parts(ingest.parts, lambda p: p.counts.dead_letters, enough=samples.EACH)
    documents = _outputs(ingest, "documents", [*drop_parts.values(), list(searched)])
    letters = _outputs(ingest, "dead_letters", dead_parts.values())
    arrived, parts, by_source = facts.sums_by_source(ingest.parts), len(ingest.parts), yields.by_source(ingest.parts)
    spread = histograms.spreads(Reader(out=out), rule_sets=rule_sets, outputs=_documents(ingest))
    spent, ingest = [costs.cost_of(out, ingest), *reversed(spent)], _bare(ingest)
    tokenizer = needed(out, TOKENIZER)
    spent, tokenizer = [*spent, costs.cost_of(out, tokenizer)], _bare(tokenizer)
    encode = needed(out, ENCODE)
    spent, densities = [*spent, costs.cost_of(out, encode)], compression.densities(encode.parts)
    encode = _bare(encode)
    manifests = [ingest, dedupe, sieve, tokenizer, encode]
    for manifest in manifests:
        manifest.counts.check(manifest.stage)
    check_whole(manifests)
    yielded = yields.yields(
        arrived=by_source, kept=sieve.tallies.get("language", {}), tallies=sieve.tallies,
        reasons=sieve.counts.dropped, rule_sets=rule_sets,
    )
    return Found(
        settings=settings, ingest=ingest, dedupe=dedupe, sieve=sieve, tokenizer=tokenizer, encode=encode,
        shards=_shards(out, encode), learnt=_learnt(out, tokenizer), rule_sets=rule_sets,
        arrived=arrived, kept=kept_sums, parts=parts, costs=tuple(spent), plan=planned_stages(out),
        yields=yielded, densities=densities,
        alarms=tuple(yields.alarms(yielded, arrived=arrived, kept=kept_sums)), spreads=spread,
        kept_samples=samples.kept(reader, parts=kept_parts, clean=clean),
        dropped_samples=samples.dropped(
            reader, parts=drop_parts, drops=drops, documents=documents, duplicates=verdicts
        ),
        dead_samples=samples.dead_letters(reader, parts=dead_parts, letters=letters),
        clusters=clusters.clusters(
            Reader(out=out, cell=clusters.CELL_CHARACTERS), duplicates=searched, documents=documents
        ),
        cluster_parts=len(searched), duplicate_parts=len(with_duplicates), stopped=reader.stopped,
    )


def _bare(manifest: Manifest) -> Manifest:
    return dataclasses.replace(manifest, parts=())


def _documents(ingest: Manifest) -> dict[str, list[Output]]:
    """The parts of documents/ by source."""
    found: dict[str, list[Output]] = {}
    for part in ingest.parts:
        found.setdefault(part.source, []).append(part.outputs["documents"])
    return found


def _outputs(manifest: Manifest, kind: str, parts: Iterable[list[str]]) -> dict[str, Output]:
    """The files of that kind of the parts named."""
    wanted = {name for names in parts for name in names}
    return {p.part: p.outputs[kind] for p in manifest.parts if p.part in wanted}


def _shards(out: str, encode: Manifest) -> shards.ShardManifest:
    data = whole_file(out, encode.outputs["manifest.json"])
    try:
        return shards.from_json(data.decode())
    except (ValueError, TypeError) as error:
        raise RunError(f"{out}/{ENCODE.folder}/manifest.json: {error}. Run pipelines.clean again.") from error


def _learnt(out: str, tokenizer: Manifest) -> facts.Learnt:
    data = whole_file(out, tokenizer.outputs["tokenizer"])
    try:
        return facts.learnt(data)
    except (ValueError, KeyError, TypeError) as error:
        path = tokenizer.outputs["tokenizer"].path
        raise RunError(f"{out}/{path}: no tokenizer: {error}. Run pipelines.clean again.") from error
