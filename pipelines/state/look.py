"""The state of a run: stage by stage from plan, records and manifest; who holds it; its alarms."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

from pipelines.report_page import facts, yields
from pipelines.run import read_manifest
from pipelines.settings import read_settings
from pipelines.state.holder import Holder, holder
from schemas.errors import RunError
from schemas.records import Counts, Manifest, add_counts, part_from_json
from schemas.stages import FILTER, INGEST, STAGES, Stage
from transforms.beam import files, metrics
from transforms.beam.parts import PlannedPart, manifest_path, plan_path, read_plan, record_path

Step = Literal["done", "running", "waiting"]


@dataclass(frozen=True, kw_only=True)
class StageState:
    """Parts, bytes of input and documents that are through. `rate` is bytes of input a second since this launch began
    its first part, `left_s` what the rest takes at that rate: None where nobody can say."""

    stage: str
    step: Step
    parts: int = 0
    done: int = 0
    bytes: int = 0
    bytes_done: int = 0
    counts: Counts = field(default_factory=Counts)
    rate: float | None = None
    left_s: float | None = None


@dataclass(frozen=True, kw_only=True)
class State:
    """`run`: done; running; failed, which left a reason; stopped, which left none, or was not begun to the end."""

    out: str
    run: Literal["done", "running", "failed", "stopped"]
    stages: tuple[StageState, ...]
    holder: Holder
    alarms: tuple[str, ...] = ()

    @property
    def dead_letters(self) -> int:
        return sum(sum(s.counts.dead_letters.values()) for s in self.stages)


@dataclass(kw_only=True)
class Looker:
    """Looks again and again, and reads each record and manifest once."""

    out: str
    records: dict[tuple[str, str, str], Counts] = field(default_factory=dict)
    """(stage, part, plan key) to its account."""
    spans: dict[tuple[str, str, str], tuple[float, float] | None] = field(default_factory=dict)
    """The same to when the part began and ended, seconds of the epoch; None where that is not known."""
    alarmed: tuple[str, tuple[str, ...]] = ("", ())

    def look(self) -> State:
        """Raises RunError where there is no run, or the store cannot be asked."""
        held = holder(self.out)
        if held.owner is None and files.size(files.join(self.out, "run.json")) is None:
            raise RunError(f"{self.out}: no run has begun here. Give the --output of one.")
        manifests: dict[str, Manifest] = {}
        stages: list[StageState] = []
        for stage in STAGES:
            before = stages[-1].step if stages else "done"
            stages.append(self._stage(stage, manifests, held) if before == "done" else self._waiting(stage))
        whole = all(s.step == "done" for s in stages) and files.size(files.join(self.out, "manifest.json")) is not None
        alarms = self._alarms(manifests) if FILTER.name in manifests else ()
        return State(out=self.out, run=_run(held, whole=whole), stages=tuple(stages), holder=held, alarms=alarms)

    def _waiting(self, stage: Stage) -> StageState:
        return StageState(stage=stage.name, step="waiting")

    def _stage(self, stage: Stage, manifests: dict[str, Manifest], held: Holder) -> StageState:
        manifest = read_manifest(self.out, stage) if files.size(manifest_path(self.out, stage)) is not None else None
        if manifest:
            manifests[stage.name] = manifest
            size = sum(p.input_bytes for p in manifest.parts)
            n = len(manifest.parts)
            return StageState(stage=stage.name, step="done", parts=n, done=n, bytes=size, bytes_done=size,
                              counts=manifest.counts)
        planned = self._plan(stage)
        self._read([p for p in planned if (stage.name, p.part, p.plan_key) not in self.records])
        done = [p for p in planned if (stage.name, p.part, p.plan_key) in self.records]
        found = [self.records[stage.name, p.part, p.plan_key] for p in done]
        size, through = sum(p.size for p in planned), sum(p.size for p in done)
        rate = self._rate(stage, done, held)
        return StageState(
            stage=stage.name, step="running" if planned and held.state == "held" else "waiting", parts=len(planned),
            done=len(done), bytes=size, bytes_done=through, counts=add_counts(found), rate=rate,
            left_s=(size - through) / rate if rate else None,
        )

    def _plan(self, stage: Stage) -> list[PlannedPart]:
        """Empty while the stage has none, or while another is being written."""
        try:
            return list(read_plan(plan_path(self.out, stage)))
        except (RunError, ValueError, TypeError):
            return []

    def _read(self, parts: list[PlannedPart]) -> None:
        texts = files.asked(files.read_text, [record_path(self.out, p.stage, p.part) for p in parts])
        for part, text in zip(parts, texts, strict=True):
            with contextlib.suppress(ValueError):
                if text and (record := part_from_json(text)).plan_key == part.plan_key:
                    self.records[part.stage, part.part, part.plan_key] = record.counts

    def _rate(self, stage: Stage, done: list[PlannedPart], held: Holder) -> float | None:
        """Bytes a second over the parts that this launch has done, from the moment the first of them began."""
        if held.owner is None or held.state != "held":
            return None
        began = _seconds(held.owner.started)
        spans = [(p.size, span) for p in done if (span := self._span(p)) and span[0] >= began]
        if not spans:
            return None
        since = min(start for _, (start, _) in spans)
        until = max(datetime.now(UTC).timestamp(), *(end for _, (_, end) in spans))
        return sum(size for size, _ in spans) / max(until - since, 1e-3)

    def _span(self, part: PlannedPart) -> tuple[float, float] | None:
        """When a part began and ended, seconds of the epoch."""
        key = part.stage, part.part, part.plan_key
        if key not in self.spans:
            cost = metrics.read(metrics.path(self.out, part.stage, part.part), metrics.PartMetrics)
            start = _seconds(cost.started) if cost and cost.plan_key == part.plan_key else None
            self.spans[key] = None if cost is None or start is None else (start, start + cost.wall_s)
        return self.spans[key]

    def _alarms(self, manifests: Mapping[str, Manifest]) -> tuple[str, ...]:
        """Those of the report, as soon as filter is done."""
        ingest, sieve = manifests[INGEST.name], manifests[FILTER.name]
        if self.alarmed[0] == sieve.plan_key + sieve.digest:
            return self.alarmed[1]
        found: tuple[str, ...] = ()
        with contextlib.suppress(RunError, TypeError):
            rules = facts.rule_sets(read_settings(self.out).rules())
            of = yields.yields(
                arrived=yields.by_source(ingest.parts), kept=sieve.tallies.get("language", {}), tallies=sieve.tallies,
                reasons=sieve.counts.dropped, rule_sets=rules,
            )
            arrived, kept = facts.sums_by_source(ingest.parts), facts.sums_by_source(sieve.parts)
            found = tuple(yields.alarms(of, arrived=arrived, kept=kept))
        self.alarmed = sieve.plan_key + sieve.digest, found
        return found


def _run(held: Holder, *, whole: bool) -> Literal["done", "running", "failed", "stopped"]:
    if held.state == "held":
        return "running"
    if whole:
        return "done"
    return "failed" if held.owner and held.owner.failed and held.owner.failed != "interrupted" else "stopped"


def _seconds(utc: str) -> float:
    return datetime.fromisoformat(utc).timestamp()


def as_fields(state: State) -> dict[str, object]:
    """As plain values, for JSON."""
    return dataclasses.asdict(state) | {"dead_letters": state.dead_letters}
