"""Stage 3: the rules of each source's recipe, then the duplicates: clean/ with text, dropped/ with reasons."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import apache_beam as beam

from pipelines.fingerprints import library_versions, stage_fingerprint
from pipelines.options import Options, parse
from pipelines.planning.stage import only_planned
from pipelines.run import Work, main, needed, run_stage
from pipelines.settings import Settings, settings_of
from pipelines.whole import locked
from schemas.errors import RunError
from schemas.records import Manifest
from schemas.stages import DEDUPE, FILTER, INGEST
from transforms.beam.filter import FilterPart
from transforms.beam.parts import PlannedPart, ProcessParts, WriteManifest
from transforms.identity import fingerprint

CODE = "transforms.beam.filter"


def run(argv: Sequence[str] | None) -> None:
    options = parse(argv, command="filter", about=__doc__, needs_input=False)
    settings = settings_of(options.output, options.recipe)
    if options.plan.wanted and only_planned(options, settings, planned(options, settings)):
        return
    with locked(options.output):
        sieve(options, settings)


def planned(options: Options, settings: Settings) -> Work:
    return work(settings, needed(options.output, INGEST), needed(options.output, DEDUPE))


def sieve(options: Options, settings: Settings) -> Manifest:
    process = FilterPart(
        out=options.output, recipes=settings.sources, batch_rows=options.batch_rows,
        list_digests=settings.list_digests(),
    )

    def graph(plan: beam.PCollection[str], blank: Manifest) -> None:
        plan | ProcessParts(options.output, process) | WriteManifest(options.output, blank)

    return run_stage(options, planned(options, settings), graph)


def work(settings: Settings, documents: Manifest, duplicates: Manifest) -> Work:
    """Raises RunError if the two manifests are not of the same documents."""
    found = {r.part: r.outputs["duplicates"] for r in duplicates.parts}
    if found.keys() != {r.part for r in documents.parts}:
        raise RunError("filter: dedupe was run on other documents than are there now. Run pipelines.dedupe again.")
    parts = []
    rules = settings.rules()
    for number, record in enumerate(documents.parts):
        inputs = {"documents": dataclasses.asdict(record.outputs["documents"]),
                  "duplicates": dataclasses.asdict(found[record.part])}
        key = [record.part, inputs, rules[record.source], stage_fingerprint(CODE)]
        parts.append(
            PlannedPart(
                stage=FILTER.name, part=record.part, plan_key=fingerprint(key), source=record.source, name=record.name,
                number=number, size=record.outputs["documents"].bytes, work=inputs,
            )
        )
    return Work(
        stage=FILTER, parts=parts, settings=None, libraries=library_versions(CODE), recipes=rules,
    )


if __name__ == "__main__":
    main(run)
