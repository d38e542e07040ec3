"""`--dry-run` and `--max-cost` of a single stage: what those before it have made is known."""

from __future__ import annotations

import dataclasses
import sys

from pipelines.options import Options
from pipelines.planning.basis import Basis, Sampler, basis_of, facts_before
from pipelines.planning.left import left_of
from pipelines.planning.made import check, plan_of, to_json
from pipelines.planning.show import show
from pipelines.run import Work
from pipelines.settings import Settings
from schemas.stages import INGEST
from transforms.beam.parts import plan_path, read_plan


def only_planned(options: Options, settings: Settings, work: Work, *, sample: Sampler | None = None) -> bool:
    """Whether there was nothing to do but to print the plan. Raises RunError if the stage may cost more than
    --max-cost."""
    asked, basis = options.plan, _basis(options, settings, work, sample)
    left = left_of(options.output, {work.stage.name: lambda: work}, basis)
    plan = plan_of(basis, asked, only=work.stage, left=left)
    if asked.only:
        sys.stdout.write(to_json(plan) if asked.json else show(plan))
    check(plan, asked)
    return asked.only


def _basis(options: Options, settings: Settings, work: Work, sample: Sampler | None) -> Basis:
    if work.stage is INGEST:
        return basis_of(options, settings, work, sample=sample)
    parts = list(read_plan(plan_path(options.output, INGEST)))
    basis = basis_of(options, settings, dataclasses.replace(work, stage=INGEST, parts=parts))
    return dataclasses.replace(basis, facts=facts_before(options.output, work.stage))
