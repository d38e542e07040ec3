"""Stage 5: clean/ to packed token shards, as Arrow and TFRecord, with the manifest that the trainer reads."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

import apache_beam as beam

from pipelines.fingerprints import library_versions, stage_fingerprint
from pipelines.options import Options, parse
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
    with locked(options.output):
        encode(options, settings)


def encode(options: Options, settings: Settings) -> Manifest:
    clean, learnt = needed(options.output, FILTER), needed(options.output, TOKENIZER)
    process = EncodePart(
        out=options.output, encode=settings.recipe.encode, tokenizer=learnt.outputs["tokenizer"],
        sources=tuple(sorted({r.source for r in clean.parts})), languages=tuple(clean.tallies.get("language", {})),
        batch_rows=options.batch_rows,
    )

    def graph(plan: beam.PCollection[str], blank: Manifest) -> None:
        records = plan | ProcessParts(options.output, process)
        records | WriteManifest(options.output, blank, records | WriteShardManifest(process))

    return run_stage(options, work(process, clean), graph)


def work(process: EncodePart, clean: Manifest) -> Work:
    """One part a group of clean parts of a source: a shard in each split."""
    how = dataclasses.asdict(process.encode)
    whole = [how, process.tokenizer.xxh3, process.sources, process.languages, stage_fingerprint(CODE)]
    parts = []
    for source in process.sources:
        records = [r for r in clean.parts if r.source == source]
        for shard, group in enumerate(groups(records, process.encode.shard_text_bytes)):
            outputs = [dataclasses.asdict(r.outputs["clean"]) for r in group]
            name = f"{source}-{shard:05d}"
            parts.append(
                PlannedPart(
                    stage=ENCODE.name, part=name, source=source, name=f"{len(group)} clean parts from {group[0].name}",
                    plan_key=fingerprint([name, outputs, whole]), number=len(parts),
                    size=sum(o["bytes"] for o in outputs), work={"clean": outputs, "shard": shard},
                )
            )
    return Work(stage=ENCODE, parts=parts, settings=whole, libraries=library_versions(CODE), recipes={"encode": how})


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
