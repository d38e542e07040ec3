"""Runs one stage: skips it if it is done, else plans it, runs its graph on Beam, and reads its manifest."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import apache_beam as beam

from pipelines import telling
from pipelines.command import main, say  # noqa: F401
from pipelines.dataflow import Service, check_launch, job_name, stage_options, template_location
from pipelines.dataflow_options import is_dataflow
from pipelines.engines.ready import make_ready
from pipelines.follow import follow, person
from pipelines.layout import is_of_a_part
from pipelines.local import ending_with_its_workers, local_runner
from pipelines.metering import metered
from pipelines.options import Options
from pipelines.readable import readable_errors
from pipelines.retention import check_reads, forget_removed, is_removed, removed
from pipelines.settings import check_version
from pipelines.watch import shown
from schemas.errors import RunError
from schemas.records import Manifest, manifest_from_json
from schemas.stages import ENCODE, SELECT, STAGES, Stage
from transforms.beam import files
from transforms.beam.handshake import code_version
from transforms.beam.parts import PlannedPart, manifest_path, plan_path, write_plan
from transforms.identity import fingerprint

Graph = Callable[[beam.PCollection, Manifest], object]
"""Plan path (one element) and blank manifest to a graph that ends in writing the manifest."""


@dataclass(frozen=True, kw_only=True)
class Work:
    """A stage, planned. `settings` is what the stage as a whole depends on beside its parts."""

    stage: Stage
    parts: Sequence[PlannedPart]
    settings: object
    recipes: dict[str, object]
    libraries: dict[str, str]

    @property
    def plan_key(self) -> str:
        return fingerprint([self.stage.name, self.settings, [(p.part, p.plan_key) for p in self.parts]])


def run_stage(options: Options, work: Work, graph: Graph) -> Manifest:
    """The manifest of the finished stage. Raises RunError with a message for a person."""
    check_launch(options, stages=1)
    template = template_location(options)
    done = finished(options.output, work)
    if done and template is None:
        say(f"{work.stage.name:9} already complete: {_summary(done)}")
        telling.stage_ended(done, kept=True)
        return done
    check_reads(options.output, work.stage)
    if work.stage.name in removed(options.output):
        say(f"{work.stage.name:9} all parts are done again, not new ones alone: --keep removed {work.stage.folder}/")
    telling.stage_began(work.stage.name, work.plan_key)
    blank = Manifest(
        stage=work.stage.name, plan_key=work.plan_key, recipes=work.recipes, libraries=work.libraries,
    )
    started = time.monotonic()
    if is_dataflow(options):
        run_on_dataflow(options, work, graph, blank)
    else:
        run_watched(options, work, graph, blank)
    if template:
        say(f"{work.stage.name:9} template written: {template}")
        return blank
    manifest = read_manifest(options.output, work.stage)
    if manifest is None:
        path = manifest_path(options.output, work.stage)
        raise RunError(f"{work.stage.name}: the runner finished, but {path} is not there. Run the same command again.")
    if manifest.plan_key != work.plan_key:
        path = manifest_path(options.output, work.stage)
        raise RunError(f"{path}: another run has published it. End one of the two, and run the other's command again.")
    say(f"{work.stage.name:9} {_summary(manifest)} in {time.monotonic() - started:.1f} s")
    telling.stage_ended(manifest, kept=False)
    return manifest


def run_watched(options: Options, work: Work, graph: Graph, blank: Manifest) -> None:
    """On any runner but Dataflow: the launcher lives as long as the stage."""
    make_ready(options.beam)
    begin(options, work)
    with (
        shown(options.output, work.stage, work.parts),
        ending_with_its_workers(options, work.stage, work.parts),
        readable_errors(work.stage),
        metered(options.output, work.stage.name, plan_key=work.plan_key, here=options.local),
    ):
        pipeline = beam.Pipeline(runner=local_runner(options) if options.local else None, options=options.beam)
        graph(pipeline | "plan" >> beam.Create([plan_path(options.output, work.stage)]), blank)
        pipeline.run().wait_until_finish()


def run_on_dataflow(options: Options, work: Work, graph: Graph, blank: Manifest) -> None:
    """As a job of its own, which is found again if it runs already; or as a template."""
    own = stage_options(options, work.stage, work.plan_key)
    with (
        readable_errors(work.stage),
        metered(options.output, work.stage.name, plan_key=work.plan_key, here=False),
    ):
        service = Service(own)
        job = None
        if template_location(options) is None:
            job = service.active(job_name(options.output, work.stage, work.plan_key))
        if job:
            say(f"{work.stage.name:9} runs already as the job {job.name} ({job.id}): watching it")
        else:
            begin(options, work)
            pipeline = beam.Pipeline(options=own)
            graph(pipeline | "plan" >> beam.Create([plan_path(options.output, work.stage)]), blank)
            job = service.submit(pipeline)
        if job:
            follow(service, job, work.stage, parts=len(work.parts), ask=person())


def begin(options: Options, work: Work) -> None:
    """What was promised of this stage and of later ones is so no longer, unless it is of this plan; then the plan lies
    ready. Not to be called while a job of this plan runs: it would take away what that has promised just now."""
    if finished(options.output, work) is None:
        forget_from(options.output, work.stage)
    write_plan(options.output, work.stage, (dataclasses.replace(p, code=code_version()) for p in work.parts))


def finished(out: str, work: Work) -> Manifest | None:
    """The stage's manifest, if it is of this plan and all it names is there in full size, or was removed by --keep."""
    manifest = read_manifest(out, work.stage)
    if manifest is None or manifest.plan_key != work.plan_key:
        return None
    gone = is_removed(manifest, removed(out))
    outputs = [o for part in manifest.parts for o in part.outputs.values() if not (gone and is_of_a_part(o.path))]
    outputs += manifest.outputs.values()
    sizes = files.asked(files.size, [files.join(out, o.path) for o in outputs])
    return manifest if all(size == o.bytes for o, size in zip(outputs, sizes, strict=True)) else None


def read_manifest(out: str, stage: Stage) -> Manifest | None:
    """None when there is none, or half of one. Raises RunError at one of another schema version."""
    path = manifest_path(out, stage)
    text = files.read_text(path)
    try:
        manifest = manifest_from_json(text) if text else None
    except ValueError:
        return None
    if manifest:
        check_version(path, manifest.schema_version)
    return manifest


def needed(out: str, stage: Stage) -> Manifest:
    """The manifest of a stage that must have run before. Raises RunError if it has not."""
    manifest = read_manifest(out, stage)
    if manifest is None:
        raise RunError(
            f"{out}: the stage {stage.name} is not complete here. Run pipelines.{stage.name}, or pipelines.clean."
        )
    return manifest


def forget_from(out: str, stage: Stage) -> None:
    """Removes the manifests of a stage and of every later one: what they promise is no longer so."""
    for name in ("manifest.json", "report.html"):
        files.remove(files.join(out, name))
    stages = (SELECT, *STAGES)
    for later in reversed(stages[stages.index(stage) :]):
        files.remove(manifest_path(out, later))
    files.remove(files.join(out, ENCODE.folder, "manifest.json"))  # the trainer's: what it names may change now
    forget_removed(out, stages[stages.index(stage) :])


def _summary(manifest: Manifest) -> str:
    counts = manifest.counts
    dropped, dead = sum(counts.dropped.values()), sum(counts.dead_letters.values())
    lost = "".join(f", {n:,} {what}" for n, what in ((dropped, "dropped"), (dead, "dead letters")) if n)
    return f"{counts.came_in:,} in, {counts.went_out:,} out{lost}; {len(manifest.parts):,} parts"


