"""The parts of ingest, planned and run: a file or a range of it, dead letters of another run, records that an index
chose."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import apache_beam as beam

from pipelines.fingerprints import extractor_versions, library_versions, stage_fingerprint
from pipelines.inputs import InputFile
from pipelines.listed import with_list
from pipelines.models import language_model_path
from pipelines.options import Options
from pipelines.reach import NEAR, Reach
from pipelines.replay import Letters
from pipelines.run import Work, forget_from, run_stage
from pipelines.selection import Chosen
from pipelines.settings import Settings
from pipelines.spans import Span, spans_of
from schemas.errors import RunError
from schemas.records import Manifest
from schemas.stages import INGEST
from transforms.beam import files
from transforms.beam.ingest import MISSING, IngestPart
from transforms.beam.parts import PlannedPart, ProcessParts, WriteManifest, record_path
from transforms.beam.takedown_list import read_listed
from transforms.identity import fingerprint, part_name
from transforms.language import MODEL_SHA256

CODE = "transforms.beam.ingest"


def work(
    settings: Settings, found: list[InputFile], *, reach: Reach = NEAR, chosen: Sequence[Chosen] = ()
) -> Work:
    """One part a file, or several of a large one, in order of their names, which no other input can change; and those
    of records that are chosen by an index. Raises RunError where a source has a file both whole and in part."""
    whole = {(file.source, file.name) for file in found}
    twice = next(((c.source, n) for c in chosen for n in c.names if (c.source, n) in whole), None)
    if twice:
        raise RunError(
            f"--input: {twice[1]} of source {twice[0]!r} would be read whole, and by its index. Leave one of them out, "
            "or give it a source of its own: --input NAME=PATTERN"
        )
    spans = spans_of(
        found, part_bytes=settings.part_bytes, network=reach.network, tolerate_missing=reach.tolerate_missing
    )
    parts = [_part(settings, file, span) for file, of_file in zip(found, spans, strict=True) for span in of_file]
    return work_of(settings, parts + [_chosen_part(settings, one, reach) for one in chosen])


def replay_work(settings: Settings, letters: list[Letters]) -> Work:
    """One part for each that has dead letters, of the same name; its size is what was lost."""
    parts = []
    for one in letters:
        part = _part(settings, one.file, one.span)
        if one.whole:
            parts.append(part)
            continue
        found = {"out": one.out, "output": dataclasses.asdict(one.output)}
        key = fingerprint(["replay", part.plan_key, one.output.content])
        place = {"path": part.work["path"], "identity": part.work["identity"], "letters": found}
        parts.append(dataclasses.replace(part, plan_key=key, size=one.lost, work=place))
    return work_of(settings, parts)


def work_of(settings: Settings, parts: list[PlannedPart]) -> Work:
    """The stage's work on parts that are planned already."""
    parts = [dataclasses.replace(p, number=k) for k, p in enumerate(sorted(parts, key=lambda p: p.part))]
    libraries = dict(library_versions(CODE))
    for recipe in settings.sources.values():
        libraries |= extractor_versions(recipe.extract.extractor)
    return Work(
        stage=INGEST, parts=parts, settings=None, libraries=dict(sorted(libraries.items())),
        recipes={source: dataclasses.asdict(recipe.extract) for source, recipe in settings.sources.items()},
    )


def _chosen_part(settings: Settings, chosen: Chosen, reach: Reach) -> PlannedPart:
    """Its archives are not looked at: what is read of them depends on the index, which has told their records' places.
    A crawl's archives do not change."""
    first, last = chosen.names[0], chosen.names[-1]
    key = _key(settings, chosen.source, [first, last, chosen.contents])
    return PlannedPart(
        stage=INGEST.name, part=part_name(source=chosen.source, file=f"{first}\0{last}"), plan_key=fingerprint(key),
        source=chosen.source, name=chosen.name, number=0, size=chosen.bytes,
        work={"base": reach.cc_base, "first": first, "last": last},
    )


def _key(settings: Settings, source: str, read: list[str]) -> list[object]:
    """What a part depends on that reads `read`."""
    dedupe = settings.recipe.dedupe
    signature = [dedupe.ngram, dedupe.bands, dedupe.rows, dedupe.seed]
    extract = dataclasses.asdict(settings.sources[source].extract)
    code = [stage_fingerprint(CODE), extractor_versions(extract["extractor"])]
    return [source, *read, extract, signature, MODEL_SHA256, code]


def _part(settings: Settings, file: InputFile, span: Span | None) -> PlannedPart:
    key = _key(settings, file.source, [file.name, file.found.identity])
    return PlannedPart(
        stage=INGEST.name, part=part_name(source=file.source, file=file.name, span=span),
        plan_key=fingerprint([*key, *(span or ()), *([file.digest] if file.digest else [])]),
        source=file.source, name=file.name, number=0,
        size=span[1] - span[0] if span else file.found.size,
        work={
            "path": file.found.path, "identity": file.found.identity or None,
            **({"digest": file.digest} if file.digest else {}),
            **({"start": span[0], "end": span[1]} if span else {}),
        },
    )


def listed(out: str, planned: Work) -> Work:
    """With what is taken down from the run in `out`."""
    return dataclasses.replace(planned, parts=with_list(planned.parts, read_listed(out)))


def run_ingest(options: Options, settings: Settings, planned: Work) -> Manifest:
    planned = listed(options.output, planned)
    process = IngestPart(
        out=options.output,
        extracts={source: recipe.extract for source, recipe in settings.sources.items()},
        dedupe=settings.recipe.dedupe,
        model=language_model_path(options.language_model),
        batch_rows=options.batch_rows, network=options.reach.network, tolerate_missing=options.reach.tolerate_missing,
    )

    def graph(plan: beam.PCollection[str], blank: Manifest) -> None:
        plan | ProcessParts(options.output, process) | WriteManifest(options.output, blank)

    manifest = run_stage(options, planned, graph)
    if options.reach.tolerate_missing or not manifest.counts.dead_letters.get(MISSING):
        return manifest
    _forget_missing(options.output, manifest)
    return run_stage(options, planned, graph)


def _forget_missing(out: str, manifest: Manifest) -> None:
    """What an earlier run with --tolerate-missing did without is tried again by a run without it."""
    forget_from(out, INGEST)
    for record in manifest.parts:
        if record.counts.dead_letters.get(MISSING):
            files.remove(record_path(out, INGEST.name, record.part))
