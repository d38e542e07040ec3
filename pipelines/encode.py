"""Stage 5: clean/ to packed token shards, as Arrow and TFRecord, with the manifest that the trainer reads."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

import apache_beam as beam

from pipelines.fingerprints import library_versions, stage_fingerprint
from pipelines.listed import Pin, before, encoded, pinned
from pipelines.options import Options, parse
from pipelines.planning.stage import only_planned
from pipelines.run import Work, main, needed, run_stage
from pipelines.settings import Settings, settings_of
from pipelines.whole import locked
from schemas.records import Manifest, PartRecord
from schemas.stages import ENCODE, FILTER, TOKENIZER
from transforms.beam.encode import EncodePart, WriteShardManifest
from transforms.beam.parts import PlannedPart, ProcessParts, WriteManifest
from transforms.identity import fingerprint

CODE = "transforms.beam.encode"


def run(argv: Sequence[str] | None) -> None:
    options = parse(argv, command="encode", about=__doc__, needs_input=False)
    settings = settings_of(options.output, options.recipe)
    if options.plan.wanted and only_planned(options, settings, planned(options, settings)):
        return
    with locked(options.output):
        encode(options, settings)


def planned(options: Options, settings: Settings) -> Work:
    return _planned(options, settings)[1]


def encode(options: Options, settings: Settings) -> Manifest:
    process, todo = _planned(options, settings)

    def graph(plan: beam.PCollection[str], blank: Manifest) -> None:
        records = plan | ProcessParts(options.output, process)
        records | WriteManifest(options.output, blank, records | WriteShardManifest(process))

    return run_stage(options, todo, graph)


def _planned(options: Options, settings: Settings) -> tuple[EncodePart, Work]:
    clean, pin = needed(options.output, FILTER), pinned(options.output, settings)
    known, found = pin.languages if pin else (), clean.tallies.get("language", {})
    process = EncodePart(
        out=options.output, encode=settings.recipe.encode,
        tokenizer=needed(options.output, TOKENIZER).outputs["tokenizer"],
        sources=tuple(sorted({r.source for r in clean.parts})),
        languages=(*known, *(language for language in found if language not in known)), batch_rows=options.batch_rows,
    )
    return process, work(process, clean, pin, before(options.output))


def work(process: EncodePart, clean: Manifest, pin: Pin | None = None, old: tuple[str, Manifest] | None = None) -> Work:
    """One part a group of clean parts of a source: a shard in each split. With `pin` the groups are its; parts of `old`
    say before they are made anew which of their rows had something that is no longer there."""
    how = dataclasses.asdict(process.encode)
    whole = [how, process.tokenizer.xxh3, process.sources, process.languages, stage_fingerprint(CODE)]
    parts = []
    replaced = {r.part: r for r in old[1].parts} if old and pin else {}
    for source in process.sources:
        records = [r for r in clean.parts if r.source == source]
        cut = groups(records, process.encode.shard_text_bytes)
        for shard, group in enumerate(_pinned_groups(records, pin.groups[source]) if pin else cut):
            outputs = [dataclasses.asdict(r.outputs["clean"]) for r in group]
            name = f"{source}-{shard:05d}"
            holds = [[o["path"], encoded(r)] for o, r in zip(outputs, group, strict=True)]
            key = fingerprint([name, holds, whole])
            record = replaced.get(name)
            was = {"replaces": dataclasses.asdict(record)} if record and record.plan_key != key else {}
            parts.append(
                PlannedPart(
                    stage=ENCODE.name, part=name, source=source, name=f"{len(group)} clean parts from {group[0].name}",
                    plan_key=key, number=len(parts),
                    size=sum(o["bytes"] for o in outputs), work={"clean": outputs, "shard": shard, **was},
                )
            )
    return Work(stage=ENCODE, parts=parts, settings=whole, libraries=library_versions(CODE), recipes={"encode": how})


def _pinned_groups(records: Sequence[PartRecord], named: list[list[str]]) -> Iterator[list[PartRecord]]:
    of = {r.part: r for r in records}
    yield from ([of[part] for part in group] for group in named)


def groups(records: Sequence[PartRecord], text_bytes: int) -> Iterator[list[PartRecord]]:
    """Consecutive records, closed when their text reaches `text_bytes`; those without text join what is open."""
    group: list[PartRecord] = []
    for record in records:
        group.append(record)
        if sum(r.text_bytes for r in group) >= text_bytes:
            yield group
            group = []
    if group:
        yield group


if __name__ == "__main__":
    main(run)
