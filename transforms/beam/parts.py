"""Parts: planned in a file, processed one by one, each committing itself with a record written last.

A plan is JSON lines at OUT/<stage>/plan.jsonl, one part a line in part order; the pipeline reads it, so that a job
graph holds one path however many inputs there are. A valid record skips its part, so a replayed bundle costs nothing.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

import apache_beam as beam

from schemas.errors import RunError
from schemas.records import Manifest, Output, PartRecord, merge, part_from_json, to_json
from schemas.stages import BY_NAME, Stage
from transforms.beam import files, metrics
from transforms.beam.handshake import check_code


@dataclass(frozen=True, kw_only=True)
class PlannedPart:
    """A unit of work. `work` is what the stage needs to find its inputs: paths, digests, numbers."""

    stage: str
    part: str
    plan_key: str
    source: str
    name: str
    number: int
    size: int
    work: dict[str, Any] = field(default_factory=dict)
    code: str = ""
    """What planned it: see `transforms.beam.handshake`."""


class Process(Protocol):
    """What a stage does with a part: read, compute, write, and say what it wrote. Must be picklable."""

    def setup(self) -> None:
        """Loads models and compiles kernels, once a worker process."""

    def __call__(self, part: PlannedPart) -> PartRecord: ...

    def teardown(self) -> None:
        """Ends what setup began outside this process. Engines may leave it out."""


def plan_path(out: str, stage: Stage) -> str:
    return files.join(out, stage.folder, "plan.jsonl")


def manifest_path(out: str, stage: Stage) -> str:
    return files.join(out, stage.folder, stage.manifest)


def record_path(out: str, stage: str, part: str) -> str:
    return files.join(out, BY_NAME[stage].folder, f"{part}.json")


def write_plan(out: str, stage: Stage, parts: Iterable[PlannedPart]) -> None:
    lines = [json.dumps(dataclasses.asdict(p), sort_keys=True, ensure_ascii=False) + "\n" for p in parts]
    files.write_bytes(plan_path(out, stage), "".join(lines).encode())


def read_plan(path: str) -> Iterator[PlannedPart]:
    """The parts of a plan, in its order. Raises RunError if it is not there, or of another version."""
    text = files.read_text(path)
    if text is None:
        raise RunError(f"{path}: the stage's plan is gone. Run the same command again.")
    for line in text.split("\n")[:-1]:  # not splitlines: a file's name may hold U+2028
        yield _planned(json.loads(line), path)


def _planned(fields: dict[str, Any], path: str) -> PlannedPart:
    known = {f.name for f in dataclasses.fields(PlannedPart)}
    if fields.keys() - known:  # only another version writes other fields
        check_code(str(fields.get("code") or "an unknown version"), where=path)
    return PlannedPart(**{name: value for name, value in fields.items() if name in known})


def largest_first(path: str) -> list[PlannedPart]:
    """A plan in order of falling size: the local runner deals elements out in turn, so bundles come out even."""
    parts = sorted(read_plan(path), key=lambda p: (-p.size, p.part))
    for code in {p.code for p in parts}:
        check_code(code, where=path)
    return parts


def committed(out: str, part: PlannedPart) -> PartRecord | None:
    """The part's commit record if it is of this plan and its files are there in full size, else None."""
    try:
        text = files.read_text(record_path(out, part.stage, part.part))
        record = part_from_json(text) if text else None
    except ValueError:
        return None
    if record is None or record.plan_key != part.plan_key:
        return None
    whole = all(files.size(files.join(out, o.path)) == o.bytes for o in record.outputs.values())
    return record if whole else None


def commit(out: str, record: PartRecord, *, since: metrics.Mark) -> PartRecord:
    """Checks the account, writes what the part cost since it began, then the record: from here on the part is done."""
    record.counts.check(f"{record.stage}/{record.part} ({record.name})")
    metrics.write(
        out, stage=record.stage, part=record.part, plan_key=record.plan_key, since=since,
        bytes_in=record.input_bytes, rows=record.counts.came_in,
    )
    files.write_bytes(record_path(out, record.stage, record.part), to_json(record).encode())
    return record


def check_plan(out: str, stage: Stage, records: Iterable[PartRecord]) -> None:
    """Raises RunError unless the plan that lies there is still the one whose parts these are: a job that another run
    has overtaken, after its launcher lost the lock, publishes nothing."""
    path = plan_path(out, stage)
    if sorted((p.part, p.plan_key) for p in read_plan(path)) != sorted((r.part, r.plan_key) for r in records):
        raise RunError(f"{path}: another run has planned this stage anew. Wait for it, and run the same command again.")


def tell(record: PartRecord) -> None:
    """Counts the part on the engine's own counters, for its display alone: engines count what they attempt twice."""
    for name, count in (("parts", 1), ("documents", record.counts.went_out)):
        beam.metrics.Metrics.counter("winnow", name).inc(count)


class ProcessParts(beam.PTransform):
    """Plan path in, commit records out: processes every part that has no valid record."""

    def __init__(self, out: str, process: Process) -> None:
        super().__init__()
        self._out, self._process = out, process

    def expand(self, plan: beam.PCollection[str]) -> beam.PCollection[PartRecord]:
        return (
            plan
            | "list parts" >> beam.FlatMap(largest_first).with_output_types(PlannedPart)
            | "spread" >> beam.Reshuffle()
            | "process" >> beam.ParDo(_ProcessPart(self._out, self._process)).with_output_types(PartRecord)
        )


class _ProcessPart(beam.DoFn):
    def __init__(self, out: str, process: Process) -> None:
        self._out, self._process = out, process

    def setup(self) -> None:
        self._process.setup()

    def teardown(self) -> None:
        self._process.teardown()

    def process(self, part: PlannedPart) -> Iterator[PartRecord]:
        check_code(part.code, where=f"{part.stage}/{part.part}")
        record = committed(self._out, part)
        if record is None:
            since = metrics.mark()
            record = commit(self._out, self._process(part), since=since)
        tell(record)
        yield record


class WriteManifest(beam.PTransform):
    """Commit records in; the stage's manifest, made from `blank`, is written when all are there and they add up.

    `extras` are outputs of the stage as a whole, which must be written before its manifest is."""

    def __init__(self, out: str, blank: Manifest, extras: beam.PCollection[dict[str, Output]] | None = None) -> None:
        super().__init__()
        self._out, self._blank, self._extras = out, blank, extras

    def expand(self, records: beam.PCollection[PartRecord]) -> beam.PCollection[str]:
        extras = beam.pvalue.AsSingleton(self._extras) if self._extras is not None else {}
        return (
            records
            | "all records" >> beam.combiners.ToList()
            | "write manifest" >> beam.Map(_write_manifest, self._out, self._blank, extras).with_output_types(str)
        )


def _write_manifest(records: list[PartRecord], out: str, blank: Manifest, extras: dict[str, Output]) -> str:
    manifest = merge(records, dataclasses.replace(blank, outputs=extras))
    stage = BY_NAME[manifest.stage]
    check_plan(out, stage, records)
    path = manifest_path(out, stage)
    files.publish(path, to_json(manifest).encode())
    return path
