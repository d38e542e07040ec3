"""Stage 2: documents that pass the rules are compared; duplicates/ says who has duplicates and which one survives."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import apache_beam as beam

from pipelines.fingerprints import library_versions, stage_fingerprint
from pipelines.local import scratch_folder
from pipelines.options import Options, parse
from pipelines.planning.stage import only_planned
from pipelines.run import Work, main, needed, run_stage
from pipelines.settings import Settings, settings_of
from pipelines.whole import locked
from schemas.records import Manifest
from schemas.stages import DEDUPE, INGEST
from transforms.beam.dedupe import Dedupe, DedupeSettings
from transforms.beam.parts import PlannedPart, WriteManifest
from transforms.beam.spill import Spill
from transforms.identity import fingerprint

CODE = "transforms.beam.dedupe"


def run(argv: Sequence[str] | None) -> None:
    options = parse(argv, command="dedupe", about=__doc__, needs_input=False)
    settings = settings_of(options.output, options.recipe)
    if options.plan.wanted and only_planned(options, settings, planned(options, settings)):
        return
    with locked(options.output):
        dedupe(options, settings)


def planned(options: Options, settings: Settings) -> Work:
    return work(settings, needed(options.output, INGEST))


def dedupe(options: Options, settings: Settings) -> Manifest:
    todo = planned(options, settings)
    with scratch_folder(options) as scratch:
        how = DedupeSettings(
            out=options.output, recipe=settings.recipe, recipes=settings.sources,
            list_digests=settings.list_digests(), spill=Spill(folder=scratch),
        )

        def graph(plan: beam.PCollection[str], blank: Manifest) -> None:
            plan | Dedupe(how) | WriteManifest(options.output, blank)

        return run_stage(options, todo, graph)


def work(settings: Settings, documents: Manifest) -> Work:
    """Each part's result depends on all documents, so each part's key covers all of them."""
    compared = None if settings.recipe.dedupe.before_rules else settings.rules()
    key = [documents.digest, dataclasses.asdict(settings.recipe.dedupe), compared, stage_fingerprint(CODE)]
    parts = [
        PlannedPart(
            stage=DEDUPE.name, part=record.part, plan_key=fingerprint([record.part, *key]), source=record.source,
            name=record.name, number=number, size=record.outputs["documents"].bytes,
            work={"documents": dataclasses.asdict(record.outputs["documents"])},
        )
        for number, record in enumerate(documents.parts)
    ]
    return Work(
        stage=DEDUPE, parts=parts, settings=key, libraries=library_versions(CODE),
        recipes={"dedupe": dataclasses.asdict(settings.recipe.dedupe)},
    )


if __name__ == "__main__":
    main(run)
