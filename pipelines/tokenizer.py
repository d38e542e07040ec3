"""Stage 4: a byte-level BPE tokenizer from the pre-token counts of clean/; tokenizer/tokenizer.json."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import apache_beam as beam

from pipelines.fingerprints import library_versions, stage_fingerprint
from pipelines.listed import Pin, encoded, pinned
from pipelines.local import scratch_folder
from pipelines.options import Options, parse
from pipelines.planning.stage import only_planned
from pipelines.run import Work, main, needed, run_stage
from pipelines.settings import Settings, settings_of
from pipelines.whole import locked
from schemas.errors import RunError
from schemas.records import Manifest
from schemas.stages import FILTER, TOKENIZER
from transforms.beam.parts import PlannedPart, ProcessParts, WriteManifest
from transforms.beam.spill import Spill
from transforms.beam.tokenizer import CountPart, KeepTokenizer, LearnTokenizer
from transforms.identity import fingerprint

CODE = "transforms.beam.tokenizer"


def run(argv: Sequence[str] | None) -> None:
    options = parse(argv, command="tokenizer", about=__doc__, needs_input=False)
    settings = settings_of(options.output, options.recipe)
    if options.plan.wanted and only_planned(options, settings, planned(options, settings)):
        return
    with locked(options.output):
        tokenizer(options, settings)


def planned(options: Options, settings: Settings) -> Work:
    return _planned(options, settings)[1]


def _planned(options: Options, settings: Settings) -> tuple[Pin | None, Work]:
    pin = pinned(options.output, settings)
    return pin, work(settings, needed(options.output, FILTER), pin)


def tokenizer(options: Options, settings: Settings) -> Manifest:
    process = CountPart(out=options.output, tokenizer=settings.recipe.tokenizer, batch_rows=options.batch_rows)
    pin, todo = _planned(options, settings)
    with scratch_folder(options) as scratch:

        def graph(plan: beam.PCollection[str], blank: Manifest) -> None:
            records = plan | ProcessParts(options.output, process)
            learnt = (
                plan | KeepTokenizer(options.output, pin.tokenizer) if pin
                else records | LearnTokenizer(options.output, settings.recipe.tokenizer, Spill(folder=scratch))
            )
            records | WriteManifest(options.output, blank, learnt)

        return run_stage(options, todo, graph)


def work(settings: Settings, clean: Manifest, pin: Pin | None = None) -> Work:
    """Raises RunError if no document is left to learn from. With `pin` nothing is learnt, but the counts are those of
    what is left: they hold pieces of text."""
    if not clean.counts.went_out and not pin:
        reasons = ", ".join(f"{reason} {n:,}" for reason, n in clean.counts.dropped.items()) or "there were none"
        raise RunError(
            f"filter: of {clean.counts.came_in:,} documents none is left ({reasons}), so there is nothing to learn a "
            "tokenizer from. Look at dropped/, at dead_letters/ and at the recipe."
        )
    how = settings.recipe.tokenizer
    parts = [
        PlannedPart(
            stage=TOKENIZER.name, part=record.part, source=record.source, name=record.name, number=number,
            plan_key=fingerprint(
                [record.part, encoded(record), how.sample_per_million, how.seed, stage_fingerprint(CODE)]
            ),
            size=record.outputs["clean"].bytes, work={"clean": dataclasses.asdict(record.outputs["clean"])},
        )
        for number, record in enumerate(clean.parts)
    ]
    return Work(
        stage=TOKENIZER, parts=parts, settings=[dataclasses.asdict(how), pin and pin.tokenizer.xxh3],
        libraries=library_versions(CODE),
        recipes={"tokenizer": dataclasses.asdict(how)},
    )


if __name__ == "__main__":
    main(run)
