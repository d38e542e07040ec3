"""A finished run that is measured: its manifests say what became of each part, its metrics what it cost."""

from __future__ import annotations

from dataclasses import dataclass

from pipelines.metering import StageMetrics, stage_path
from pipelines.planning.kinds import kind_of
from pipelines.planning.made import kept
from pipelines.run import needed
from schemas.errors import RunError
from schemas.records import Manifest, PartRecord
from schemas.stages import INGEST, STAGES, TOKENIZER
from transforms.beam import files, metrics
from transforms.beam.parts import plan_path, read_plan
from transforms.beam.tokenizer import LEARNING

TINY = 10
"""Records of a run that has next to nothing to do."""


@dataclass(frozen=True, kw_only=True)
class Finished:
    """A run that is measured: manifests and launches by stage, and CPU by stage and part."""

    out: str
    manifests: dict[str, Manifest]
    launches: dict[str, StageMetrics]
    cpu: dict[str, dict[str, float]]
    kinds: dict[str, str]
    """Of each part of ingest."""
    workers: int

    def beside(self, stage: str) -> float:
        """CPU of the launch that is in no part, learning included in a part."""
        return max(0.0, self.launches[stage].cpu_s - sum(self.cpu[stage].values()))

    @property
    def tiny(self) -> bool:
        """Whether it had next to nothing to do, so that it tells what starting costs."""
        return self.manifests[INGEST.name].counts.came_in < TINY

    @property
    def several(self) -> bool:
        return self.workers > 1


def finished(out: str) -> Finished:
    """Raises RunError where a stage is missing, was not measured here, or was kept in part from an earlier launch."""
    manifests = {stage.name: needed(out, stage) for stage in STAGES}
    launches, cpu = {}, {}
    for name, manifest in manifests.items():
        launch = metrics.read(stage_path(out, name), StageMetrics)
        names = [p.part for p in manifest.parts] + ([LEARNING] if name == TOKENIZER.name else [])
        costs = list(files.asked(lambda path: metrics.read(path, metrics.PartMetrics),
                                 [metrics.path(out, name, part) for part in names]))
        known = {part: cost for part, cost in zip(names, costs, strict=True) if cost}
        if launch is None or not launch.here or launch.plan_key != manifest.plan_key or len(known) < len(names):
            raise RunError(f"{out}: metrics/ does not hold what {name} cost on one machine. Measure another run.")
        if any(cost.started < launch.started for cost in known.values()):
            raise RunError(f"{out}: parts of {name} were kept from an earlier launch. Measure a run made in one go.")
        launches[name], cpu[name] = launch, {part: cost.cpu_s for part, cost in known.items()}
    ingest = plan_path(out, INGEST)
    kinds = {p.part: kind_of(str(p.work["path"]), p.name) for p in read_plan(ingest)}
    return Finished(
        out=out, manifests=manifests, launches=launches, cpu=cpu, kinds=kinds,
        workers=_workers(out, launches[INGEST.name]),
    )


def _workers(out: str, launch: StageMetrics) -> int:
    """As its plan says; of a run without one, by the memory of the launcher's children: the only one that a launcher
    which works itself has is the parser's, and small."""
    planned = (kept(out) or {}).get("workers")
    if isinstance(planned, int):
        return planned
    return 2 if launch.worker_peak_rss_bytes > launch.launcher_peak_rss_bytes / 2 else 1


def written(part: PartRecord) -> float:
    """Bytes of a part's files."""
    return float(sum(o.bytes for o in part.outputs.values()))
