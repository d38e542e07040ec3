"""Time and memory by stage and part, from metrics/: what a run cost, which is no part of what it promises."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pipelines.metering import StageMetrics, stage_path
from pipelines.report_page import charts
from pipelines.report_page.markup import Html, Node, code, count, foreign, join, plural, size, table, tag
from pipelines.report_page.reasons import Share
from schemas.records import Manifest
from schemas.stages import INGEST, TOKENIZER
from transforms.beam import files, metrics
from transforms.beam.tokenizer import LEARNING

PARTS = 4096
"""Parts a stage whose metrics are read, the first by name: a file each."""
SLOWEST = 8


@dataclass(frozen=True, kw_only=True)
class Part:
    """A part, with what it is called in the plan."""

    source: str
    name: str
    cost: metrics.PartMetrics


@dataclass(frozen=True, kw_only=True)
class StageCost:
    """A stage: what its launch cost, if that is known, and the sums over those of its `parts` that are `measured`. Of
    these, `kept` were done before that launch, in `kept_cpu_s`."""

    stage: str
    documents: int
    bytes_in: int
    bytes_out: int
    parts: int
    measured: int
    kept: int
    parts_cpu_s: float
    kept_cpu_s: float
    peak_rss_bytes: int
    launch: StageMetrics | None
    slowest: tuple[Part, ...]

    @property
    def whole(self) -> bool:
        """Whether `cpu_s` is all that the stage cost."""
        return self.measured == self.parts and (self.launch is not None or not self.parts)

    @property
    def cpu_s(self) -> float:
        """The launch with what was kept from before; where workers ran elsewhere, the parts alone."""
        if self.launch and self.launch.here:
            return self.launch.cpu_s + self.kept_cpu_s
        return self.parts_cpu_s


def cost_of(out: str, manifest: Manifest) -> StageCost:
    """Reads the metrics of a stage whose manifest still has its parts. What is missing or of another plan is left out:
    a run is whole without them."""
    launch = metrics.read(stage_path(out, manifest.stage), StageMetrics)
    launch = launch if launch and launch.plan_key == manifest.plan_key else None
    parts = manifest.parts[:PARTS]
    costs = files.asked(_cost, [metrics.path(out, manifest.stage, part.part) for part in parts])
    found = [
        Part(source=part.source, name=part.name, cost=cost)
        for part, cost in zip(parts, costs, strict=True) if cost and cost.plan_key == part.plan_key
    ]
    kept = [p.cost for p in found if launch and p.cost.started < launch.started]
    measured, more = len(found), []
    if manifest.stage == TOKENIZER.name:
        learning = _cost(metrics.path(out, manifest.stage, LEARNING))
        if learning and learning.plan_key == manifest.outputs["tokenizer"].xxh3:
            more = [Part(source="all", name="learning from the counts", cost=learning)]
    counts, everything = manifest.counts, found + more
    return StageCost(
        stage=manifest.stage, documents=counts.went_out if manifest.stage == INGEST.name else counts.came_in,
        bytes_in=sum(p.input_bytes for p in manifest.parts), bytes_out=_written(manifest),
        parts=len(manifest.parts), measured=measured,
        kept=len(kept), kept_cpu_s=sum(c.cpu_s for c in kept), launch=launch,
        parts_cpu_s=sum(p.cost.cpu_s for p in everything),
        peak_rss_bytes=max([0, *(p.cost.peak_rss_bytes for p in everything)]),
        slowest=tuple(sorted(everything, key=lambda p: (-p.cost.wall_s, p.cost.part))[:SLOWEST]),
    )


def _written(manifest: Manifest) -> int:
    """Bytes of all files of a stage, each once: of encode a part's shards are among the stage's own too."""
    outputs = {o.path: o.bytes for part in manifest.parts for o in part.outputs.values()}
    return sum((outputs | {o.path: o.bytes for o in manifest.outputs.values()}).values())


def _cost(where: str) -> metrics.PartMetrics | None:
    return metrics.read(where, metrics.PartMetrics)


def section(costs: Sequence[StageCost]) -> Html:
    """A bar of the CPU by stage, a table by stage, and the slowest parts."""
    if not any(c.launch or c.measured for c in costs):
        return tag("p", {}, "Nothing was measured: there is no ", code("metrics/"), " in this output.")
    text = (
        "Time and memory are measured beside the run, in ", code("metrics/"), ": no decision reads them and no digest "
        "covers them. A stage is measured from the start of its workers to its manifest, on this machine: the launcher "
        "and its workers, with starting Python, loading models and compiling. A part is measured from its start until "
        "just before it commits itself; of dedupe that is only the writing of its verdicts, of the tokenizer only the "
        "counting. What a launch cost that died before its stage was finished is in no number, but for its parts.",
    )
    total = sum(c.cpu_s for c in costs)
    shares = [Share(label=c.stage, kind=c.stage, count=round(1000 * c.cpu_s)) for c in costs if c.cpu_s >= 0.0005]
    heading = tag("h3", {}, "CPU time by stage ", tag("span", {"class": "share"}, f"({_seconds(total)} s)"))
    bar = charts.stacked(shares, title="CPU time by stage", shown=_milliseconds) if shares else join()
    return join(tag("p", {}, *text), tag("div", {"class": "fate"}, heading, bar), _stages(costs), _slowest(costs))


def _stages(costs: Sequence[StageCost]) -> Html:
    rows: list[list[Node]] = []
    for c in costs:
        fair = c.whole and c.cpu_s > 0
        wall = _seconds(c.launch.wall_s) if c.launch else "–"
        rows.append([
            c.stage, count(c.documents), wall, _seconds(c.cpu_s) if c.launch or c.measured else "–",
            f"{c.documents / c.cpu_s:,.1f}" if fair else "–", f"{c.bytes_in / 1e6 / c.cpu_s:,.3f}" if fair else "–",
            *_memory(c), _covers(c),
        ])
    head = ["stage", "documents", "wall s", "CPU s", "documents per CPU s", "MB in per CPU s", "peak of a worker",
            "peak of the launcher", "what that covers"]
    return table(caption="Time and memory by stage", head=head, rows=rows, numbers=range(1, 8))


def _memory(c: StageCost) -> tuple[str, str]:
    """The largest worker, and the launcher, which is the worker too when there is only one."""
    if c.launch is None:
        return size(c.peak_rss_bytes) if c.measured else "–", "–"
    if not c.launch.here:
        return size(c.peak_rss_bytes), "–"
    workers = c.launch.worker_peak_rss_bytes
    return size(workers) if workers else "the launcher", size(c.launch.launcher_peak_rss_bytes)


def _covers(c: StageCost) -> str:
    if c.launch is None:
        said = "its parts alone" if c.measured else "not measured"
    elif c.launch.here:
        said = "launcher and workers"
    else:
        said = "its parts alone: workers ran elsewhere; wall is the launcher's"
    if c.launch and c.launch.here and c.kept:
        said += f"; {c.kept:,} of {plural(c.parts, 'part')} kept from before: their CPU is in it, their wall is not"
    if c.measured < c.parts:
        said += f"; {count(c.parts - c.measured)} of {plural(c.parts, 'part')} not looked at, or without metrics"
    return said


def _slowest(costs: Sequence[StageCost]) -> Html:
    found = sorted((p for c in costs for p in c.slowest), key=lambda p: (-p.cost.wall_s, p.cost.stage, p.cost.part))
    rows: list[list[Node]] = [
        [p.cost.stage, join(code(p.cost.part), tag("br", {}), foreign(p.source), ": ", foreign(p.name)),
         _seconds(p.cost.wall_s), _seconds(p.cost.cpu_s), size(p.cost.bytes_in), count(p.cost.rows),
         size(p.cost.peak_rss_bytes), p.cost.started[:19].replace("T", " ")]
        for p in found[:SLOWEST]
    ]
    head = ["stage", "part", "wall s", "CPU s", "bytes in", "rows", "its process's peak", "began, UTC"]
    return table(caption="The slowest parts", head=head, rows=rows, numbers=range(2, 7))


def _seconds(s: float) -> str:
    return f"{s:,.2f}" if s < 100 else f"{s:,.0f}"


def _milliseconds(ms: int) -> str:
    return f"{_seconds(ms / 1000)} s"
